"""What many people take: the catalog's own popularity and the store's events, on a log scale."""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.types import Item


class Popular(CatalogSignal):
    """log(1 + popularity): the catalog's number plus the store's positive events."""

    name = "popular"

    def scores(self, question: Question) -> F32 | None:
        """Score all items; None where nothing is known of any."""
        popularity = question.index.popularity
        return np.log1p(popularity) if popularity.any() else None

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Give the number."""
        return f"popularity {question.index.popularity[item_idx]:g}"
