from __future__ import annotations

import contextlib
import time

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import write_embedder, write_llama

from pyrec import gguf_header
from pyrec.errors import ModelFileError
from pyrec.gguf_header import read_header


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch") / "some.gguf"


def test_length_stated_by_the_tensor_table_is_the_length_of_the_file(whole, scratch):
    scratch.write_bytes(whole)
    header = read_header(scratch)
    assert header.architecture == "llama"
    assert header.metadata["llama.block_count"] == 1
    assert header.n_tensors == 12
    # The writer pads the last tensor, which need not be there.
    assert len(whole) - 32 < header.n_bytes <= len(whole)


def test_arrays_and_tensors_lie_where_the_header_says(tmp_path):
    path = write_llama(tmp_path / "tiny.gguf", n_tokens_listed=3)
    header, data = read_header(path), path.read_bytes()
    tokens = header.arrays["tests.tokens"]
    assert (tokens.type, tokens.shape) == (8, (3,))
    inside = data[tokens.start : tokens.start + tokens.n_bytes]
    assert inside == b"".join(b"\6" + bytes(7) + b"token%d" % i for i in range(3))
    for tensor in gguf.GGUFReader(path).tensors:
        block = header.tensors[tensor.name]
        assert block.shape == tuple(tensor.shape.tolist())
        assert data[block.start : block.start + block.n_bytes] == tensor.data.tobytes()


def test_text_and_embedding_models_are_told_apart(tmp_path):
    assert read_header(write_llama(tmp_path / "a.gguf")).kind == "text"
    assert read_header(write_embedder(tmp_path / "b.gguf")).kind == "embedding"


def test_block_sizes_are_those_of_ggml():
    sizes = {int(type_): blocks for type_, blocks in gguf.GGML_QUANT_SIZES.items()}
    shared = gguf_header._BLOCKS.keys() & sizes.keys()
    assert len(shared) > 25
    assert {t: gguf_header._BLOCKS[t] for t in shared} == {t: sizes[t] for t in shared}


@given(share=st.floats(0, 0.999))
def test_truncated_file_is_refused_wherever_it_was_cut(whole, scratch, share):
    scratch.write_bytes(whole[: int(share * (len(whole) - 32))])
    with pytest.raises(ModelFileError, match=r"truncated|is not a GGUF|version"):
        read_header(scratch)


@given(st.lists(st.tuples(st.integers(4, 1200), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_head_is_refused_or_read_but_never_fails_otherwise(whole, scratch, changes):
    data = bytearray(whole)
    for place, value in changes:
        data[place] = value
    scratch.write_bytes(data)
    with contextlib.suppress(ModelFileError):
        read_header(scratch)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a GGUF model file"),
        (b"GGUF" + (1).to_bytes(4, "little") + bytes(40), "version 1"),
        (b"GGUF" + (3).to_bytes(4, "big") + bytes(40), "big-endian"),
        (b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 16, "truncated or damaged"),
    ],
)
def test_foreign_file_is_named_for_what_it_is(scratch, data, says):
    scratch.write_bytes(data)
    with pytest.raises(ModelFileError, match=says):
        read_header(scratch)


def test_head_larger_than_the_first_read_is_read_on(tmp_path, monkeypatch):
    path = write_llama(tmp_path / "a.gguf", n_tokens_listed=500)
    expected = read_header(path)
    monkeypatch.setattr(gguf_header, "_FIRST_READ", 64)
    assert read_header(path) == expected


def test_vocabulary_of_a_quarter_million_is_skipped_quickly(tmp_path):
    path = write_llama(tmp_path / "a.gguf", n_tokens_listed=262_144)
    start = time.perf_counter()
    read_header(path)
    assert time.perf_counter() - start < 0.5  # 0.03 s on a quiet machine
