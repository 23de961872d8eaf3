"""Lays many examples of what is to be foretold into one row.

Examples of one wording begin alike. That beginning is read once for all of a batch: each token
sees the beginning and the tokens of its own example before it, and stands at the position that it
has in its example. So the row gives each example the very logits that it gets alone, and none of
it is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyrec.adapter.examples import Example
from pyrec.adapter.network import Network, Rows


@dataclass(frozen=True)
class Packed:
    """Examples side by side.

    Attributes:
        read: the row, n tokens.
        asked: (m,) int64, places in the row after which a token is to be foretold.
        wanted: (m,) int64, those tokens.
        example: (m,) int64, the example that each belongs to.
    """

    read: Rows
    asked: Tensor
    wanted: Tensor
    example: Tensor


def pack(examples: Sequence[Example], device: torch.device | str = "cpu") -> Packed:
    """Lay examples into one row, what they begin with alike once."""
    shared = _shared(examples)
    tokens, positions = [examples[0].tokens[:shared]], [np.arange(shared)]
    group, asked, wanted, of = [np.zeros(shared, np.int64)], [], [], []
    at = shared
    for number, example in enumerate(examples):
        rest = example.tokens[shared:]
        place = np.arange(example.first - 1, len(example.tokens) - 1)
        asked.append(np.where(place < shared, place, place - shared + at))
        wanted.append(example.tokens[example.first :])
        of.append(np.full(len(place), number))
        tokens.append(rest)
        positions.append(np.arange(shared, len(example.tokens)))
        group.append(np.full(len(rest), number + 1))
        at += len(rest)
    groups = torch.from_numpy(np.concatenate(group))
    visible = (groups[None] == groups[:, None]) | (groups[None] == 0)
    read = Rows(
        _tensor(tokens).to(device), _tensor(positions).to(device), visible.tril().to(device)
    )
    return Packed(read, *(_tensor(part).to(device) for part in (asked, wanted, of)))


def token_logprobs(
    network: Network, packed: Packed, among: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Return log P of each token that is to be foretold, (m,) float32."""
    hidden: Tensor = network(packed.read)
    return network.logprobs(hidden[packed.asked], packed.wanted, among)


def _shared(examples: Sequence[Example]) -> int:
    """Return how many tokens all begin with alike, none of them to be foretold."""
    first = examples[0].tokens
    most = min(min(e.first, len(e.tokens) - 1) for e in examples)
    for example in examples[1:]:
        differs = np.flatnonzero(first[:most] != example.tokens[:most])
        most = int(differs[0]) if len(differs) else most
    return most


def _tensor(parts: Sequence[npt.NDArray[np.integer]]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))
