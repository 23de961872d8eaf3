from __future__ import annotations

import os
import subprocess
import sys

import pytest
from model_samples import write_llama

from pyrec.errors import ModelFileError
from pyrec.llama import Model

SPINS = "import os, pyrec.llama; print(os.environ.get('GOMP_SPINCOUNT'))"


@pytest.mark.parametrize(
    ("chosen", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_spin_briefly_unless_the_user_chose_otherwise(chosen, spins):
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    run = [sys.executable, "-c", SPINS]
    out = subprocess.run(run, env=env | chosen, capture_output=True, text=True, check=True).stdout
    assert out.strip() == spins


def test_a_model_without_a_tokenizer_says_so_instead_of_ending_the_process(tmp_path):
    model = Model(write_llama(tmp_path / "tiny.gguf"))
    with pytest.raises(ModelFileError, match=r"tiny\.gguf holds no tokenizer"):
        model.tokenize("a")
    model.close()


def test_a_file_that_is_no_model_says_what_to_do(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelFileError, match=r"a\.gguf cannot be loaded.*pyrec models verify"):
        Model(tmp_path / "a.gguf")
