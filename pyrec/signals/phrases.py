"""The catalog's own phrases that the question means, in the item.

`tasks/need.py` finds the phrases and their probabilities; an item scores the sum of those whose
words it all has. This is how a question in another language finds its items.
"""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, I32, CatalogSignal, Question
from pyrec.text import analyze, hash_terms
from pyrec.types import Filter, Item

MENTION = 0.5
"""What mentioning a value is worth where the question named it and other items have it."""


def _holders(question: Question, phrase: str) -> I32:
    return question.index.text.containing(
        hash_terms(list(dict.fromkeys(analyze(phrase, question.index.language))))
    )


class Phrases(CatalogSignal):
    """The summed probability of the need's phrases that the item has, in [0, 1].

    Of a value that the question named, items that merely mention it count `MENTION`.
    """

    name = "phrases"

    def scores(self, question: Question) -> F32 | None:
        """Score all items; None where the need has no phrase."""
        if question.need is None or not question.need.phrases:
            return None
        scores = np.zeros(len(question.mask), np.float32)
        for phrase in question.need.phrases:
            worth = np.zeros(len(scores), np.float32)
            worth[_holders(question, phrase.text)] = MENTION if phrase.column else 1.0
            if phrase.column:
                value = Filter(phrase.column, "=", phrase.text)
                worth[question.having([value])[: len(scores)] != 0] = 1.0
            scores += np.float32(phrase.probability) * worth
        scores[question.mask == 0] = 0.0
        np.minimum(scores, np.float32(1.0), out=scores)
        return scores

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Quote the phrases that the item has."""
        phrases = question.need.phrases if question.need else ()
        return ", ".join(p.text for p in phrases if item_idx in _holders(question, p.text))
