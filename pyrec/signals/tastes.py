"""What is to be kept away, and what the user said that they like, in the item.

The value is the probability that an item is fine: 1 less how likely each thing that it has, and
that is to be avoided, is meant. It judges what others name and names nothing itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyrec.signals.base import F32, I32, Question
from pyrec.text import analyze, hash_terms
from pyrec.types import Filter, Item, Phrase

Flags = npt.NDArray[np.bool_]

LACKING = 0.5
"""What an item is worth that has nothing of what the user said that they like."""


class Tastes:
    """P(an item is fine), from what the question and the user avoid or want."""

    name = "tastes"

    def admit(self, question: Question, n: int) -> I32:
        """Name none."""
        return np.empty(0, np.int32)

    def score(self, question: Question, pool: I32) -> F32:
        """Multiply up what speaks against each item; NaN where nothing is avoided or wanted."""
        if not question.avoid and not question.want:
            return np.full(len(pool), np.nan, np.float32)
        fine = np.ones(len(pool), np.float32)
        for phrase in question.avoid:
            fine[_having(question, phrase)[pool]] *= np.float32(1.0 - phrase.probability)
        if question.want:
            wanted = np.zeros(len(pool), bool)
            for phrase in question.want:
                wanted |= _having(question, phrase)[pool]
            fine[~wanted] *= np.float32(LACKING)
        return fine

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Name what the user likes that the item has, else what it has not that is avoided."""
        has = [p.text for p in question.want if _having(question, p)[item_idx]]
        hasnt = [f"≠ {p.text}" for p in question.avoid if not _having(question, p)[item_idx]]
        return ", ".join(has or hasnt[:3])


def _having(question: Question, phrase: Phrase) -> Flags:
    """Return which items have a value, or the words of a phrase: (n_items,) bool."""
    if phrase.column:
        value = Filter(phrase.column, "=", phrase.text)
        having: Flags = question.having([value])[: len(question.mask)] != 0
    else:
        having = np.zeros(len(question.mask), bool)
        terms = hash_terms(list(dict.fromkeys(analyze(phrase.text, question.index.language))))
        if len(terms):
            rows = question.index.text.containing(terms)
            having[rows[rows < len(having)]] = True
    if len(having) < len(question.mask):
        having = np.concatenate([having, np.zeros(len(question.mask) - len(having), bool)])
    return having
