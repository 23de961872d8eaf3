"""How good one ranked list is: each measure judges the answer to one question.

The mean over questions, each counting the same, is the caller's (a plain mean, not weighted by the
number of relevant items); `bootstrap.py` says how far chance could move it. The evaluation and the
benchmarks call these. Places count from 1 in the formulas; an item listed twice counts at its first
place only. All but `auc` agree with trec_eval, which the tests show. F1 after van Rijsbergen
(1979), reciprocal rank after Voorhees (1999), average precision after Buckley and Voorhees (2000),
nDCG after Järvelin and Kekäläinen (2002).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

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


def f1(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Return the harmonic mean of precision and recall of the first k places.

    2 · precision · recall / (precision + recall), which is 2 · hits / (k + |relevant|). It is the
    F1 of this question: a mean of these is not the F1 of the mean precision and recall. Without a
    hit, and without relevant items: 0; leave questions without relevant items out of a mean.

    Raises:
        ValueError: k is below 1.
    """
    return 2 * _n_hits(ranked, relevant, k) / (k + len(set(relevant)))


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Return one over the place of the first relevant item; its mean is MRR.

    1 / min{place ≤ k that holds a relevant item}; only the best of several relevant items counts.
    Without a hit in the first k places, and without relevant items: 0; leave questions without
    relevant items out of a mean.

    Raises:
        ValueError: k is below 1.
    """
    return next((1 / place for place in _hit_places(ranked, relevant, k)), 0.0)


def average_precision(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Return the mean of the precision at each relevant item's place; its mean is MAP.

    Σ precision@place over the places ≤ k that hold a relevant item, / |relevant|. The denominator
    is all relevant items, as in trec_eval and ranx, not min(|relevant|, k) as in some competitions:
    with more than k relevant items even the best list stays below 1. Without relevant items: 0;
    leave such questions out of a mean.

    Raises:
        ValueError: k is below 1.
    """
    places = _hit_places(ranked, relevant, k)
    n_relevant = len(set(relevant))
    return sum(n / place for n, place in enumerate(places, 1)) / n_relevant if n_relevant else 0.0


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
    check_k(k)
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


def check_k(k: int) -> None:
    """Refuse an impossible list length.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def _n_hits(ranked: Sequence[str], relevant: Collection[str], k: int) -> int:
    check_k(k)
    return len(set(ranked[:k]).intersection(relevant))


def _hit_places(ranked: Sequence[str], relevant: Collection[str], k: int) -> list[int]:
    """Return the places up to k, from 1, where a relevant item stands for the first time."""
    check_k(k)
    missing = set(relevant)
    places = []
    for place, item_id in enumerate(ranked[:k], 1):
        if item_id in missing:
            missing.remove(item_id)
            places.append(place)
    return places


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
