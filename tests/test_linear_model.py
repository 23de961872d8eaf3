"""The solver of the linear item model, held against the formula as written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec.linear_model import LinearConfig, LinearModel, fit, invert_in_place

EVERYTHING = LinearConfig(l2=2.0, n_weights=10_000)


def plain(x, l2):
    """P = (XᵀX + l2·I)⁻¹, B = I − P · diag(P)⁻¹; nothing for items that nobody had."""
    p = np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1]))
    b = np.eye(x.shape[1]) - p / np.diag(p)
    had = x.any(axis=0)
    return b * had[:, None] * had


def to_csr(x):
    user, item = np.nonzero(x)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=len(x)))]).astype(np.int64)
    return ptr, item.astype(np.int32)


def dense(model: LinearModel):
    n_items = len(model.ptr) - 1
    b = np.zeros((n_items, n_items))
    b[np.repeat(np.arange(n_items), np.diff(model.ptr)), model.idx] = model.weights
    return b


def random_x(rng, n_users, n_items, share):
    return (rng.random((n_users, n_items)) < share).astype(float)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40), st.integers(1, 40), st.floats(0.01, 0.9), st.integers(0, 99),
    st.sampled_from([0.5, 2.0, 50.0]),
)  # fmt: skip
def test_agrees_with_the_formula_whichever_side_is_smaller(n_users, n_items, share, seed, l2):
    x = random_x(np.random.default_rng(seed), n_users, n_items, share)
    model = fit(*to_csr(x), n_items, replace(EVERYTHING, l2=l2))
    np.testing.assert_allclose(dense(model), plain(x, l2), atol=2e-5)


@pytest.mark.parametrize("share", [0.004, 0.2], ids=["pairs counted", "products"])
@pytest.mark.parametrize("shape", [(900, 600), (600, 900)], ids=["items", "users"])
def test_float32_keeps_three_digits_where_quarters_and_blocks_are_many(rng, shape, share):
    # A crowd that shares the popular items makes the system as ill-conditioned as it gets.
    x = random_x(rng, *shape, share)
    x[:, :5] = rng.random((shape[0], 5)) < 0.8
    model = fit(*to_csr(x), shape[1], replace(EVERYTHING, l2=20.0))
    exact = plain(x, 20.0)
    assert np.abs(dense(model) - exact).max() < 1e-3 * np.abs(exact).max()


def test_a_matrix_is_inverted_where_it_stands_though_it_is_ill_conditioned(rng):
    factors = rng.standard_normal((1301, 400)).astype(np.float32)
    factors[:, 0] *= 5
    a = factors @ factors.T + 5 * np.eye(1301, dtype=np.float32)
    exact = np.linalg.inv(a.astype(np.float64))
    inverse = a.copy()
    invert_in_place(inverse)
    assert np.abs(inverse - exact).max() < 1e-4 * np.abs(exact).max()
    np.testing.assert_array_equal(inverse[:650, 650:], inverse[650:, :650].T)


@pytest.mark.parametrize("shape", [(300, 60), (60, 300)], ids=["items", "users"])
def test_the_largest_weights_of_all_are_kept_whatever_their_sign(rng, shape):
    x = random_x(rng, *shape, 0.2)
    every = dense(fit(*to_csr(x), shape[1], EVERYTHING))
    model = fit(*to_csr(x), shape[1], replace(EVERYTHING, n_weights=7))
    kept = dense(model)
    places = np.nonzero(kept)
    assert len(places[0]) == 7 * shape[1]
    np.testing.assert_array_equal(kept[places], every[places])
    assert np.abs(kept[places]).min() >= np.sort(np.abs(every), axis=None)[-7 * shape[1]]
    assert (model.weights < 0).any()
    assert (model.weights > 0).any()


def test_items_of_a_row_ascend_and_leave_out_the_row_itself(rng):
    model = fit(*to_csr(random_x(rng, 50, 30, 0.3)), 30)
    for i in range(30):
        row = model.idx[model.ptr[i] : model.ptr[i + 1]]
        assert (np.diff(row) > 0).all()
        assert i not in row


def test_shapes_and_types_are_those_of_csr(rng):
    model = fit(*to_csr(random_x(rng, 20, 30, 0.3)), 30)
    assert (model.ptr.dtype, model.idx.dtype, model.weights.dtype) == (
        np.int64,
        np.int32,
        np.float32,
    )
    assert len(model.ptr) == 31
    assert model.ptr[-1] == len(model.idx) == len(model.weights)


def test_what_a_user_had_twice_counts_once():
    once = fit(np.array([0, 2, 4]), np.array([0, 1, 1, 2], np.int32), 3)
    twice = fit(np.array([0, 4, 6]), np.array([1, 0, 1, 1, 2, 1], np.int32), 3)
    np.testing.assert_array_equal(dense(once), dense(twice))


def test_items_taken_together_speak_for_each_other():
    ptr, items = np.array([0, 2, 4, 6, 8]), np.array([0, 1, 0, 1, 2, 3, 2, 3], np.int32)
    b = dense(fit(ptr, items, 4, LinearConfig(l2=1.0)))
    assert b[0, 1] > 0.5
    assert b[0, 2] == b[0, 3] == 0


@pytest.mark.parametrize(
    ("ptr", "items", "n_items"),
    [
        ([0], [], 0),
        ([0], [], 5),
        ([0, 0, 0], [], 5),
        ([0, 1, 2, 2], [3, 3], 5),
        ([0, 1], [0], 1),
        ([0, 2], [4, 4], 5),
    ],
    ids=["nothing", "no users", "no events", "one item each", "one item in all", "the same twice"],
)
def test_without_two_items_together_there_is_no_weight(ptr, items, n_items):
    model = fit(np.array(ptr, np.int64), np.array(items, np.int32), n_items)
    np.testing.assert_array_equal(model.ptr, np.zeros(n_items + 1))
    assert len(model.idx) == len(model.weights) == 0


def test_an_item_that_nobody_had_has_no_row_and_stands_in_none(rng):
    x = random_x(rng, 40, 20, 0.4)
    x[:, [0, 7, 19]] = 0
    b = dense(fit(*to_csr(x), 20, EVERYTHING))
    assert not b[[0, 7, 19]].any()
    assert not b[:, [0, 7, 19]].any()
    assert np.isfinite(b).all()


def test_past_max_side_the_items_with_the_most_users_take_part(rng):
    x = random_x(rng, 60, 50, np.linspace(0.9, 0.1, 50))
    most = np.sort(np.argsort(-x.sum(axis=0), kind="stable")[:20])
    b = dense(fit(*to_csr(x), 50, replace(EVERYTHING, max_side=20)))
    np.testing.assert_allclose(b[np.ix_(most, most)], plain(x[:, most], 2.0), atol=1e-5)
    b[np.ix_(most, most)] = 0
    assert not b.any()


def test_few_users_are_enough_for_more_items_than_max_side(rng):
    x = random_x(rng, 15, 50, 0.3)
    model = fit(*to_csr(x), 50, replace(EVERYTHING, max_side=20))
    np.testing.assert_allclose(dense(model), plain(x, 2.0), atol=1e-5)


@pytest.mark.parametrize(
    ("ptr", "items", "named"),
    [([0, 1], [0, 1], "2 items"), ([0, 1], [3], "0 to 2"), ([0, 1], [-1], "0 to 2")],
)
def test_what_does_not_fit_together_is_refused(ptr, items, named):
    with pytest.raises(ValueError, match=named):
        fit(np.array(ptr, np.int64), np.array(items, np.int32), 3)
