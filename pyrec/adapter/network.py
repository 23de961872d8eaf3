"""A decoder-only text model in PyTorch: frozen weights of a GGUF, and what is learned beside them.

    y = W x + (alpha / rank) . B A x        W frozen, A and B learned, B zero at first

The blocks are those of llama.cpp's architectures `llama` and `gemma3`, with their tensors as the
file holds them, so that what is learned fits the file (`export.py`) and no order has to be
undone. Sources: Touvron et al., 2023, "LLaMA"; Gemma Team, 2025, "Gemma 3"; Hu et al., 2021,
"LoRA".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pyrec.adapter.shape import Shape, read_shape
from pyrec.adapter.weights import Weights
from pyrec.gguf_header import read_header

ATTENTION = ("attn_q", "attn_k", "attn_v", "attn_output")
FEED_FORWARD = ("ffn_gate", "ffn_up", "ffn_down")


@dataclass(frozen=True)
class Rows:
    """Texts to read, one after the other in a row.

    Attributes:
        tokens: (n,) int64.
        positions: (n,) int64, of each token in its text.
        visible: (n, n) bool, whether the token of a row sees that of a column.
    """

    tokens: Tensor
    positions: Tensor
    visible: Tensor


class Adapted(nn.Module):
    """A frozen matrix, and a low-rank one beside it.

    Args:
        weight: (rows, columns), frozen.
        rank: of what is learned; 0 for nothing.
        alpha: what is learned counts alpha / rank times.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", weight, persistent=False)
        self.scale = alpha / rank if rank else 0.0
        if rank:
            n_rows, n_columns = weight.shape
            a = torch.empty(rank, n_columns)
            nn.init.kaiming_uniform_(a, a=math.sqrt(5))
            self.lora_a, self.lora_b = nn.Parameter(a), nn.Parameter(torch.zeros(n_rows, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply (n, columns) float32 and return (n, rows) float32."""
        x = x.to(self.weight.dtype)
        y = F.linear(x, self.weight).float()
        if self.scale:
            inner = F.linear(x, self.lora_a.to(x.dtype))
            y = y + self.scale * F.linear(inner, self.lora_b.to(x.dtype)).float()
        return y


class Block(nn.Module):
    """Attention and feed-forward, each beside the stream that goes through."""

    def __init__(
        self,
        shape: Shape,
        matrices: Mapping[str, Adapted],
        norms: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.shape = shape
        self.attn_q, self.attn_k = matrices["attn_q"], matrices["attn_k"]
        self.attn_v, self.attn_output = matrices["attn_v"], matrices["attn_output"]
        self.ffn_gate, self.ffn_up = matrices["ffn_gate"], matrices["ffn_up"]
        self.ffn_down = matrices["ffn_down"]
        for name, weight in norms.items():
            self.register_buffer(name, weight, persistent=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], visible: Tensor) -> Tensor:
        """Read (n, width) and return the same shape."""
        y = self._attend(self._norm("attn_norm", x), turn, visible)
        x = x + (self._norm("post_attention_norm", y) if self.shape.is_gemma else y)
        y = self._norm("ffn_norm", x)
        gate = self.ffn_gate(y)
        gate = F.gelu(gate, approximate="tanh") if self.shape.is_gemma else F.silu(gate)
        y = self.ffn_down(gate * self.ffn_up(y))
        return x + (self._norm("post_ffw_norm", y) if self.shape.is_gemma else y)

    def _attend(self, y: Tensor, turn: tuple[Tensor, Tensor], visible: Tensor) -> Tensor:
        width = self.shape.head_width
        q, k, v = (
            part(y).view(len(y), -1, width).transpose(0, 1)
            for part in (self.attn_q, self.attn_k, self.attn_v)
        )
        if self.shape.is_gemma:
            q, k = self._norm("attn_q_norm", q), self._norm("attn_k_norm", k)
        turned = _turned_halves if self.shape.is_gemma else _turned_pairs
        q, k = turned(q, *turn), turned(k, *turn)
        met = F.scaled_dot_product_attention(
            q[None], k[None], v[None], attn_mask=visible, enable_gqa=True
        )[0]
        out: Tensor = self.attn_output(met.transpose(0, 1).reshape(len(y), -1))
        return out

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight: Tensor = getattr(self, name)
        return F.rms_norm(x, weight.shape, weight, self.shape.epsilon)


def _turned_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of neighboring numbers: llama.cpp's type "norm"."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


def _turned_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each number of the first half with its like of the second: type "neox"."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Network(nn.Module):
    """The whole model.

    Args:
        shape: sizes.
        blocks: in order.
        rows: (n_vocab, width), of the tokens; frozen.
        norm: (width,), of the last norm.
        heads: (n_vocab, width), of the answers; mostly the very rows.
    """

    def __init__(
        self, shape: Shape, blocks: Sequence[Block], rows: Tensor, norm: Tensor, heads: Tensor
    ) -> None:
        super().__init__()
        self.shape = shape
        self.rows: Tensor
        self.heads: Tensor
        self.output_norm: Tensor
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("heads", heads, persistent=False)
        self.register_buffer("output_norm", norm, persistent=False)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, read: Rows) -> Tensor:
        """Return hidden states after each token, (n, width) float32."""
        shape = self.shape
        x = self.rows[read.tokens].float()
        if shape.is_gemma:
            x = x * math.sqrt(shape.width)
        turn = _turn(read.positions, shape.rope_base, shape.head_width)
        near, seen = turn, read.visible
        if shape.window:
            near = _turn(read.positions, shape.local_base, shape.head_width)
            seen = seen & (read.positions[:, None] - read.positions < shape.window)
        for n, block in enumerate(self.blocks):
            is_local = shape.is_local(n)
            x = block(x, near, seen) if is_local else block(x, turn, read.visible)
        return F.rms_norm(x, self.output_norm.shape, self.output_norm, shape.epsilon)

    def logprobs(
        self, hidden: Tensor, wanted: Tensor, among: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Return log P of one token after each hidden state, (n,) float32.

        Args:
            hidden: (n, width) float32.
            wanted: (n,) int64.
            among: (m,) int64, the tokens to compare with, ascending, with (m,) float32, the log of
                how many tokens each stands for; None to compare with all.
        """
        heads = self.heads if among is None else self.heads[among[0]]
        logits = F.linear(hidden.to(heads.dtype), heads).float()
        if among is not None:
            logits, wanted = logits + among[1], torch.searchsorted(among[0], wanted)
        return -F.cross_entropy(logits, wanted, reduction="none")


def _turn(positions: Tensor, base: float, width: int) -> tuple[Tensor, Tensor]:
    step = base ** (-torch.arange(0, width, 2, device=positions.device).double() / width)
    angle = positions.double()[:, None] * step
    return angle.cos().float(), angle.sin().float()


def load_network(
    path: Path,
    *,
    rank: int = 0,
    alpha: float = 0.0,
    targets: Sequence[str] = (),
    dtype: torch.dtype = torch.float32,
) -> Network:
    """Read a text model.

    Args:
        path: a GGUF file of an architecture that `shape.KNOWN` names.
        rank: of what is learned beside each of `targets`; 0 for nothing.
        alpha: what is learned counts alpha / rank times.
        targets: names of matrices, of `ATTENTION` and `FEED_FORWARD`.
        dtype: of the frozen matrices; `torch.bfloat16` where the machine multiplies it faster.

    Raises:
        ModelFileError: the file is damaged, or cannot be adapted.
    """
    header = read_header(path)
    shape, weights = read_shape(path, header), Weights(path, header)

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(weights.read(name))

    names = ["attn_norm", "ffn_norm"]
    if shape.is_gemma:
        names += ["attn_q_norm", "attn_k_norm", "post_attention_norm", "post_ffw_norm"]
    blocks = []
    for n in range(shape.n_layers):
        matrices = {
            name: Adapted(
                tensor(f"blk.{n}.{name}.weight").to(dtype), rank if name in targets else 0, alpha
            )
            for name in (*ATTENTION, *FEED_FORWARD)
        }
        norms = {name: tensor(f"blk.{n}.{name}.weight") for name in names}
        blocks.append(Block(shape, matrices, norms))
    rows = tensor("token_embd.weight").to(dtype)
    heads = tensor("output.weight").to(dtype) if "output.weight" in weights else rows
    return Network(shape, blocks, rows, tensor("output_norm.weight"), heads)
