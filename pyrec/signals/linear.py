"""A linear item model over the user's whole history: what having an item says about others.

The weights come from `linear_model.py`, which `pyrec train` runs; here they are added up for the
items of one user. Long histories without an order want all items alike (`linear`), others the
newest first (`linear_recent`).
"""

from __future__ import annotations

import numpy as np

from pyrec import _core
from pyrec.interactions import Crowd
from pyrec.signals.base import F32, Question
from pyrec.signals.histories import CrowdSignal, with_whom
from pyrec.types import Item

RECENCY = 0.7
"""What each later item takes off an earlier one's weight, in `linear_recent`."""


class Linear(CrowdSignal):
    """The summed weights of the user's items."""

    name = "linear"

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Score all; None without history or without a fitted model."""
        model = question.linear
        if model is None or not len(question.taken):
            return None
        weights = self._weights(question.ages)
        inside = question.taken < len(model.ptr) - 1
        return _core.csr_accumulate(
            model.ptr,
            model.idx,
            model.weights,
            np.ascontiguousarray(question.taken[inside]),
            np.ascontiguousarray(weights[inside]),
            len(crowd.row_of),
        )

    def _weights(self, ages: F32) -> F32:
        return np.ones(len(ages), np.float32)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Name the user's item that most takers of this one took as well."""
        return with_whom(question, item_idx)


class LinearRecent(Linear):
    """The same, the newest items counting most."""

    name = "linear_recent"

    def _weights(self, ages: F32) -> F32:
        weights: F32 = (RECENCY**ages).astype(np.float32)
        return weights
