"""Meaning in one vector space: the question's vector, or the user's items', against the item's.

Vectors come from an embedding model; `pyrec index` stores them (`vectors.py`). Cosines of such
models crowd together (0.75 to 0.9 for E5), so a score is the distance from the catalog's mean, 1
for `STRONG` standard deviations, which keeps a feature's scale the same for every model.
"""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.types import Item

STRONG = 5.0
"""Standard deviations that count as full strength: few items of a catalog come so near."""
RECENCY = 0.8
"""What each later thing of a history takes off an earlier one's weight."""


def _standardized(question: Question, query: F32) -> F32 | None:
    """Return the cosines' z-scores over `STRONG`, clipped at 0; NaN for items without a vector."""
    index = question.index
    known = index.has_vector.astype(bool)
    if not known.any():
        return None
    cosines = index.cosines(query)
    mean, spread = cosines[known].mean(), cosines[known].std()
    scores: F32 = np.maximum((cosines - mean) / max(STRONG * float(spread), 1e-6), 0.0)
    scores[~known] = np.nan
    return scores


class Dense(CatalogSignal):
    """Cosine of question and item in the embedding model's space, standardized.

    Questions have a vector where no item says half of their words (`lexical.in_doubt`): beside
    words that are there it was not shown to add anything.
    """

    name = "dense"

    def scores(self, question: Question) -> F32 | None:
        """Score by the question's vector; None without one."""
        return None if question.vector is None else _standardized(question, question.vector)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Say that the meaning is near."""
        return "close in meaning to your question"


class DenseHistory(CatalogSignal):
    """Cosine of the user's weighted mean item and the item, standardized."""

    name = "dense_history"

    def scores(self, question: Question) -> F32 | None:
        """Score by the mean vector of the history; None without a vector in it."""
        index = question.index
        past = [p for p in question.history if index.has_vector[p.item_idx]]
        if not past:
            return None
        rows = index.vectors_of([p.item_idx for p in past])
        profile = np.array([p.weight * RECENCY**p.age for p in past], np.float32) @ rows
        norm = float(np.linalg.norm(profile))
        return None if norm < 1e-6 else _standardized(question, profile / np.float32(norm))

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Name the liked item nearest in meaning."""
        index = question.index
        past = [p for p in question.history if p.weight > 0 and index.has_vector[p.item_idx]]
        if not past or not index.has_vector[item_idx]:
            return ""
        cosines = index.vectors_of([p.item_idx for p in past]) @ index.vectors_of([item_idx])[0]
        return past[int(np.argmax(cosines))].title
