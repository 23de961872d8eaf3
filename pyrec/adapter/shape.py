"""What a GGUF says of the sizes of its text model, as far as `network.py` can build it.

Source: the metadata keys of `docs/gguf.md` of ggml; what llama.cpp takes for granted for an
architecture (`llama-model.cpp`) stands here as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyrec.errors import ModelFileError
from pyrec.gguf_header import GgufHeader

KNOWN = ("llama", "gemma3")
_EVERY = 6
_LOCAL_BASE = 10000.0


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder-only text model.

    Attributes:
        architecture: llama.cpp's name for it, one of `KNOWN`.
        n_vocab: tokens.
        width: of the stream that goes through all blocks.
        n_layers: blocks.
        n_heads: of queries.
        n_kv_heads: of keys and values, each shared by `n_heads / n_kv_heads` of queries.
        head_width: of one head.
        feed_forward: width inside a block.
        epsilon: of the norms.
        rope_base: of the rotation of queries and keys.
        local_base: the same in blocks that see a window alone.
        window: positions that such a block sees; 0 where every block sees all.
    """

    architecture: str
    n_vocab: int
    width: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_width: int
    feed_forward: int
    epsilon: float
    rope_base: float
    local_base: float = 0.0
    window: int = 0

    @property
    def is_gemma(self) -> bool:
        """Whether the blocks are Gemma's: more norms, GELU, halves turned in place of pairs."""
        return self.architecture == "gemma3"

    def is_local(self, layer: int) -> bool:
        """Tell whether a block sees a window alone: five of six do."""
        return self.window > 0 and layer % _EVERY < _EVERY - 1


def read_shape(path: Path, header: GgufHeader) -> Shape:
    """Return the sizes that a file states.

    Args:
        path: for messages.
        header: of the file.

    Raises:
        ModelFileError: its architecture is not known here, or it has parts that are not.
    """
    arch = header.architecture
    if arch not in KNOWN:
        raise ModelFileError(
            f"{path.name} is of the architecture {arch or 'unknown'!r}, which cannot be adapted; "
            f"take a text model of {' or '.join(KNOWN)}"
        )
    extra = [n for n in header.tensors if n.endswith(".bias") or n in ("rope_freqs.weight",)]
    told = header.metadata
    if extra or any(f"{arch}.{key}" in told for key in ("expert_count", "rope.scaling.type")):
        what = extra[0] if extra else "experts or scaled positions"
        raise ModelFileError(f"{path.name} holds {what}, with which it cannot be adapted")
    try:
        n_heads, width = int(told[f"{arch}.attention.head_count"]), header.tensors[_ROWS].shape[0]
        return Shape(
            arch,
            header.tensors[_ROWS].shape[1],
            width,
            int(told[f"{arch}.block_count"]),
            n_heads,
            int(told.get(f"{arch}.attention.head_count_kv", n_heads)),
            int(told.get(f"{arch}.attention.key_length", width // n_heads)),
            int(told[f"{arch}.feed_forward_length"]),
            float(told[f"{arch}.attention.layer_norm_rms_epsilon"]),
            float(told.get(f"{arch}.rope.freq_base", _LOCAL_BASE)),
            float(told.get(f"{arch}.rope.freq_base_swa", _LOCAL_BASE)),
            int(told.get(f"{arch}.attention.sliding_window", 0)),
        )
    except KeyError as error:
        raise ModelFileError(f"{path.name} does not state {error}; it cannot be adapted") from None


_ROWS = "token_embd.weight"
