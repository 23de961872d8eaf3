"""What follows a history by the behavior model, which was trained on all of them.

It ranks the whole catalog, items that nobody took yet included, where they have words or a vector.
"""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.types import Item

ROOT = 3.0
"""Likelihoods as they are end where the mixer's logarithm does, at a hundredth of the largest;
their cube roots go to a millionth."""


class Behavior(CatalogSignal):
    """How likely an item is the next one: the cube root of its share of the likeliest."""

    name = "behavior"

    def scores(self, question: Question) -> F32 | None:
        """Score all; NaN for what the model knows nothing of."""
        if question.behavior is None or not question.stream:
            return None
        logits = question.behavior.logits(question.stream, question.index)
        return None if logits is None else likelihoods(logits, question.mask)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Name the thing of the user's that stands nearest to this one in histories."""
        liked = [past for past in question.history if past.weight > 0.0]
        if question.behavior is None or not liked:
            return ""
        rows = np.array([past.item_idx for past in liked], np.int32)
        place = question.behavior.nearest(item_idx, rows, question.index)
        return liked[place].title if place >= 0 else ""


def likelihoods(logits: F32, mask: np.ndarray) -> F32:
    """Return exp(logits / ROOT) as a share of the largest one that passes the mask."""
    allowed = logits[(mask[: len(logits)] != 0) & ~np.isnan(logits)]
    if not len(allowed):
        return np.full_like(logits, np.nan)
    shares: F32 = np.exp((logits - allowed.max()) / np.float32(ROOT))
    return shares
