"""Reads the vocabulary of an embedding model out of its GGUF, in place of llama.cpp.

For a quarter million pieces llama.cpp's own unigram tokenizer takes 125 MB and 0.7 s,
`_core.Unigram` 7 MB and 25 ms. `embedder.py` calls it. Files that ask for anything else than a
plain unigram model are left to llama.cpp.
Normalization: SentencePiece's rule `nmt_nfkc`, which XLM-R and E5 were trained with.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec._core import Unigram
from pyrec.errors import ModelFileError
from pyrec.gguf_header import GgufHeader

_TOKENS, _SCORES, _TYPES = (f"tokenizer.ggml.{name}" for name in ("tokens", "scores", "token_type"))
_I32, _F32, _STRING = 5, 6, 8  # GGUF's types of values
_USER_DEFINED = 4  # GGUF's type of tokens that are cut out of a text before anything else

_EXPECTED = {
    "general.architecture": "bert",
    "tokenizer.ggml.model": "t5",  # llama.cpp's name for a unigram tokenizer
    "tokenizer.ggml.add_space_prefix": True,
    "tokenizer.ggml.remove_extra_whitespaces": True,
}
_MARKS = ("bos_token_id", "eos_token_id", "unknown_token_id", "add_bos_token", "add_eos_token")
_STATED = {f"tokenizer.ggml.{name}" for name in _MARKS}

_SPACES = "\t\n\f\r\u1680\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2581\ufeff\ufffd"
_DROPPED = [*range(0x1, 0x9), 0xB, *range(0xE, 0x20), 0x7F, 0x8F, 0x9F]
_CHARACTERS = str.maketrans(dict.fromkeys(_SPACES, " ") | dict.fromkeys(map(chr, _DROPPED)))


def normalize(text: str) -> str:
    """Write text as the model was trained to read it: NFKC, control characters dropped."""
    # The wide tilde alone stays as it is: it is a dash in Chinese and Japanese.
    parts = text.translate(_CHARACTERS).split("～")
    return "～".join(unicodedata.normalize("NFKC", part) for part in parts)


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a unigram model, and the marks that it expects around a text."""

    pieces: Unigram
    before: tuple[int, ...]
    after: tuple[int, ...]

    def encode(self, text: str, *, marks: bool = True) -> npt.NDArray[np.int32]:
        """Return the tokens of a text, (n,) int32, with the marks of its beginning and end."""
        data = normalize(text).encode("utf-8", "replace")
        tokens = self.pieces.encode(data, len(data) + 1)
        if not marks:
            return tokens
        return np.array([*self.before, *tokens, *self.after], np.int32)


def read_vocabulary(path: Path, header: GgufHeader) -> Vocabulary | None:
    """Read a vocabulary; None where the file is one that llama.cpp must read itself.

    Raises:
        ModelFileError: the vocabulary is damaged.
        OSError: the file cannot be read.
    """
    if not _is_plain(header):
        return None
    values = header.metadata
    types = _array(path, header, _TYPES, np.int32)
    if (types == _USER_DEFINED).any():
        return None
    strings = _array(path, header, _TOKENS, np.uint8)
    scores = _array(path, header, _SCORES, np.float32)
    try:
        pieces = Unigram(strings, scores, types, int(values["tokenizer.ggml.unknown_token_id"]))
    except (ValueError, IndexError) as error:
        raise ModelFileError(f"{path} has a damaged vocabulary: {error}; fetch it again") from error
    before, after = (
        (int(values[f"tokenizer.ggml.{mark}_token_id"]),)
        if values[f"tokenizer.ggml.add_{mark}_token"]
        else ()
        for mark in ("bos", "eos")
    )
    return Vocabulary(pieces, before, after)


def _is_plain(header: GgufHeader) -> bool:
    """Tell whether `Unigram` and `normalize` do all that the file asks for."""
    blocks = [header.arrays[name] for name in (_TOKENS, _SCORES, _TYPES) if name in header.arrays]
    return (
        header.metadata.items() >= _EXPECTED.items()
        and header.metadata.keys() >= _STATED
        and [block.type for block in blocks] == [_STRING, _F32, _I32]
        and len({block.shape for block in blocks}) == 1
        # A table of its own for normalizing text, not necessarily ours.
        and "tokenizer.ggml.precompiled_charsmap" not in header.arrays
    )


def _array(path: Path, header: GgufHeader, name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
    block = header.arrays[name]
    n = block.n_bytes // np.dtype(dtype).itemsize
    return np.fromfile(path, dtype, n, offset=block.start)
