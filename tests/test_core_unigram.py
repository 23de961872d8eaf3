"""unigram.h and gguf_strings.h: the likeliest pieces of a text, the same as llama.cpp finds."""

from __future__ import annotations

import random
import struct
import time
import unicodedata

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st
from model_samples import real_model, write_vocabulary

from pyrec import _core, llama
from pyrec.gguf_header import read_header
from pyrec.vocabulary import read_vocabulary

NORMAL, UNKNOWN, CONTROL, UNUSED = 1, 2, 3, 5
EVERYTHING = 1 << 40

letters = st.sampled_from(["a", "b", "é", "运", "👟", "\u2581"])
some_pieces = st.lists(st.text(letters, min_size=1, max_size=4), min_size=1, max_size=20)
some_texts = st.text(letters | st.sampled_from([" ", "z", "\0"]), max_size=30)


def array(strings: list[bytes]) -> np.ndarray:
    """Write strings as a GGUF has them."""
    return np.frombuffer(b"".join(struct.pack("<Q", len(s)) + s for s in strings), np.uint8)


def unigram(pieces: list[str], scores: list[float], unknown: int = 0) -> _core.Unigram:
    types = np.full(len(pieces), NORMAL, np.int32)
    types[unknown] = UNKNOWN
    strings = array([piece.encode() for piece in pieces])
    return _core.Unigram(strings, np.array(scores, np.float32), types, unknown)


def encode(tokenizer: _core.Unigram, text: str) -> list[int]:
    return tokenizer.encode(text.encode(), EVERYTHING).tolist()


@given(some_pieces, st.lists(st.integers(-12, 0), min_size=20, max_size=20), some_texts)
def test_agrees_with_trying_every_piece_at_every_place(pieces, scores, text):
    # Whole numbers as scores, so that ties are common.
    pieces, scores = ["<unk>", *pieces], [0, *scores[: len(pieces)]]
    expected = twins.unigram([None, *pieces[1:]], scores, 0, text)
    assert encode(unigram(pieces, scores), text) == expected


def as_llama(model: llama.Model, text: str) -> list[int]:
    return model.tokenize(text).tolist()


def test_agrees_with_llama_cpp_on_random_vocabularies(tmp_path, rng):
    letters = ["a", "b", "é", "运", "👟", "\u2581", "y"]
    for round_ in range(20):
        pieces = ["".join(rng.choice(letters, rng.integers(1, 5))) for _ in range(40)]
        pieces = ["<unk>", "<s>", *dict.fromkeys(pieces)]
        scores = [0.0, 0.0, *rng.integers(-12, 0, len(pieces) - 2).astype(float).tolist()]
        types = [UNKNOWN, CONTROL, *rng.choice([NORMAL, UNUSED], len(pieces) - 2).tolist()]
        path = tmp_path / f"{round_}.gguf"
        model = llama.Model(write_vocabulary(path, pieces, scores, types, 0), vocab_only=True)
        ours = read_vocabulary(path, read_header(path))
        assert ours is not None
        for _ in range(100):
            text = "".join(rng.choice([*letters, " ", "z", "<s>"], rng.integers(0, 30)))
            assert encode(ours.pieces, text) == as_llama(model, text), (round_, text)
        model.close()


def test_nothing_and_spaces_alone_have_no_tokens():
    tokenizer = unigram(["<unk>", "a"], [0, -1])
    assert encode(tokenizer, "") == encode(tokenizer, "   ") == []


def test_unknown_characters_side_by_side_are_one_token():
    tokenizer = unigram(["<unk>", "\u2581", "a"], [0, -1, -1])
    assert encode(tokenizer, "xyz") == [1, 0]
    assert encode(tokenizer, "xyz axa 👟") == [1, 0, 1, 2, 0, 2, 1, 0]


def test_a_longer_piece_wins_where_it_is_likelier_than_its_parts_together():
    pieces = ["<unk>", "\u2581", "a", "b", "ab"]
    assert encode(unigram(pieces, [0, -1, -1, -1, -1.5]), "ab") == [1, 4]
    assert encode(unigram(pieces, [0, -1, -1, -1, -2.5]), "ab") == [1, 2, 3]


def test_control_tokens_are_not_found_in_a_text():
    strings, scores = array([b"<unk>", b"<s>", b"\xe2\x96\x81"]), np.zeros(3, np.float32)
    tokenizer = _core.Unigram(strings, scores, np.array([UNKNOWN, CONTROL, UNUSED], np.int32), 0)
    assert encode(tokenizer, "<s>") == [2, 0]


