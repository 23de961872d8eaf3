from __future__ import annotations

import os
import subprocess
import sys

import pytest

import pyrec

HEAVY = ("numpy", "llama_cpp", "sqlite_utils", "sqlite3", "snowballstemmer", "gguf", "pyrec._core")


TELL = f"""
import atexit, sys
atexit.register(lambda: print(*(m for m in {HEAVY} if m in sys.modules), file=sys.stderr))
"""
CALL = "from pyrec.cli import main; main(prog_name='pyrec')"


def loaded_after(code: str, *arguments: str, **env: str) -> tuple[set[str], str]:
    """Return which heavy modules code loads in a fresh interpreter, and what it prints."""
    run = [sys.executable, "-c", TELL + code, *arguments]
    done = subprocess.run(run, capture_output=True, text=True, env={**os.environ, **env})
    return set(done.stderr.splitlines()[-1].split()), done.stdout


def test_public_names_are_those_that_the_package_can_give() -> None:
    assert set(pyrec.__all__) == set(pyrec._HOME)
    assert all(hasattr(pyrec, name) for name in pyrec.__all__)
    assert set(pyrec.__all__) <= set(dir(pyrec))


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'recomend'"):
        _ = pyrec.recomend


def test_importing_pyrec_loads_nothing_heavy() -> None:
    assert loaded_after("import pyrec") == (set(), "")


def test_value_types_and_errors_load_nothing_heavy() -> None:
    assert loaded_after("from pyrec import Item, PyrecError, Slate") == (set(), "")


def test_the_heavy_modules_are_those_that_a_recommender_loads() -> None:
    loaded, _ = loaded_after("import pyrec; pyrec.open")
    assert loaded == set(HEAVY) - {"gguf"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["recommend", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded, printed = loaded_after(CALL, *arguments)
    assert loaded == set()
    assert "pyrec" in printed


def test_completing_a_command_loads_nothing_heavy() -> None:
    words = {"_PYREC_COMPLETE": "bash_complete", "COMP_WORDS": "pyrec mod", "COMP_CWORD": "1"}
    assert loaded_after(CALL, **words) == (set(), "plain,models\n")
