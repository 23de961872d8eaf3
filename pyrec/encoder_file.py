"""Runs a BERT without loading its vocabulary: a small copy for llama.cpp, rows of the rest by need.

Three quarters of a multilingual encoder are a table with a row for each token, of which a text
reads a few dozen; `token_rows.py` reads those from the file. `small_copy` writes the other quarter
as a GGUF of its own with a vocabulary of one. Besides the table that saves what llama.cpp keeps for
each token that exists: its pieces, and space for a logit each at every token of a text, 128 MB for
128.
`embedder.py` calls both.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from pyrec.gguf_header import Block, GgufHeader, Scalar
from pyrec.memory_file import memory_file

_TABLE = "token_embd.weight"
_ALIGNMENT = 32
_F32, _Q4_0 = 0, 2  # ggml's types of weights
_BLOCK_WEIGHTS = 32  # of Q4_0


def table_of(header: GgufHeader) -> Block | None:
    """Return where the rows of a BERT's tokens lie; None where this module cannot read them."""
    table = header.tensors.get(_TABLE)
    # Arrays other than the tokenizer's may matter to the encoder; ours has none.
    is_ours = all(name.startswith("tokenizer.") for name in header.arrays)
    if header.architecture != "bert" or table is None or not is_ours:
        return None
    is_matrix = len(table.shape) == 2 and table.shape[0] % _BLOCK_WEIGHTS == 0
    return table if table.type == _Q4_0 and is_matrix else None


@contextlib.contextmanager
def small_copy(path: Path, header: GgufHeader) -> Iterator[Path]:
    """Write the encoder without its vocabulary, and remove it again at the end.

    Yields:
        A GGUF for llama.cpp, to be run on `TokenRows` in place of tokens.
    """
    with memory_file() as (file, name):
        _write(file, path, header)
        file.flush()
        yield name


def _write(out: IO[bytes], path: Path, header: GgufHeader) -> None:
    entries = {
        **header.metadata,
        "tokenizer.ggml.model": "none",
        f"{header.architecture}.vocab_size": 1,
        "general.alignment": _ALIGNMENT,
    }
    width = header.tensors[_TABLE].shape[0]
    tensors = {**header.tensors, _TABLE: Block(_F32, (width, 1), 0, 4 * width)}
    head = _head(entries, tensors)
    out.write(head.ljust(_aligned(len(head)), b"\0"))
    with open(path, "rb") as source:
        for name, block in tensors.items():
            source.seek(block.start)
            data = bytes(block.n_bytes) if name == _TABLE else source.read(block.n_bytes)
            out.write(data.ljust(_aligned(block.n_bytes), b"\0"))


def _head(entries: Mapping[str, Scalar], tensors: Mapping[str, Block]) -> bytes:
    """Return a GGUF's head, as `gguf_header` draws it, for tensors that follow in this order."""
    parts = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(entries))]
    parts += [_string(key) + _value(value) for key, value in entries.items()]
    offset = 0
    for name, block in tensors.items():
        n_dims = len(block.shape)
        table = struct.pack(f"<I{n_dims}QIQ", n_dims, *block.shape, block.type, offset)
        parts.append(_string(name) + table)
        offset += _aligned(block.n_bytes)
    return b"".join(parts)


def _value(value: Scalar) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    # llama.cpp reads counts as u32; what does not fit is for people to read.
    return struct.pack("<II", 4, value) if 0 <= value < 1 << 32 else struct.pack("<Iq", 11, value)


def _string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _aligned(n: int) -> int:
    return -(-n // _ALIGNMENT) * _ALIGNMENT
