"""The words of the user's items in the words of an item: a query made of history.

Likes add the words of an item's title and attributes, dislikes take them off. One item alone gives
"more like this".
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pyrec.index import Index
from pyrec.rows import described
from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.signals.lexical import K1, B, full_match, shared_words
from pyrec.text import analyze, hash_terms
from pyrec.types import Item


class Content(CatalogSignal):
    """BM25 with the history as the query; 1 for about all words of one liked item."""

    name = "content"

    def scores(self, question: Question) -> F32 | None:
        """Sum BM25 over the words of the history, clipped at 0; None without history."""
        index = question.index
        weights: dict[str, float] = defaultdict(float)
        for past in question.history:
            terms = list(dict.fromkeys(analyze(past.text, index.language)))
            # An item with many words says no more in sum than one with few.
            match = full_match(index, hash_terms(terms), np.ones(len(terms), np.float32))
            for term in terms:
                weights[term] += past.weight / match
        if not weights:
            return None
        hashes = hash_terms(list(weights))
        values = np.fromiter(weights.values(), np.float32, len(weights))
        scores = index.text.bm25(hashes, values, K1, B, question.mask)
        np.maximum(scores, np.float32(0.0), out=scores)
        return scores

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Name the liked item that shares the most, and the rarest words of it."""
        best: tuple[float, str, list[str]] = (0.0, "", [])
        text = described(item)
        for past in question.history:
            shared = shared_words(past.text, text) if past.weight > 0 else []
            if shared:
                rarity = [_rarity(question.index, word) for word in shared]
                rarest = [word for _, word in sorted(zip(rarity, shared, strict=True))[::-1]]
                best = max(best, (sum(rarity) * past.weight, past.title, rarest))
        return f"{best[1]}: {', '.join(best[2][:3])}" if best[2] else ""


def _rarity(index: Index, word: str) -> float:
    """Return the idf of a word's rarest part."""
    terms = hash_terms(analyze(word, index.language))
    return max(
        (full_match(index, terms[n : n + 1], np.ones(1, np.float32)) for n in range(len(terms))),
        default=0.0,
    )
