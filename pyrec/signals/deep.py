"""What the signals of histories say together, by the network of the last training (`deep.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyrec.mixer import depth_features, depth_of
from pyrec.signals.base import F32, I32, Question, Signal
from pyrec.signals.behavior import ROOT
from pyrec.types import Item

WEIGHTS = (0.0, ROOT, 0.0, 0.0)
"""With these the mixer adds what the network says, as the score is the cube root of it."""


class Deep:
    """The cube root of how likely the network makes an item beside the likeliest of its pool.

    Args:
        others: the signals that it may read.
    """

    name = "deep"

    def __init__(self, others: Sequence[Signal]) -> None:
        self._others = {signal.name: signal for signal in others}

    def admit(self, question: Question, n: int) -> I32:
        """Name none."""
        return np.empty(0, np.int32)

    def score(self, question: Question, pool: I32) -> F32:
        """Score the pool; NaN before a training that found one, and for questions in words."""
        state = question.deep
        if state is None or question.has_words or not len(pool):
            return np.full(len(pool), np.nan, np.float32)
        columns = [self._others[name].score(question, pool) for name in state.names]
        phi = depth_features(np.stack(columns, axis=1), depth_of(len(question.taken)))
        return shares(state.logits(phi))

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Leave the word to the signals that it reads."""
        return ""


def shares(logits: F32) -> F32:
    """Return exp(logits / ROOT) as a share of the largest."""
    found: F32 = np.exp((logits - logits.max()) / np.float32(ROOT))
    return found
