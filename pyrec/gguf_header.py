"""Reads the head of a GGUF file: what it says of itself, and where its arrays and tensors lie.

`model_folder.py` asks, to tell a whole model file from a foreign or truncated one; `vocabulary.py`
finds the tokens. Our own reader, because the `gguf` package builds every token of the vocabulary
and takes over a second to open a large one; this one steps over arrays.
Source: the GGUF specification, `docs/gguf.md` of ggml.

    "GGUF"  u32 version  u64 tensors  u64 entries
    entry   string key, u32 type, value             (string: u64 bytes, then UTF-8)
    tensor  string name, u32 dimensions, u64 x dimensions, u32 ggml type, u64 offset
    padding to the alignment, then the tensors' bytes
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Literal

import numpy as np

from pyrec import _core
from pyrec.errors import ModelFileError

Scalar = str | int | float | bool

_FIRST_READ = 1 << 24
_HEADER_LIMIT = 1 << 28

_STRING, _ARRAY = 8, 9
_SCALARS = {
    type_: struct.Struct("<" + code)
    for type_, code in zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
}
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

# ggml type: (weights in a block, bytes of a block). A type that is not here has no known length.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
    41: (128, 18),
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Where the values of an array or a tensor lie.

    Attributes:
        type: of one value: of GGUF for an array, of ggml for a tensor.
        shape: how many values there are; of a matrix first the width of a row, as ggml has it.
        start: the place of the first byte in the file.
        n_bytes: how many bytes follow from there.
    """

    type: int
    shape: tuple[int, ...]
    start: int
    n_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF says of itself.

    Attributes:
        metadata: its entries with one value.
        arrays: its entries with many values.
        tensors: by name.
        n_bytes: the least length of a whole file.
    """

    metadata: dict[str, Scalar]
    arrays: dict[str, Block]
    tensors: dict[str, Block]
    n_bytes: int

    @property
    def n_tensors(self) -> int:
        """How many tensors the file holds."""
        return len(self.tensors)

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture, "" when the file states none."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def kind(self) -> Literal["text", "embedding"]:
        """`embedding` for a model that pools its text into one vector, else `text`."""
        arch = self.architecture
        is_encoder = arch.endswith(("bert", "bert-v2", "bert-v3", "t5encoder", "-embedding"))
        pools = bool(self.metadata.get(f"{arch}.pooling_type", 0))
        return "embedding" if is_encoder or pools else "text"


def read_header(path: Path) -> GgufHeader:
    """Read the head of a GGUF file and check that all of its tensors are there.

    Raises:
        ModelFileError: the file is no GGUF, of a version that llama.cpp does not read, damaged
            in its head, or shorter than its tensors.
        OSError: the file cannot be read.
    """
    n = _FIRST_READ
    with open(path, "rb") as file:
        size = path.stat().st_size
        _check_magic(path, file.read(8))
        while True:
            try:
                header = _parse(_beginning(file, min(n, size)))
                break
            except (struct.error, IndexError):
                if n >= min(size, _HEADER_LIMIT):
                    raise ModelFileError(
                        f"{path} is truncated or damaged: its {size:,} bytes end, or make no "
                        "sense, within the head of the GGUF; fetch it again"
                    ) from None
                n *= 2
            except ValueError as error:
                raise ModelFileError(f"{path} is damaged: {error}; fetch it again") from None
    if size < header.n_bytes:
        raise ModelFileError(
            f"{path} is truncated: {size:,} bytes of {header.n_bytes:,}; fetch it again"
        )
    return header


def _beginning(file: BufferedReader, n: int) -> mmap.mmap:
    """Read the first n bytes of a file.

    Into memory of their own, which goes back to the system at once: of a freed `bytes` object the
    allocator keeps up to twice those 16 MB for later.
    """
    data = mmap.mmap(-1, n)
    file.seek(0)
    file.readinto(data)
    return data


def _check_magic(path: Path, data: bytes) -> None:
    if data[:4] != b"GGUF":
        begins = "it is empty" if not data else f"it begins with {data[:4]!r}"
        raise ModelFileError(f"{path} is not a GGUF model file: {begins}, not with b'GGUF'")
    version = int.from_bytes(data[4:8], "little")
    if version in (2, 3) or len(data) < 8:
        return
    if int.from_bytes(data[4:8], "big") in (2, 3):
        raise ModelFileError(f"{path} is a big-endian GGUF; get the little-endian one")
    raise ModelFileError(
        f"{path} is a GGUF of version {version}; versions 2 and 3 are known, get a newer file"
    )


def _parse(data: mmap.mmap) -> GgufHeader:
    u32, u64 = _U32.unpack_from, _U64.unpack_from
    (n_tensors,), (n_entries,) = u64(data, 8), u64(data, 16)
    at = 24
    metadata: dict[str, Scalar] = {}
    arrays: dict[str, Block] = {}
    for _ in range(n_entries):
        key, at = _string(data, at)
        (type_,) = u32(data, at)
        at += 4
        if type_ == _STRING:
            metadata[key], at = _string(data, at)
        elif type_ == _ARRAY:
            arrays[key] = _array(data, at)
            at = arrays[key].start + arrays[key].n_bytes
        else:
            (metadata[key],) = _scalar(type_).unpack_from(data, at)
            at += _scalar(type_).size
    tensors: dict[str, Block] = {}
    for _ in range(n_tensors):
        name, at = _string(data, at)
        (n_dims,) = u32(data, at)
        if n_dims > 4:
            raise ValueError(f"its head holds a tensor of {n_dims} dimensions")
        *shape, type_, offset = struct.unpack_from(f"<{n_dims}QIQ", data, at + 4)
        at += 4 + 8 * n_dims + 12
        per_block, block_bytes = _BLOCKS.get(type_, (1, 0))
        n_bytes = math.prod(shape) // per_block * block_bytes
        tensors[name] = Block(type_, tuple(shape), offset, n_bytes)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"its head states an alignment of {alignment!r}")
    start = -(-at // alignment) * alignment if n_tensors else at
    # Until here a tensor's place was counted from the first one's.
    tensors = {name: replace(b, start=start + b.start) for name, b in tensors.items()}
    end = max((b.start + b.n_bytes for b in tensors.values()), default=start)
    return GgufHeader(metadata, arrays, tensors, end)


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (n,) = _U64.unpack_from(data, at)
    at += 8
    if at + n > len(data):
        raise IndexError
    return data[at : at + n].decode("utf-8", "replace"), at + n


def _array(data: mmap.mmap, at: int) -> Block:
    type_, n = struct.unpack_from("<IQ", data, at)
    at += 12
    if type_ == _STRING:
        if n > len(data):  # no number that C++ could count to, in a damaged file
            raise IndexError
        end = _core.skip_strings(np.frombuffer(data, np.uint8), at, n)
    else:
        end = at + n * _scalar(type_).size
    if end > len(data):
        raise IndexError
    return Block(type_, (n,), at, end - at)


def _scalar(type_: int) -> struct.Struct:
    # Arrays of arrays are in the specification, but llama.cpp reads none either.
    if type_ not in _SCALARS:
        raise ValueError(f"its head holds a value of the unknown type {type_}")
    return _SCALARS[type_]
