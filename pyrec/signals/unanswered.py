"""What was shown to this user again and again, and never taken.

Its weight is below zero: an item sinks the more often it was shown in vain. By hand; no data set
here says what was shown.
"""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, I32, Question
from pyrec.types import Item

OFTEN = 10
"""How many showings in vain make a full strength."""


class Unanswered:
    """How many times an item was shown to a user who never did anything with it."""

    name = "unanswered"

    def admit(self, question: Question, n: int) -> I32:
        """Name none: it only speaks against."""
        return np.empty(0, np.int32)

    def score(self, question: Question, pool: I32) -> F32:
        """Give the number, 1 for `OFTEN`."""
        if not question.unanswered:
            return np.full(len(pool), np.nan, np.float32)
        shown = [question.unanswered.get(row, 0) for row in pool.tolist()]
        return np.minimum(np.array(shown, np.float32) / OFTEN, 1.0)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Say nothing: it is never a reason for an item."""
        return ""
