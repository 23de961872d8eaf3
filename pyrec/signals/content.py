"""The words of the user's items in the words of an item: a query made of history.

Likes add the words of an item's title and attributes, dislikes take them off. One item alone gives
"more like this". The most valuable single addition to a user's transitions where items have titles
(`bench/quality.py`); pairs of words beside words were tried and gave nothing more.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pyrec.index import Index
from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.signals.lexical import full_match, shared_words
from pyrec.rows import described
from pyrec.text import analyze, hash_terms
from pyrec.types import Item

N_RECENT = 15
"""How many of the newest things are read; older ones have next to no weight."""
RECENCY = 0.7
"""What each later thing takes off an earlier one's weight."""
_UNSATURATED = 1e6
"""BM25's k1 at which a term's frequency counts as it is: with b = 0 that is TF-IDF."""


class Content(CatalogSignal):
    """Cosine of TF-IDF vectors, summed over the history; 1 for the words of one liked item."""

    name = "content"

    def scores(self, question: Question) -> F32 | None:
        """Sum the cosines by weight and age, clipped at 0; None without words in the history."""
        index = question.index
        weights: dict[int, float] = defaultdict(float)
        for past in question.history[-N_RECENT:]:
            terms = hash_terms(list(dict.fromkeys(analyze(past.text, index.language))))
            idf = _idf(index, terms)
            norm = float(np.sqrt(idf @ idf))
            if norm > 0.0:
                share = past.weight * RECENCY**past.age / norm
                for term, rarity in zip(terms.tolist(), idf.tolist(), strict=True):
                    weights[term] += share * rarity
        if not weights:
            return None
        hashes = np.fromiter(weights, np.uint32, len(weights))
        values = np.fromiter(weights.values(), np.float32, len(weights))
        scores = index.text.bm25(hashes, values, _UNSATURATED, 0.0, question.mask)
        np.maximum(scores, np.float32(0.0), out=scores)
        scores /= np.maximum(index.norms, np.float32(1e-6))
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


def _idf(index: Index, terms: np.ndarray) -> np.ndarray:
    """Return log(1 + (N - df + 1/2) / (df + 1/2)) of terms, (n,) float64; see `csrc/sparse.h`."""
    df = index.text.df(terms).astype(np.float64)
    return np.log1p((index.n_live - df + 0.5) / (df + 0.5))


def _rarity(index: Index, word: str) -> float:
    """Return the idf of a word's rarest part."""
    terms = hash_terms(analyze(word, index.language))
    return max(
        (full_match(index, terms[n : n + 1], np.ones(1, np.float32)) for n in range(len(terms))),
        default=0.0,
    )
