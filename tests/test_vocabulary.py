from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import write_llama, write_vocabulary

from pyrec.errors import ModelFileError
from pyrec.gguf_header import read_header
from pyrec.vocabulary import normalize, read_vocabulary

PIECES = ["<s>", "<unk>", "\u2581", "\u2581a", "a", "b"]
SCORES = [0.0, 0.0, -2.0, -1.0, -2.0, -2.0]
TYPES = [3, 2, 1, 1, 1, 1]


@pytest.fixture
def path(tmp_path):
    return write_vocabulary(tmp_path / "v.gguf", PIECES, SCORES, TYPES, unknown=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ﬁne　ＡＢＣ １２", "fine ABC 12"),
        ("e\u0301", "é"),
        ("a\tb\nc\u200bd\ufeffe", "a b c d e"),
        ("a\x07\x1fb", "ab"),
        ("～5折～", "～5折～"),
        ("the \u2581 mark", "the   mark"),
        ("", ""),
    ],
)
def test_text_is_normalized_as_in_training(text, expected):
    assert normalize(text) == expected


@given(st.text())
def test_normalizing_twice_changes_nothing_more(text):
    assert normalize(normalize(text)) == normalize(text)


def test_tokens_stand_between_the_marks_that_the_file_asks_for(path):
    vocabulary = read_vocabulary(path, read_header(path))
    assert vocabulary.encode("ab").tolist() == [0, 3, 5, 0]
    assert vocabulary.encode("ab", marks=False).tolist() == [3, 5]
    assert vocabulary.encode("").tolist() == [0, 0]
    assert vocabulary.encode("a\udc80").dtype == np.int32  # a half of a character


def test_a_file_without_marks_gets_none(path):
    header = read_header(path)
    plain = {"tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": False}
    vocabulary = read_vocabulary(path, replace(header, metadata=header.metadata | plain))
    assert vocabulary.encode("ab").tolist() == [3, 5]


@pytest.mark.parametrize(
    "other",
    [
        {"tokenizer.ggml.model": "gpt2"},
        {"general.architecture": "t5"},
        {"tokenizer.ggml.remove_extra_whitespaces": False},
    ],
)
def test_other_tokenizers_are_left_to_llama_cpp(path, other):
    header = read_header(path)
    assert read_vocabulary(path, replace(header, metadata=header.metadata | other)) is None


def test_a_table_for_normalizing_is_left_to_llama_cpp(path):
    header = read_header(path)
    table = {"tokenizer.ggml.precompiled_charsmap": header.arrays["tokenizer.ggml.scores"]}
    assert read_vocabulary(path, replace(header, arrays=header.arrays | table)) is None


def test_tokens_cut_out_of_a_text_beforehand_are_left_to_llama_cpp(tmp_path):
    types = [*TYPES[:-1], 4]
    path = write_vocabulary(tmp_path / "v.gguf", PIECES, SCORES, types, unknown=1)
    assert read_vocabulary(path, read_header(path)) is None


def test_a_file_without_tokens_is_left_to_llama_cpp(tmp_path):
    path = write_llama(tmp_path / "a.gguf")
    assert read_vocabulary(path, read_header(path)) is None


def test_a_damaged_vocabulary_is_named(tmp_path):
    path = write_vocabulary(tmp_path / "v.gguf", PIECES, SCORES, TYPES, unknown=9)
    with pytest.raises(ModelFileError, match=r"v\.gguf has a damaged vocabulary: .*token 9"):
        read_vocabulary(path, read_header(path))
