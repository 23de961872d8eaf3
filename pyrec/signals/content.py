"""The words of the user's items in the words of an item: a query made of history.

Likes add the words of an item's title and attributes, dislikes take them off. One item alone gives
"more like this". The most valuable single addition to a user's transitions where items have titles
(`bench/quality.py`); pairs of words beside words were tried and gave nothing more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pyrec.index import Index
from pyrec.rows import described
from pyrec.signals.base import F32, CatalogSignal, Past, Question
from pyrec.signals.lexical import shared_words
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
        for past, rarity in _read(question):
            norm = math.sqrt(sum(idf * idf for idf in rarity.values()))
            if norm > 0.0:
                share = past.weight * RECENCY**past.age / norm
                for term, idf in rarity.items():
                    weights[term] += share * idf
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
        text = described(item)
        terms = set(hash_terms(analyze(text, question.index.language)).tolist())
        best: tuple[float, Past, dict[int, float]] | None = None
        for past, rarity in _read(question):
            if past.weight > 0:
                shared = past.weight * sum(idf for term, idf in rarity.items() if term in terms)
                if shared > (best[0] if best else 0.0):
                    best = (shared, past, rarity)
        if best is None:
            return ""
        _, past, rarity = best
        found = shared_words(past.text, text)

        def rarest(word: str) -> float:
            parts = hash_terms(analyze(word, question.index.language)).tolist()
            return max((rarity.get(part, 0.0) for part in parts), default=0.0)

        found.sort(key=rarest, reverse=True)
        return f"{past.title}: {', '.join(found[:3])}" if found else past.title


def signed_cosines(index: Index, texts: Sequence[str], weights: F32) -> F32:
    """Sum the cosines of all items to some texts, weighed, (n_items,) float32, of either sign.

    Args:
        index: the catalog's arrays.
        texts: what is known of some items.
        weights: (len(texts),) float32.
    """
    summed: dict[int, float] = defaultdict(float)
    for text, weight in zip(texts, weights.tolist(), strict=True):
        terms = hash_terms(list(dict.fromkeys(analyze(text, index.language))))
        idf = _idf(index, terms)
        norm = math.sqrt(float(idf @ idf))
        if norm > 0.0:
            for term, of_term in zip(terms.tolist(), idf.tolist(), strict=True):
                summed[term] += weight * of_term / norm
    if not summed:
        return np.zeros(index.n_items, np.float32)
    hashes = np.fromiter(summed, np.uint32, len(summed))
    values = np.fromiter(summed.values(), np.float32, len(summed))
    scores = index.text.bm25(hashes, values, _UNSATURATED, 0.0, index.live)
    scores /= np.maximum(index.norms, np.float32(1e-6))
    return scores


def _read(question: Question) -> list[tuple[Past, dict[int, float]]]:
    """Return the newest things with the idf of each of their terms, read once a question."""
    if question.past_terms is None:
        index = question.index
        question.past_terms = []
        for past in question.history[-N_RECENT:]:
            terms = hash_terms(list(dict.fromkeys(analyze(past.text, index.language))))
            idf = _idf(index, terms)
            question.past_terms.append((past, dict(zip(terms.tolist(), idf.tolist(), strict=True))))
    return question.past_terms


def _idf(index: Index, terms: np.ndarray) -> np.ndarray:
    """Return log(1 + (N - df + 1/2) / (df + 1/2)) of terms, (n,) float64; see `csrc/sparse.h`."""
    df = index.text.df(terms).astype(np.float64)
    return np.log1p((index.n_live - df + 0.5) / (df + 0.5))
