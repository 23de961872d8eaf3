"""What the signals of histories say together, by the network of the last training (`deep.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyrec.deep import DeepState
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
        """Score the pool; NaN without a network, and where it was never asked in training.

        That is without a past, in words, and with signals that this pyrec does not have.
        """
        state = question.deep
        taught = len(question.taken) > 0 and not question.has_words and len(pool) > 0
        if state is None or not taught or not self._others.keys() >= set(state.names):
            return np.full(len(pool), np.nan, np.float32)
        columns = [self._others[name].score(question, pool) for name in state.names]
        values = np.stack(columns, axis=1)
        return said(state, state.names, values, depth_of(len(question.taken)))

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Leave the word to the signals that it reads."""
        return ""


def said(state: DeepState, names: Sequence[str], values: F32, depth: float) -> F32:
    """Score a pool by what signals said of it.

    Args:
        state: the network.
        names: the signals of the columns; one that the network reads and is missing is unknown.
        values: (n, n_signals) float32, n at least 1.
        depth: of the user's history, 0 to 1.

    Returns:
        (n,) float32, above 0 and at most 1.
    """
    read = np.full((len(values), len(state.names)), np.nan, np.float32)
    for column, name in enumerate(state.names):
        if name in names:
            read[:, column] = values[:, names.index(name)]
    logits = state.logits(depth_features(read, depth))
    shares: F32 = np.exp((logits - logits.max()) / np.float32(ROOT))
    return shares
