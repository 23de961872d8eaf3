import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec import metrics

item_ids = st.sampled_from("abcdefgh")
rankings = st.lists(item_ids, unique=True)
gain_tables = st.dictionaries(item_ids, st.floats(0, 5, allow_subnormal=False))


def test_precision_divides_by_k_even_for_a_short_list():
    assert metrics.precision(["a"], {"a"}, k=5) == 0.2
    assert metrics.precision(["a", "x", "b"], ["a", "b"], k=2) == 0.5


def test_recall_divides_by_all_relevant_items():
    assert metrics.recall(["a", "b"], set("abcd"), k=2) == 0.5
    assert metrics.recall(["a"], [], k=2) == 0


def test_hit_rate_is_one_as_soon_as_one_relevant_item_is_listed():
    assert metrics.hit_rate(["x", "a"], {"a", "b"}, k=2) == 1
    assert metrics.hit_rate(["x", "a"], {"a", "b"}, k=1) == 0


def test_ndcg_is_one_for_ideal_order():
    assert metrics.ndcg(["c", "b", "a"], {"a": 1, "b": 2, "c": 3}, k=3) == pytest.approx(1)


def test_ndcg_by_hand():
    found = 1 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    ndcg = metrics.ndcg(["a", "x", "c"], {"a": 1, "b": 2, "c": 3}, k=3)
    assert ndcg == pytest.approx(found / ideal)


def test_ndcg_counts_judged_items_that_are_not_ranked():
    assert metrics.ndcg(["a"], {"a": 1, "b": 1}, k=2) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_ndcg_without_gains_is_zero():
    assert metrics.ndcg(["a"], {}, k=3) == 0
    assert metrics.ndcg([], {"a": 1.0}, k=3) == 0


def test_an_item_listed_twice_counts_once():
    assert metrics.precision(["a", "a"], {"a"}, k=2) == 0.5
    assert metrics.ndcg(["a", "a"], {"a": 1.0}, k=2) == 1
    assert metrics.average_precision(["x", "a", "a"], {"a", "b"}, k=3) == 0.25


def test_f1_by_hand():
    precision, recall = 2 / 4, 2 / 3
    expected = 2 * precision * recall / (precision + recall)
    assert metrics.f1(["a", "x", "b", "y"], {"a", "b", "c"}, k=4) == pytest.approx(expected)
    assert metrics.f1(["x"], {"a"}, k=4) == 0
    assert metrics.f1(["x"], [], k=4) == 0


def test_reciprocal_rank_is_one_over_the_place_of_the_first_hit():
    assert metrics.reciprocal_rank(["x", "b", "a"], {"a", "b"}, k=3) == 1 / 2
    assert metrics.reciprocal_rank(["x", "y", "a"], {"a"}, k=2) == 0
    assert metrics.reciprocal_rank(["x"], [], k=2) == 0


def test_average_precision_divides_by_all_relevant_items():
    found = metrics.average_precision(["a", "x", "b"], set("abcd"), k=3)
    assert found == pytest.approx((1 / 1 + 2 / 3) / 4)
    assert metrics.average_precision(["a", "b"], set("abcd"), k=2) == 0.5
    assert metrics.average_precision(["a"], [], k=2) == 0


@given(rankings, gain_tables, st.integers(1, 10))
def test_every_measure_stays_in_range(ranked, gains, k):
    for value in (
        metrics.precision(ranked, gains, k),
        metrics.recall(ranked, gains, k),
        metrics.hit_rate(ranked, gains, k),
        metrics.f1(ranked, gains, k),
        metrics.reciprocal_rank(ranked, gains, k),
        metrics.average_precision(ranked, gains, k),
        metrics.ndcg(ranked, gains, k),
    ):
        assert 0 <= value <= 1 + 1e-12


@given(rankings, gain_tables, st.integers(1, 10))
def test_no_order_beats_the_order_by_gain(ranked, gains, k):
    best = sorted(set(ranked) | set(gains), key=lambda item: -gains.get(item, 0))
    assert metrics.ndcg(ranked, gains, k) <= metrics.ndcg(best, gains, k) + 1e-12


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        metrics.precision(["a"], ["a"], k=0)
    with pytest.raises(ValueError, match="negative"):
        metrics.ndcg(["a"], {"a": -1.0}, k=1)
    with pytest.raises(ValueError, match="labels"):
        metrics.auc([0.1], [1, 0])


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=20))
def test_auc_is_the_share_of_pairs_in_order(rows):
    positives = [score for score, label in rows if label]
    negatives = [score for score, label in rows if not label]
    found = metrics.auc([score for score, _ in rows], [label for _, label in rows])
    if positives and negatives:
        pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
        assert found == pytest.approx(np.mean(pairs))
    else:
        assert math.isnan(found)
