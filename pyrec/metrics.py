"""How good a ranked list is, and whether a difference between two systems is more than chance.

Each measure judges one question; the mean over questions, each counting the same, is the caller's
(a plain mean, not weighted by the number of relevant items). `evaluate.py` and the benchmarks call
these. Places count from 1 in the formulas; an item listed twice counts at its first place only.
nDCG after Järvelin and Kekäläinen (2002), the bootstrap after Efron and Tibshirani (1993).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


def precision(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Return the share of the first k places that hold a relevant item.

    |relevant ∩ ranked[:k]| / k. The denominator is k even where the list or the relevant set is
    shorter: a place left empty is a place wasted. Without relevant items: 0.

    Raises:
        ValueError: k is below 1.
    """
    return _n_hits(ranked, relevant, k) / k


def recall(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Return the share of the relevant items that stand in the first k places.

    |relevant ∩ ranked[:k]| / |relevant|. The denominator is all relevant items even where there
    are more than k. Without relevant items: 0; leave such questions out of a mean.

    Raises:
        ValueError: k is below 1.
    """
    n_relevant = len(set(relevant))
    return _n_hits(ranked, relevant, k) / n_relevant if n_relevant else 0.0


def hit_rate(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Return 1 if any of the first k places holds a relevant item, else 0.

    With one relevant item this equals recall. Without relevant items: 0; leave such questions out
    of a mean.

    Raises:
        ValueError: k is below 1.
    """
    return float(_n_hits(ranked, relevant, k) > 0)


def ndcg(ranked: Sequence[str], gains: Mapping[str, float], k: int) -> float:
    """Return the discounted gain of the first k places over that of the best possible order.

    DCG = Σ gain(item at place) / log2(place + 1), with the gain as given (linear, not 2^gain − 1)
    and 0 for an item without one. The denominator is the DCG of the k highest gains of all judged
    items, ranked or not. Without a positive gain: 0; leave such questions out of a mean.

    Args:
        ranked: item ids, best first.
        gains: gain by item id, not negative; binary relevance is a gain of 1.
        k: how many places count.

    Raises:
        ValueError: k is below 1, or a gain is negative.
    """
    _check_k(k)
    if any(gain < 0 for gain in gains.values()):
        raise ValueError("gains must not be negative")
    ideal = _dcg(sorted(gains.values(), reverse=True)[:k])
    places: dict[str, int] = {}
    for place, item_id in enumerate(ranked[:k]):
        places.setdefault(item_id, place)
    found = [0.0] * min(k, len(ranked))
    for item_id, place in places.items():
        found[place] = gains.get(item_id, 0.0)
    return _dcg(found) / ideal if ideal else 0.0


def auc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the probability that a positive scores higher than a negative.

    (pairs with positive > negative + half the ties) / (positives · negatives), through the mean
    rank of equal scores. Where one of the classes is missing there is no pair: NaN, for the caller
    to leave out.

    Args:
        scores: (n,) higher means more positive.
        labels: (n,) true or 1 for positives.

    Raises:
        ValueError: the lengths differ.
    """
    score = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(labels, dtype=bool)
    if score.shape != positive.shape or score.ndim != 1:
        raise ValueError(f"scores {score.shape} and labels {positive.shape} must be (n,) alike")
    n_positive = int(positive.sum())
    n_negative = len(score) - n_positive
    if n_positive == 0 or n_negative == 0:
        return math.nan
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_ranks[inverse][positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


class Interval(NamedTuple):
    """A mean difference and the bounds of its interval; above zero means `low > 0`."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    rng: np.random.Generator,
    n: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the mean of a − b over questions and how far chance could move it.

    The same questions answered by two systems are drawn again with replacement, n times; the
    bounds are the (1 − level)/2 and (1 + level)/2 quantiles of the mean differences (percentile
    bootstrap). Every question weighs the same.

    Args:
        a: (n_questions,) the measure of one system.
        b: (n_questions,) that of the other, in the same order.
        rng: the source of randomness; the same state gives the same interval.
        n: how many times to draw.
        level: the share of draws inside the interval.

    Raises:
        ValueError: there are no questions, or the lengths differ.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ValueError(
            f"a {first.shape} and b {second.shape} must be (n_questions,) alike and not empty"
        )
    difference = first - second
    means = np.empty(n)
    rows = max(1, 1_000_000 // len(difference))  # so that many questions do not fill the memory
    for begin in range(0, n, rows):
        shape = (min(rows, n - begin), len(difference))
        means[begin : begin + rows] = difference[rng.integers(len(difference), size=shape)].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(difference.mean()), float(low), float(high))


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def _n_hits(ranked: Sequence[str], relevant: Collection[str], k: int) -> int:
    _check_k(k)
    return len(set(ranked[:k]).intersection(relevant))


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
