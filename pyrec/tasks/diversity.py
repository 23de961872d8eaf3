"""Diversity: the best items are put in an order in which each is also unlike those before it.

Maximal marginal relevance (Carbonell and Goldstein, The use of MMR, 1998), over the vectors of
items where they have any, and over their attributes and the words of their titles. It only
re-orders the head of a list; nothing that the mixer found unlikely comes in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyrec.index import Index
from pyrec.tastes import values_of
from pyrec.text import analyze
from pyrec.types import Item

F32 = npt.NDArray[np.float32]

N_HEAD = 50
"""How many of the best are put in another order, at least; five times as many as are asked for."""


def diversify(logprob: F32, likeness: F32, share: float, k: int) -> list[int]:
    """Return places in order: the first k each likely and unlike those before, then the others.

    Args:
        logprob: (n,) best first.
        likeness: (n, n) of any two, 0 to 1.
        share: what being unlike counts, 0 to 1; 0 leaves the order as it is.
        k: how many places.
    """
    spread = float(logprob[0] - logprob[-1]) if len(logprob) else 0.0
    fit = (logprob - logprob[-1]) / spread if spread > 0.0 else np.ones(len(logprob))
    left, chosen = list(range(len(logprob))), list[int]()
    nearest = np.zeros(len(logprob))
    while left and len(chosen) < k:
        worth = (1.0 - share) * fit[left] - share * nearest[left]
        best = left.pop(int(worth.argmax()))
        chosen.append(best)
        nearest = np.maximum(nearest, likeness[best])
    return chosen + left


def likeness_of(items: Sequence[Item], rows: npt.NDArray[np.int32], index: Index) -> F32:
    """Return how alike any two items are, (n, n) float32 from 0 to 1.

    The larger of two: by their vectors, from what is usual among items; and the share of their
    attributes' values and titles' words that both have.
    """
    told = [_told(item, index.language) for item in items]
    n = len(items)
    found = np.zeros((n, n), np.float32)
    for a in range(n):
        for b in range(a):
            either = len(told[a] | told[b])
            found[a, b] = found[b, a] = len(told[a] & told[b]) / either if either else 0.0
    known = np.flatnonzero((rows < index.n_items) & (index.has_vector[rows] != 0))
    if len(known):
        vectors = index.vectors_of(rows[known].tolist())
        usual = index.usual_cosine
        near = np.clip((vectors @ vectors.T - usual) / (1.0 - usual), 0.0, 1.0)
        found[np.ix_(known, known)] = np.maximum(found[np.ix_(known, known)], near)
    return found


def _told(item: Item, language: str) -> set[tuple[str, str]]:
    words = [("", word) for word in analyze(item.title, language)]
    return {*values_of(item), *words}
