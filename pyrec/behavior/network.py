"""The behavior model in PyTorch: rows of tokens into a causal body, hidden states against rows.

    row(item)  = unit(learned(item) + projection . vector(item) + sum of its words' rows)
    P(next = y | tokens so far) = softmax over y of temperature . cos(hidden, row(y)) + bias(y)

The body is the architecture `llama` (RMSNorm, rotary positions, SwiGLU), so that llama.cpp runs
what `export.py` writes. Input and output share their rows. Source of the blocks: Touvron et al.,
2023, "LLaMA"; of the task: Kang and McAuley, 2018, "Self-Attentive Sequential Recommendation".
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pyrec.behavior.config import BehaviorConfig
from pyrec.behavior.content import Content

EPSILON = 1e-5
ROPE_BASE = 10000.0
_STD = 0.02


class Block(nn.Module):
    """Attention and feed-forward, each beside the stream that goes through."""

    def __init__(self, config: BehaviorConfig) -> None:
        super().__init__()
        width, inner = config.width, config.feed_forward
        self.n_heads = config.n_heads
        self.attn_norm = nn.RMSNorm(width, eps=EPSILON)
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, width, bias=False)
        self.attn_v = nn.Linear(width, width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_norm = nn.RMSNorm(width, eps=EPSILON)
        self.ffn_gate = nn.Linear(width, inner, bias=False)
        self.ffn_up = nn.Linear(width, inner, bias=False)
        self.ffn_down = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Read (n, length, width) and return the same shape."""
        n, length, width = x.shape
        y = self.attn_norm(x)
        q, k, v = (
            part(y).view(n, length, self.n_heads, -1).transpose(1, 2)
            for part in (self.attn_q, self.attn_k, self.attn_v)
        )
        dropout = self.dropout.p if self.training else 0.0
        met = F.scaled_dot_product_attention(
            _turned(q, turn), _turned(k, turn), v, dropout_p=dropout, is_causal=True
        )
        x = x + self.dropout(self.attn_output(met.transpose(1, 2).reshape(n, length, width)))
        y = self.ffn_norm(x)
        x = x + self.dropout(self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y)))
        return x


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate each pair of neighboring numbers, as llama.cpp does for this architecture."""
    cos, sin = turn
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


class Network(nn.Module):
    """The whole model.

    Args:
        n_items: tokens 0 to n_items - 1.
        n_actions: the tokens after them.
        content: what is known of the items.
        n_words: rows of the vocabulary of words.
        config: sizes.
    """

    def __init__(
        self, n_items: int, n_actions: int, content: Content, n_words: int, config: BehaviorConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.n_items, self.n_actions = n_items, n_actions
        width = config.width
        # What content describes begins with that alone: learned parts are for what it cannot say.
        learned = torch.randn(n_items + n_actions, width) * _STD
        learned[:n_items][torch.from_numpy(content.described)] = 0.0
        self.learned = nn.Parameter(learned)
        self.bias = nn.Parameter(torch.zeros(n_items + n_actions))
        self.words = nn.Parameter(torch.randn(n_words, width) * _STD)
        dim = content.vectors.shape[1]
        self.projection = nn.Parameter(torch.randn(dim, width) * _STD)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.output_norm = nn.RMSNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)
        nothing = np.zeros(n_actions, np.int64)
        ptr = np.concatenate([content.ptr, content.ptr[-1] + nothing])
        vectors = np.concatenate([content.vectors, np.zeros((n_actions, dim), np.float32)])
        self.ptr: Tensor
        self.word: Tensor
        self.weight: Tensor
        self.vectors: Tensor
        for name, array in (
            ("ptr", ptr),
            ("word", content.word.astype(np.int64)),
            ("weight", content.weight.astype(np.float32)),
            ("vectors", vectors.astype(np.float32)),
        ):
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def rows(self, tokens: Tensor | None = None) -> Tensor:
        """Return unit rows of some tokens, ascending, or of all, (n, width)."""
        return F.normalize(self.raw_rows(tokens), dim=1, eps=1e-6)

    def raw_rows(self, tokens: Tensor | None = None) -> Tensor:
        """Return the same before they get length 1."""
        if tokens is None:
            rows: Tensor = self.learned
            vectors, begin, word, weight = self.vectors, self.ptr[:-1], self.word, self.weight
        else:
            rows, vectors = self.learned[tokens], self.vectors[tokens]
            begins, counts = self.ptr[tokens], self.ptr[tokens + 1] - self.ptr[tokens]
            begin = torch.cumsum(counts, 0) - counts
            shift = torch.repeat_interleave(begins - begin, counts)
            place = torch.arange(len(shift), device=shift.device) + shift
            word, weight = self.word[place], self.weight[place]
        if len(self.words) and len(word):
            rows = rows + F.embedding_bag(
                word, self.words, begin, mode="sum", per_sample_weights=weight
            )
        if vectors.shape[1]:
            rows = rows + vectors @ self.projection
        return rows

    def forward(self, x: Tensor) -> Tensor:
        """Read unit rows of tokens, (n, length, width), and return hidden states of length 1."""
        x = self.dropout(x * math.sqrt(self.config.width))
        turn = _turn(x.shape[1], self.config.width // self.config.n_heads, x.device)
        for block in self.blocks:
            x = block(x, turn)
        return F.normalize(self.output_norm(x), dim=-1)


def _turn(length: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    step = ROPE_BASE ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * step
    return angle.cos(), angle.sin()
