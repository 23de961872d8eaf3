"""mixer.h: features, probabilities, gradient, fit and one step."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

F32 = np.float32
seeds = st.integers(0, 2**32 - 1)


def draw_pools(rng, n_pools=6, n_features=5, most=8):
    """Ragged pools, some empty, some without a target, some with a target spread over two rows."""
    sizes = rng.integers(0, most, n_pools)
    groups = np.cumsum([0, *sizes], dtype=np.int64)
    x = rng.normal(size=(groups[-1], n_features)).astype(F32)
    target = np.zeros(groups[-1], F32)
    for pool in twins.pools(groups):
        rows = np.arange(pool.start, pool.stop)
        if len(rows) >= 1 and rng.random() < 0.8:
            chosen = rng.choice(rows, 2)
            target[chosen[0]] += 0.75
            target[chosen[1]] += 0.25
    return x, target, groups


@given(seeds, st.integers(0, 4))
def test_features_agree_with_their_twin(seed, n_signals):
    rng = np.random.default_rng(seed)
    groups = np.cumsum([0, *rng.integers(0, 6, 5)], dtype=np.int64)
    values = rng.normal(0, 10, (groups[-1], n_signals)).astype(F32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[rng.random(values.shape) < 0.2] = 0
    context = rng.random(5).astype(F32)
    phi = _core.features(values, groups, context)
    assert phi.shape == (groups[-1], 4 * n_signals)
    np.testing.assert_allclose(phi, twins.features(values, groups, context), rtol=1e-5, atol=1e-6)


def test_features_of_one_signal_read_share_and_log_and_both_by_depth():
    values = np.array([[4], [1], [0], [-3], [np.nan]], F32)
    phi = _core.features(values, np.array([0, 5], np.int64), np.array([0.5], F32))
    known = [[1, np.log(101), 0.5, np.log(101) / 2], [0.25, np.log(26), 0.125, np.log(26) / 2]]
    np.testing.assert_allclose(phi, [*known, [0] * 4, [0] * 4, [0] * 4], rtol=1e-6)


@pytest.mark.parametrize("context", [-0.1, 1.1, np.nan])
def test_a_depth_outside_0_to_1_is_refused(context):
    values = np.ones((2, 1), F32)
    with pytest.raises(ValueError, match=r"context\[1\] is .*; it must be from 0 to 1"):
        _core.features(values, np.array([0, 1, 2], np.int64), np.array([0, context], F32))


def test_a_pool_that_is_weak_stays_weak():
    values = np.array([[0.5], [0.25]], F32)
    phi = _core.features(values, np.array([0, 2], np.int64), np.zeros(1, F32))
    assert phi[:, 0].tolist() == [0.5, 0.25]


def test_features_do_not_leak_between_pools():
    values = np.array([[1], [100]], F32)
    phi = _core.features(values, np.array([0, 1, 2], np.int64), np.zeros(2, F32))
    assert phi[:, 0].tolist() == [1, 1]


def test_an_infinite_value_is_refused():
    values = np.array([[1, 2], [1, np.inf]], F32)
    with pytest.raises(ValueError, match="signal 1 in pool 0 has the value inf"):
        _core.features(values, np.array([0, 2], np.int64), np.zeros(1, F32))


@given(seeds)
def test_log_softmax_agrees_with_its_twin_and_sums_to_one(seed):
    rng = np.random.default_rng(seed)
    x, _, groups = draw_pools(rng)
    theta = rng.normal(0, 3, 5).astype(F32)
    logprob = _core.log_softmax(x, theta, groups)
    np.testing.assert_allclose(logprob, twins.log_softmax(x, theta, groups), rtol=1e-5, atol=1e-5)
    for pool in twins.pools(groups):
        if pool.start < pool.stop:
            assert np.exp(logprob[pool]).sum() == pytest.approx(1, abs=1e-5)


def test_huge_scores_do_not_overflow():
    x = np.array([[3e38], [0]], F32)
    logprob = _core.log_softmax(x, np.ones(1, F32), np.array([0, 2], np.int64))
    assert logprob[0] == 0
    assert logprob[1] < -1e38


@given(seeds, st.integers(1, 3))
def test_loss_and_gradient_agree_with_their_twin(seed, n_threads):
    rng = np.random.default_rng(seed)
    x, target, groups = draw_pools(rng)
    theta = rng.normal(size=5)
    loss, gradient = _core.loss_grad(x, theta, target, groups, n_threads)
    expected_loss, expected_gradient = twins.loss_grad(x, theta, target, groups)
    assert loss == pytest.approx(expected_loss, abs=1e-9)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-9)


@given(seeds)
def test_the_gradient_equals_finite_differences(seed):
    rng = np.random.default_rng(seed)
    x, target, groups = draw_pools(rng)
    theta = rng.normal(size=5)
    _, gradient = _core.loss_grad(x, theta, target, groups, 1)
    for j, direction in enumerate(np.eye(5) * 1e-5):
        above = _core.loss_grad(x, theta + direction, target, groups, 1)[0]
        below = _core.loss_grad(x, theta - direction, target, groups, 1)[0]
        assert gradient[j] == pytest.approx((above - below) / 2e-5, abs=1e-7)


def test_the_number_of_threads_changes_no_bit(rng):
    x, target, groups = draw_pools(rng, n_pools=3000, most=40)
    theta = rng.normal(size=5)
    loss, gradient = _core.loss_grad(x, theta, target, groups, 1)
    for n_threads in (2, 3, 8):
        other_loss, other_gradient = _core.loss_grad(x, theta, target, groups, n_threads)
        assert other_loss == loss
        assert other_gradient.tobytes() == gradient.tobytes()


def test_pools_without_a_target_teach_nothing():
    x, groups = np.ones((3, 2), F32), np.array([0, 3], np.int64)
    loss, gradient = _core.loss_grad(x, np.ones(2), np.zeros(3, F32), groups, 1)
    assert loss == 0
    assert gradient.tolist() == [0, 0]


@given(seeds)
def test_no_direction_leads_down_from_the_fit(seed):
    rng = np.random.default_rng(seed)
    x, target, groups = draw_pools(rng)
    prior, l2 = rng.normal(size=5), 0.1
    theta, losses = _core.fit(x, np.zeros(5), prior, l2, target, groups, 200, 1e-9, 1)
    assert losses == sorted(losses, reverse=True)
    lowest = twins.objective(x, theta, prior, l2, target, groups)
    assert losses[-1] == pytest.approx(lowest, abs=1e-9)
    for _ in range(10):
        aside = theta + rng.normal(0, 0.01, 5)
        assert twins.objective(x, aside, prior, l2, target, groups) > lowest


def test_the_fit_finds_the_theta_that_made_the_choices(rng):
    truth = np.array([2.0, -1.0, 0.5, 0.0])
    n_pools, n = 4000, 10
    x = rng.normal(size=(n_pools * n, 4)).astype(F32)
    groups = np.arange(0, n_pools * n + 1, n)
    noise = rng.gumbel(size=n_pools * n)  # the largest of score + Gumbel noise is a softmax draw
    chosen = (x @ truth + noise).reshape(n_pools, n).argmax(axis=1)
    target = np.eye(n, dtype=F32)[chosen].reshape(-1)
    theta, losses = _core.fit(x, np.zeros(4), np.zeros(4), 0.0, target, groups, 100, 1e-8, 2)
    assert np.abs(theta - truth).max() < 0.1
    assert len(losses) < 40


def test_targets_that_sum_to_nearly_one_keep_the_gradient_exact():
    x, groups = np.array([[1], [0]], F32), np.array([0, 2], np.int64)
    target, theta = np.array([0.7, 0.2995], F32), np.ones(1)
    _, gradient = _core.loss_grad(x, theta, target, groups, 1)
    above = _core.loss_grad(x, theta + 1e-5, target, groups, 1)[0]
    below = _core.loss_grad(x, theta - 1e-5, target, groups, 1)[0]
    assert gradient[0] == pytest.approx((above - below) / 2e-5, abs=1e-8)


def test_features_of_very_different_sizes_still_converge(rng):
    x, target, groups = draw_pools(rng, n_pools=60)
    x *= np.array([0.01, 0.1, 1, 10, 100], F32)
    theta, losses = _core.fit(x, np.zeros(5), np.zeros(5), 1e-3, target, groups, 500, 1e-7, 1)
    assert len(losses) < 400
    gradient = _core.loss_grad(x, theta, target, groups, 1)[1] + 1e-3 * theta
    assert np.abs(gradient).max() < 1e-6


@pytest.mark.parametrize("name", ["theta0", "prior"])
def test_a_fit_from_weights_that_are_not_finite_is_refused(name):
    weights = {"theta0": np.zeros(1), "prior": np.zeros(1)} | {name: np.array([np.nan])}
    with pytest.raises(ValueError, match=rf"{name}\[0\] is not finite"):
        _core.fit(
            x=np.ones((1, 1), F32),
            l2=0.1,
            target=np.ones(1, F32),
            groups=np.array([0, 1], np.int64),
            max_steps=5,
            tol=0.0,
            n_threads=1,
            **weights,
        )


def test_a_fit_without_evidence_is_the_prior():
    x, groups = np.ones((3, 2), F32), np.array([0, 3], np.int64)
    prior = np.array([1.0, -2.0])
    theta, _ = _core.fit(x, np.zeros(2), prior, 0.5, np.zeros(3, F32), groups, 50, 1e-9, 1)
    np.testing.assert_allclose(theta, prior, atol=1e-8)


def test_the_start_does_not_change_where_the_fit_ends(rng):
    x, target, groups = draw_pools(rng, n_pools=40)
    ends = [
        _core.fit(x, start, np.zeros(5), 0.05, target, groups, 200, 1e-9, 1)[0]
        for start in (np.zeros(5), rng.normal(0, 20, 5))
    ]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)


def test_separable_choices_without_l2_end_at_max_steps_with_finite_weights():
    x, target = np.array([[1], [0]], F32), np.array([1, 0], F32)
    groups = np.array([0, 2], np.int64)
    theta, losses = _core.fit(x, np.zeros(1), np.zeros(1), 0.0, target, groups, 20, 0.0, 1)
    assert np.isfinite(theta).all()
    assert losses[-1] < 1e-3


STEP = {
    "rate": 0.1,
    "weight": 0.7,
    "calm": 1.0,
    "own_rate": 0.2,
    "own_pull": 0.01,
    "own_most": 1.0,
    "most": 20.0,
    "max_norm": 5.0,
}
NOBODY = np.empty(0)


@given(seeds)
def test_contributions_agree_with_their_twin(seed):
    rng = np.random.default_rng(seed)
    groups = np.concatenate([[0], np.cumsum(rng.integers(0, 5, 4))]).astype(np.int64)
    x = rng.normal(size=(groups[-1], 8)).astype(F32)
    theta = rng.normal(size=8).astype(F32)
    found = _core.contributions(x, theta, groups)
    assert found.shape == (len(x), 2)
    np.testing.assert_allclose(found, twins.contributions(x, theta, groups), atol=1e-5)


@given(seeds, st.integers(1, 8), st.booleans(), st.sampled_from([0.1, 5.0]))
def test_a_step_agrees_with_its_twin(seed, n, has_own, most):
    rng = np.random.default_rng(seed)
    config = STEP | {"most": most, "own_most": most / 2, "max_norm": most}
    x, chosen = rng.normal(size=(n, 4)).astype(F32), int(rng.integers(n))
    m = 4 if has_own else 0
    given_ = rng.normal(size=4), rng.random(4), rng.normal(size=m), rng.random(m)
    expected = twins.step(x, *given_, chosen, **config)
    assert _core.step(x, *given_, chosen, **config) is None
    for found, wanted in zip(given_, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-9)


@given(seeds, st.integers(2, 8))
def test_a_step_follows_the_gradient_of_finite_differences(seed, n):
    """What a first step without calm tells of the gradient: its sign, and its square in g2."""
    rng = np.random.default_rng(seed)
    x, chosen = rng.normal(size=(n, 3)).astype(F32), int(rng.integers(n))
    theta, own = rng.normal(size=3), rng.normal(size=3)

    def loss(by):
        scores = x.astype(np.float64) @ (theta + own + by)
        return np.logaddexp.reduce(scores) - scores[chosen]

    gradient = np.array([(loss(e) - loss(-e)) / 2e-5 for e in 1e-5 * np.eye(3)])
    g2, moved = np.zeros(3), theta.copy()
    config = STEP | {"weight": 1.0, "calm": 1e-12, "max_norm": 1e9}
    _core.step(x, moved, g2, own.copy(), np.zeros(3), chosen, **config)
    np.testing.assert_allclose(np.sqrt(g2), np.abs(gradient), atol=1e-6)
    clear = np.abs(gradient) > 1e-4
    np.testing.assert_allclose((theta - moved)[clear], 0.1 * np.sign(gradient)[clear], rtol=1e-3)


def test_a_step_makes_the_chosen_more_probable(rng):
    x, theta, g2 = rng.normal(size=(6, 3)).astype(F32), np.zeros(3), np.zeros(3)
    groups = np.array([0, 6], np.int64)
    before = _core.log_softmax(x, theta.astype(F32), groups)[2]
    _core.step(x, theta, g2, NOBODY, NOBODY, 2, **STEP)
    assert _core.log_softmax(x, theta.astype(F32), groups)[2] > before


def test_no_number_of_steps_takes_a_weight_past_its_bound():
    x, theta, own = np.array([[1], [0]], F32), np.zeros(1), np.zeros(1)
    config = STEP | {"most": 0.5, "own_most": 0.25, "own_pull": 0.0}
    for _ in range(500):
        _core.step(x, theta, np.zeros(1), own, np.zeros(1), 0, **config)
    assert (theta.item(), own.item()) == (0.5, 0.25)


def test_one_event_of_huge_features_moves_no_more_than_its_rate():
    x, theta, g2 = np.array([[1e6], [0]], F32), np.array([-1e-3]), np.zeros(1)
    _core.step(x, theta, g2, NOBODY, NOBODY, 0, **(STEP | {"calm": 100.0}))
    assert 0 < theta.item() + 1e-3 <= 0.1 * 0.7 * 5.0 / 10.0


def test_a_refused_step_leaves_theta_as_it_was():
    theta, g2 = np.ones(2), np.ones(2)
    for x, squares, chosen, error, message in (
        ([[0, np.nan]], g2, 0, ValueError, "feature 1 of row 0 is not finite"),
        ([[0, 0]], g2, 1, IndexError, "chosen is 1; the pool has 1 rows"),
        ([[0, 0]], np.array([1, np.nan]), 0, ValueError, r"g2\[1\] is not finite"),
    ):
        with pytest.raises(error, match=message):
            _core.step(np.array(x, F32), theta, squares, NOBODY, NOBODY, chosen, **STEP)
    own = np.array([np.inf, 0])
    with pytest.raises(ValueError, match=r"own\[0\] is not finite"):
        _core.step(np.zeros((1, 2), F32), theta, g2, own, np.zeros(2), 0, **STEP)
    with pytest.raises(ValueError, match="own has 1 entries; expected 2"):
        _core.step(np.zeros((1, 2), F32), theta, g2, np.ones(1), np.ones(1), 0, **STEP)
    with pytest.raises(ValueError, match="calm is 0"):
        _core.step(np.zeros((1, 2), F32), theta, g2, NOBODY, NOBODY, 0, **(STEP | {"calm": 0.0}))
    assert (theta.tolist(), g2.tolist()) == ([1, 1], [1, 1])


def test_a_step_on_a_read_only_theta_is_refused():
    theta = np.zeros(2)
    theta.setflags(write=False)
    with pytest.raises(ValueError, match="not writeable"):
        _core.step(np.zeros((1, 2), F32), theta, np.zeros(2), NOBODY, NOBODY, 0, **STEP)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": np.array([0.5, 0.4], F32)}, "targets of pool 0 sum to 0.9"),
        ({"target": np.array([2, -1], F32)}, r"target\[1\] is -1"),
        ({"target": np.array([np.nan, 1], F32)}, r"target\[0\] is nan"),
        ({"target": np.ones(3, F32)}, "target has 3 entries; expected 2"),
        ({"theta": np.zeros(3)}, "theta has 3 entries; expected 1"),
        ({"x": np.array([[1], [np.inf]], F32)}, "feature 0 of row 1 is not finite"),
        ({"groups": np.array([0, 1], np.int64)}, "groups ends at 1"),
        ({"n_threads": 0}, "n_threads is 0"),
    ],
)
def test_pools_that_make_no_sense_are_refused(change, message):
    pools = {
        "x": np.ones((2, 1), F32),
        "theta": np.zeros(1),
        "target": np.array([1, 0], F32),
        "groups": np.array([0, 2], np.int64),
        "n_threads": 1,
    }
    with pytest.raises(ValueError, match=message):
        _core.loss_grad(**(pools | change))


def test_other_threads_run_while_a_fit_does(rng):
    """The GIL is released: a fit of a second does not hold up a thread that counts."""
    x, target, groups = draw_pools(rng, n_pools=4000, n_features=30, most=60)
    counted, done = 0, threading.Event()

    def fit():
        _core.fit(x, np.zeros(30), np.zeros(30), 1e-4, target, groups, 30, 0.0, 1)
        done.set()

    worker = threading.Thread(target=fit)
    worker.start()
    while not done.wait(0.001):
        counted += 1
    worker.join()
    assert counted > 5
