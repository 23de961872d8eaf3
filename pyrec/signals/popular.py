"""What many people take, on a log scale: by the catalog's own count, or by what users took."""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.signals.histories import MIN_USERS, how_often_taken
from pyrec.types import Item


class Popular(CatalogSignal):
    """log(1 + popularity), the catalog's own number.

    Where no item has one above 0, questions in words go by how many users took each; for those
    without words `taken` does.

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
        if _is_unknown(popularity):
            return self._takers(question) if self._asked else None
        known = popularity[~np.isnan(popularity)]
        filled = np.where(np.isnan(popularity), np.median(known), popularity)
        return np.log1p(filled).astype(np.float32)

    def _takers(self, question: Question) -> F32 | None:
        crowd = question.crowd
        if crowd is None or crowd.histories.n_users < MIN_USERS:
            return None
        counts = np.zeros(question.index.n_items, np.float32)
        rows = np.flatnonzero(crowd.number_of >= 0)
        counts[rows] = crowd.count[crowd.number_of[rows]]
        return np.log1p(counts)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Give the number."""
        popularity = question.index.popularity
        if _is_unknown(popularity):
            return how_often_taken(question, item_idx)
        own = popularity[item_idx]
        return "" if np.isnan(own) else f"popularity {own:g}"


def _is_unknown(popularity: F32) -> bool:
    """Tell whether the catalog knows of no item that anybody likes it."""
    return not (popularity > 0.0).any()
