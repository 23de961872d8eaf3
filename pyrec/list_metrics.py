"""What ranked lists are like, apart from whether they are right: how wide, how new, how varied.

`metrics.py` judges an answer against what was relevant; these need no right answer. The evaluation
calls them. An item listed twice counts once. Coverage after Herlocker et al. (2004), novelty after
Zhou et al. (2010), diversity after Ziegler et al. (2005) as a distance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pyrec.metrics import check_k


def coverage(ranked_lists: Iterable[Sequence[str]], n_items: int, k: int) -> float:
    """Return the share of the catalog that stands in the first k places of any list.

    |∪ ranked[:k]| / n_items. It is one number of all lists together, so it has no mean, and it
    grows with the number of lists: compare systems on the same questions. Without lists: 0.

    Args:
        ranked_lists: item ids of the catalog, best first, a list a question.
        n_items: how many items the catalog holds.
        k: how many places count.

    Raises:
        ValueError: k or n_items is below 1, or the lists hold more items than the catalog.
    """
    check_k(k)
    if n_items < 1:
        raise ValueError(f"n_items must be at least 1, not {n_items}")
    listed = {item_id for ranked in ranked_lists for item_id in ranked[:k]}
    if len(listed) > n_items:
        raise ValueError(
            f"the lists hold {len(listed)} items, the catalog only {n_items};"
            " count the catalog that the lists were made from"
        )
    return len(listed) / n_items


def novelty(ranked: Sequence[str], n_takers: Mapping[str, int], n_users: int, k: int) -> float:
    """Return how unexpected the items of the first k places are, in bits.

    The mean self-information over the places filled: Σ −log2(n_takers / n_users) / |ranked[:k]|.
    An item that all users took says 0 bits, one that half of them took says 1. A never-taken item
    counts as taken by one user: log2(n_users), the most that the log can show. The mean over
    lists, each counting the same, is the caller's. An empty list: NaN, to be left out of a mean.

    Args:
        ranked: item ids, best first.
        n_takers: by item id, how many different users took it before the lists were made; 0 where
            it is not named.
        n_users: how many users took anything.
        k: how many places count.

    Raises:
        ValueError: k or n_users is below 1, or an item has more takers than there are users.
    """
    check_k(k)
    if n_users < 1:
        raise ValueError(f"n_users must be at least 1, not {n_users}")
    bits = []
    for item_id in dict.fromkeys(ranked[:k]):
        takers = max(n_takers.get(item_id, 0), 1)
        if takers > n_users:
            raise ValueError(
                f"item {item_id!r} has {takers} takers of {n_users} users; count each user once"
            )
        bits.append(math.log2(n_users / takers))
    return sum(bits) / len(bits) if bits else math.nan


def intra_list_diversity(vectors: npt.ArrayLike, k: int) -> float:
    """Return how different the items of the first k places are from each other.

    The mean of 1 − cosine over all pairs, n (n − 1) / 2 of them for n places filled: 0 where all
    point the same way, 1 where none share anything, up to 2 where vectors may be opposite. The
    order within the list does not count. A vector of zeros is like nothing, not even another one.
    The mean over lists, each counting the same, is the caller's. Fewer than two items: NaN, to be
    left out of a mean.

    Args:
        vectors: (n, dim) of the ranked items, best first, of any length; each item once.
        k: how many places count.

    Raises:
        ValueError: k is below 1, or vectors is not a matrix.
    """
    check_k(k)
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"vectors {rows.shape} must be (n, dim), a row an item")
    rows = rows[:k]
    n = len(rows)
    if n < 2:
        return math.nan
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    # |Σ u|² is the sum over all ordered pairs, each item with itself included.
    total = units.sum(0)
    alike = float(total @ total) - float((units * units).sum())
    return 1.0 - alike / (n * (n - 1))
