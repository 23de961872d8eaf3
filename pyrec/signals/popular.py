"""What many people take, by the catalog's own count, on a log scale."""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.types import Item


class Popular(CatalogSignal):
    """log(1 + popularity), the catalog's own number.

    Two signals, as it means something else beside words that fit (`popular`) than where nothing
    was asked in words (`popular_unasked`): each has its weight.

    An item without one counts as the middle one of those that have it: nobody has counted yet, and
    a new item must not sink below all others for that.
    """

    def __init__(self, *, asked: bool = True) -> None:
        self.name = "popular" if asked else "popular_unasked"
        self._asked = asked

    def scores(self, question: Question) -> F32 | None:
        """Score all items; None where nothing is known of any, or in the other's questions."""
        if question.has_words != self._asked:
            return None
        popularity = question.index.popularity
        known = popularity[~np.isnan(popularity)]
        if not known.any():
            return None
        filled = np.where(np.isnan(popularity), np.median(known), popularity)
        return np.log1p(filled).astype(np.float32)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Give the number."""
        popularity = question.index.popularity[item_idx]
        return "" if np.isnan(popularity) else f"popularity {popularity:g}"
