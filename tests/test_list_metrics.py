import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyrec.list_metrics import coverage, intra_list_diversity, novelty

matrices = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 6), st.integers(1, 4)),
    elements=st.integers(-3, 3).map(float),
)


def test_coverage_is_the_share_of_the_catalog_in_any_list():
    assert coverage([["a", "b", "x"], ["b", "c", "y"]], n_items=6, k=2) == 0.5
    assert coverage([], n_items=6, k=2) == 0


def test_coverage_of_a_smaller_catalog_than_listed_is_refused():
    with pytest.raises(ValueError, match="hold 2 items, the catalog only 1"):
        coverage([["a", "b"]], n_items=1, k=2)


def test_what_all_users_took_is_no_news_and_what_half_took_is_one_bit():
    takers = {"all": 8, "half": 4}
    assert novelty(["all"], takers, n_users=8, k=5) == 0
    assert novelty(["half"], takers, n_users=8, k=5) == 1
    assert novelty(["all", "half"], takers, n_users=8, k=5) == 0.5


def test_a_never_taken_item_is_as_new_as_one_taken_once():
    once = novelty(["b"], {"b": 1}, n_users=8, k=1)
    assert novelty(["a"], {}, n_users=8, k=1) == novelty(["a"], {"a": 0}, 8, 1) == once == 3


def test_novelty_counts_places_that_are_filled_and_an_item_once():
    takers = {"a": 4, "b": 2}
    assert novelty(["a", "a", "b", "x"], takers, n_users=8, k=3) == 1.5
    assert math.isnan(novelty([], takers, n_users=8, k=3))


def test_an_item_with_more_takers_than_users_is_refused():
    with pytest.raises(ValueError, match="'a' has 9 takers of 8 users"):
        novelty(["a"], {"a": 9}, n_users=8, k=1)


def test_diversity_of_equal_orthogonal_and_opposite_items():
    assert intra_list_diversity([[1, 0], [2, 0]], k=2) == pytest.approx(0)
    assert intra_list_diversity([[1, 0], [0, 3]], k=2) == pytest.approx(1)
    assert intra_list_diversity([[1, 0], [-1, 0]], k=2) == pytest.approx(2)


def test_diversity_looks_at_the_first_k_alone_and_needs_a_pair():
    assert intra_list_diversity([[1, 0], [1, 0], [0, 1]], k=2) == pytest.approx(0)
    assert math.isnan(intra_list_diversity([[1, 0], [0, 1]], k=1))
    assert math.isnan(intra_list_diversity(np.empty((0, 3)), k=5))


@given(matrices, st.integers(2, 7))
def test_diversity_is_the_mean_over_pairs(vectors, k):
    def cosine(a, b):
        lengths = np.linalg.norm(a) * np.linalg.norm(b)
        return a @ b / lengths if lengths else 0.0

    expected = np.mean([1 - cosine(a, b) for a, b in combinations(vectors[:k], 2)])
    assert intra_list_diversity(vectors, k) == pytest.approx(expected, abs=1e-12)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        coverage([["a"]], 1, k=0)
    with pytest.raises(ValueError, match="n_items must be at least 1"):
        coverage([], 0, k=1)
    with pytest.raises(ValueError, match="n_users must be at least 1"):
        novelty([], {}, 0, k=1)
    with pytest.raises(ValueError, match=r"must be \(n, dim\)"):
        intra_list_diversity([1.0, 2.0], k=1)
