"""Which tokens an answer is compared with in a step of training: not all of a large vocabulary.

`fit.py` asks, `Network.logprobs` compares. Source: Bengio and Senecal, 2008, "Adaptive Importance
Sampling to Accelerate Training of a Neural Probabilistic Language Model".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pyrec.adapter.config import AdapterConfig
from pyrec.adapter.examples import Example

_COMMON = 2000
"""Tokens from the first on that are always compared with: marks, bytes, and frequent pieces."""


class Compared:
    """Chooses the tokens that the answers of a step are compared with.

    Those that a store's texts hold are always among them. The others are drawn, and each stands
    for its share of them, so that the sum over all tokens is right on average.

    Args:
        examples: the store's texts.
        n_vocab: how many tokens there are.
        config: how many to draw, and the seed.
        device: where they are compared.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        n_vocab: int,
        config: AdapterConfig,
        device: torch.device,
    ) -> None:
        self._device = device
        self._seed, self._n = config.seed, config.n_compared
        held = np.unique(np.concatenate([*(e.tokens for e in examples), np.arange(_COMMON)]))
        self._held = held[held < n_vocab].astype(np.int64)
        self._others = np.setdiff1d(np.arange(n_vocab), self._held)

    def at(self, step: int) -> tuple[Tensor, Tensor] | None:
        """Return the tokens of a step, ascending, and what each counts; None for all."""
        if len(self._others) <= 2 * self._n:
            return None
        drawn = np.random.default_rng((self._seed, step)).choice(self._others, self._n, False)
        tokens = np.concatenate([self._held, drawn])
        counts = np.zeros(len(tokens), np.float32)
        counts[len(self._held) :] = np.log(len(self._others) / self._n)
        order = np.argsort(tokens)
        chosen = torch.from_numpy(tokens[order]).to(self._device)
        return chosen, torch.from_numpy(counts[order]).to(self._device)