def test_a_cut_keeps_the_first_tokens():
    tokenizer = unigram(["<unk>", "\u2581", "a"], [0, -1, -1])
    text = b"a a a"
    assert tokenizer.encode(text, 3).tolist() == tokenizer.encode(text, 99).tolist()[:3]
    assert tokenizer.encode(text, 0).tolist() == []


@pytest.mark.parametrize(
    "text", ["a" * 50_000, "ab " * 33_000, "运动鞋" * 11_000, "\U00012345" * 25_000, " " * 100_000]
)
def test_time_grows_with_the_length_of_the_text_and_no_faster(text):
    tokenizer = unigram(["<unk>", "\u2581", "a", "aa", "a" * 16, "运动"], [0, -1, -1, -1, -2, -1])
    start = time.process_time()
    encode(tokenizer, text)
    once = time.process_time() - start
    encode(tokenizer, text * 8)
    assert time.process_time() - start - once < 40 * once + 0.1
    assert once < 0.5  # 100 kB in 0.02 s on a quiet machine


def test_bytes_that_are_no_text_do_no_harm():
    tokenizer = unigram(["<unk>", "\u2581", "a"], [0, -1, -1])
    for data in (b"\xff", b"a\xf0", b"\xe2\x96", bytes(range(256))):
        assert set(tokenizer.encode(data, 99).tolist()) <= {0, 1, 2}


def test_damaged_vocabularies_are_refused():
    strings, scores = array([b"a", b"b"]), np.zeros(2, np.float32)
    types = np.ones(2, np.int32)
    with pytest.raises(IndexError, match="string 1 of 2 runs past the end"):
        _core.Unigram(strings[:-1].copy(), scores, types, 0)
    with pytest.raises(IndexError, match="unknown token 2"):
        _core.Unigram(strings, scores, types, 2)
    with pytest.raises(ValueError, match="types has 1"):
        _core.Unigram(strings, scores, types[:1].copy(), 0)
    with pytest.raises(ValueError, match="max_tokens is -1"):
        _core.Unigram(strings, scores, types, 0).encode(b"a", -1)


def test_strings_are_stepped_over():
    data = array([b"one", b"", "三".encode()])
    assert _core.skip_strings(data, 0, 3) == len(data)
    assert _core.skip_strings(data, 11, 1) == 19
    assert _core.skip_strings(data, 5, 0) == 5


@pytest.mark.parametrize("length", [4, 1 << 62, 1 << 63, (1 << 64) - 1])
def test_strings_that_run_past_the_end_are_refused(length):
    data = np.frombuffer(struct.pack("<Q", length) + b"abc", np.uint8)
    with pytest.raises(IndexError, match="string 0 of 1"):
        _core.skip_strings(data, 0, 1)


# The real vocabulary, 250,002 pieces in a hundred languages

SCRIPTS = [
    (0x20, 0x7F), (0xA0, 0x250), (0x370, 0x600), (0x600, 0x700), (0x900, 0xE00), (0xE00, 0x1000),
    (0x2000, 0x2100), (0x3040, 0x3100), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF),
    (0x10000, 0x10FFFF),
]  # fmt: skip


def words(random_: random.Random) -> str:
    first, last = random_.choice(SCRIPTS)
    length = random_.randint(0, 8)
    return "".join(chr(random_.randint(first, last)) for _ in range(length))


@pytest.mark.model
def test_agrees_with_llama_cpp_on_the_real_vocabulary():
    path = real_model("multilingual-e5-small")
    ours = read_vocabulary(path, read_header(path))
    assert ours is not None
    theirs = llama.Model(path, vocab_only=True)
    random_ = random.Random(5)
    names = [unicodedata.name(chr(c), "") for c in range(0x20, 0x3000)]
    texts = [
        "", " ", "\0", "a\0b", "<s> <mask> <unk> </s>", "\u2581\u2581 \u2581a",
        "query: The Lord of the Rings (2001) 红烧牛肉面 五连包 кроссовки для бега كتب للأطفال 👟",
        "a" * 1000, "ab" * 50_000, "运动鞋" * 11_000, " x" * 50_000, "\U00012345" * 500,
    ]  # fmt: skip
    for _ in range(3000):
        texts.append(random_.choice([" ", "", "  "]).join(words(random_) for _ in range(5)))
        texts.append(" ".join(random_.choices(names, k=4)).title())
    wrong = [text for text in texts if encode(ours.pieces, text) != as_llama(theirs, text)]
    theirs.close()
    assert not wrong
