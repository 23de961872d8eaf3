"""The words of the user's recent items in the words of the item: a query made of history.

Likes add an item's words, dislikes take them off. One item alone gives "more like this".
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.signals.lexical import K1, B, shared_words
from pyrec.text import analyze, hash_terms
from pyrec.types import Item


class Content(CatalogSignal):
    """BM25 with the titles of the history as the query, each item weighted as its event."""

    name = "content"

    def scores(self, question: Question) -> F32 | None:
        """Sum BM25 over the words of the history's titles, clipped at 0; None without history."""
        weights: dict[str, float] = defaultdict(float)
        for past in question.history:
            terms = list(dict.fromkeys(analyze(past.title, question.index.language)))
            for term in terms:
                # A long title says no more in sum than a short one.
                weights[term] += past.weight / len(terms)
        if not weights:
            return None
        hashes = hash_terms(list(weights))
        values = np.fromiter(weights.values(), np.float32, len(weights))
        scores = question.index.text.bm25(hashes, values, K1, B, question.mask)
        return np.maximum(scores, 0.0)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Name the liked item whose title shares the most words, and the words."""
        best: tuple[float, str, list[str]] = (0.0, "", [])
        for past in question.history:
            shared = shared_words(past.title, item.title) if past.weight > 0 else []
            best = max(best, (len(shared) * past.weight, past.title, shared))
        return f"{best[1]}: {', '.join(best[2][:5])}" if best[2] else ""
