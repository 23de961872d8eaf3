"""Runs a BERT without loading its vocabulary: a small copy for llama.cpp, rows of the rest by need.

Three quarters of a multilingual encoder are a table with a row for each token, of which a text
reads a few dozen; `TokenRows` reads those from the file. `small_copy` writes the other quarter as a
GGUF of its own with a vocabulary of one. Besides the table that saves what llama.cpp keeps for each
token that exists: its pieces, and space for a logit each at every token of a text, 128 MB for 128.
`embedder.py` calls both.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from pyrec.errors import ModelFileError
from pyrec.gguf_header import Block, GgufHeader, Scalar
from pyrec.memory_file import memory_file

_TABLE = "token_embd.weight"
_ALIGNMENT = 32
_F32, _Q4_0 = 0, 2  # ggml's types of weights
_BLOCK_WEIGHTS, _BLOCK_BYTES = 32, 18  # Q4_0: a float16 scale, then 32 weights of four bits


def table_of(header: GgufHeader) -> Block | None:
    """Return where the rows of a BERT's tokens lie; None where this module cannot read them."""
    table = header.tensors.get(_TABLE)
    # Arrays other than the tokenizer's may matter to the encoder; ours has none.
    is_ours = all(name.startswith("tokenizer.") for name in header.arrays)
    if header.architecture != "bert" or table is None or not is_ours:
        return None
    is_matrix = len(table.shape) == 2 and table.shape[0] % _BLOCK_WEIGHTS == 0
    return table if table.type == _Q4_0 and is_matrix else None


class TokenRows:
    """Rows of a Q4_0 matrix that stays in its file, which is open until `close`."""

    def __init__(self, path: Path, table: Block) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._table = table
        self.width = table.shape[0]
        self._row_bytes = self.width // _BLOCK_WEIGHTS * _BLOCK_BYTES

    def close(self) -> None:
        """Close the file; calling it twice is fine."""
        self._file.close()

    def read(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the (n, width) float32 rows of n tokens; not for two threads at a time.

        Raises:
            ModelFileError: the file has become shorter.
        """
        data = bytearray()
        for token in tokens:
            self._file.seek(self._table.start + token * self._row_bytes)
            data += self._file.read(self._row_bytes)
        if len(data) != len(tokens) * self._row_bytes:
            raise ModelFileError(f"{self._file.name} was cut short while in use; fetch it again")
        blocks = np.frombuffer(data, np.uint8).reshape(-1, _BLOCK_BYTES)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
        # A byte holds weights i and i + 16 of its block, each counted from -8.
        bits = blocks[:, 2:]
        weights = np.concatenate([bits & 15, bits >> 4], axis=1).astype(np.float32) - 8
        rows: npt.NDArray[np.float32] = (weights * scales).reshape(len(tokens), self.width)
        return rows


@contextlib.contextmanager
def small_copy(path: Path, header: GgufHeader) -> Iterator[Path]:
    """Write the encoder without its vocabulary, and remove it again at the end.

    Yields:
        A GGUF for llama.cpp, to be run on rows of `TokenRows` in place of tokens.
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
