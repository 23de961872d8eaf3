"""topk.h: the best of many scores under a mask."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

# Few distinct values, so that ties are common.
score_lists = st.lists(st.sampled_from([np.nan, -np.inf, np.inf, -1.0, 0.0, 0.5, 2.0]), max_size=40)


@given(score_lists, st.integers(0, 45), st.randoms(use_true_random=False), st.booleans())
def test_agrees_with_sorting_everything(scores, k, random, masked):
    scores = np.array(scores, np.float32)
    mask = np.array([random.random() < 0.7 for _ in scores], np.uint8) if masked else None
    index, score = _core.topk(scores, k, mask)
    expected_index, expected_score = twins.topk(scores, k, mask)
    assert index.tolist() == expected_index.tolist()
    assert score.tolist() == expected_score.tolist()
    assert (index.dtype, score.dtype) == (np.int32, np.float32)


@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_agrees_with_sorting_on_long_arrays_in_any_order(order, rng):
    scores = np.sort(rng.integers(0, 5000, 20_000)).astype(np.float32)
    scores = {
        "rising": scores,
        "falling": scores[::-1].copy(),
        "shuffled": rng.permutation(scores),
    }[order]
    assert _core.topk(scores, 300)[0].tolist() == twins.topk(scores, 300)[0].tolist()


def test_ties_go_to_the_lower_index():
    assert _core.topk(np.ones(5, np.float32), 3)[0].tolist() == [0, 1, 2]


def test_an_empty_mask_is_not_an_absent_one():
    with pytest.raises(ValueError, match="mask has 0 entries; give one for each of the 3"):
        _core.topk(np.ones(3, np.float32), 1, np.zeros(0, np.uint8))


def test_nothing_allowed_gives_nothing():
    index, score = _core.topk(np.ones(3, np.float32), 2, np.zeros(3, np.uint8))
    assert (len(index), len(score)) == (0, 0)


def test_negative_k_is_refused():
    with pytest.raises(ValueError, match="k is -1"):
        _core.topk(np.ones(3, np.float32), -1)


@pytest.mark.parametrize(
    "scores",
    [np.ones(3), np.ones(6, np.float32)[::2], [1.0, 2.0], np.ones(3, ">f4"), None],
    ids=["float64", "strided", "list", "big-endian", "none"],
)
def test_other_dtypes_and_layouts_are_refused_instead_of_copied(scores):
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.topk(scores, 1)


def test_wrong_rank_is_refused_by_name():
    with pytest.raises(ValueError, match="scores must have 1 dimension, not 2"):
        _core.topk(np.ones((3, 1), np.float32), 1)


def test_unaligned_memory_is_refused():
    scores = np.frombuffer(bytes(13), np.float32, count=3, offset=1)
    with pytest.raises(ValueError, match="scores is not aligned"):
        _core.topk(scores, 1)


def test_results_own_their_memory():
    index, score = _core.topk(np.arange(1000, dtype=np.float32), 500)
    kept = index.copy()
    del score
    assert index.flags.writeable
    assert index.tolist() == kept.tolist()
