import numpy as np
import pytest

from pyrec import mixer
from pyrec.mixer import Mixer


def test_mixed_probabilities_of_a_pool_sum_to_one(rng):
    mix = Mixer(["a", "b"], {"a": (1.0, 0.5), "b": (-1.0, 0.2, 0.3, 0.4)})
    values = rng.random((7, 2)).astype(np.float32)
    values[2, 1] = np.nan
    assert np.exp(mix.mix(values, 0.5).logprob.astype(float)).sum() == pytest.approx(1.0, abs=1e-5)


def test_contributions_say_what_moved_each_item(rng):
    mix = Mixer(["a", "b"], {"a": (2.0, 0.0, -3.0, 0.5), "b": (0.5, 0.1)})
    mixed = mix.mix(rng.random((9, 2)).astype(np.float32), context=0.7)
    spread = mixed.logprob - mixed.logprob.mean()
    np.testing.assert_allclose(mixed.contributions.sum(axis=1), spread, atol=1e-5)


def test_theta_is_kept_by_name_and_unknown_signals_weigh_nothing():
    mix = Mixer(["new", "old"], {"old": (1.0, 2.0, 3.0)})
    assert mix.as_dict() == {"new": (0.0, 0.0, 0.0, 0.0), "old": (1.0, 2.0, 3.0, 0.0)}
    assert mix.weight("new") == 0.0
    assert mix.weight("old") == 3.0
    with pytest.raises(ValueError, match="theta of old has 5 weights"):
        Mixer(["old"], {"old": (1.0,) * 5})


def test_a_weight_for_deep_histories_counts_as_far_as_a_history_is_deep():
    assert [mixer.depth_of(n) for n in (0, 1, 5, 100, 2000)] == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert 0.4 < mixer.depth_of(20) < 0.5
    mix = Mixer(["a"], {"a": (0.0, 0.0, 2.0, 0.0)})
    values = np.array([[1.0], [0.0]], np.float32)
    for depth in (0.0, 0.5, 1.0):
        logprob = mix.mix(values, depth).logprob
        assert logprob[0] - logprob[1] == pytest.approx(2.0 * depth)


def test_fitting_finds_the_signal_that_tells_the_answers(rng):
    groups = np.arange(0, 401, 8, dtype=np.int64)
    values = rng.random((400, 2)).astype(np.float32)
    target = np.zeros(400, np.float32)
    for first in groups[:-1]:
        target[first + np.argmax(values[first : first + 8, 0])] = 1.0
    fitted, losses = mixer.fit(values, target, groups, Mixer(["told", "noise"], {}), l2=1e-3)
    assert losses[-1] < 0.5 * losses[0]
    assert fitted.weight("told") > 5 * fitted.weight("noise")


def test_a_strong_prior_holds_theta(rng):
    groups = np.arange(0, 81, 8, dtype=np.int64)
    values = rng.random((80, 1)).astype(np.float32)
    target = np.zeros(80, np.float32)
    target[::8] = 1.0
    prior = Mixer(["a"], {"a": (1.5, -0.5, 0.0, 0.1)})
    fitted, _ = mixer.fit(values, target, groups, prior, l2=1e6)
    np.testing.assert_allclose(fitted.theta, prior.theta, atol=1e-4)


def test_the_shipped_theta_names_signals_that_exist():
    from pyrec import signals
    from pyrec.signals.titles import Titles

    known = {s.name for s in signals.every()} | {Titles.name}
    shipped = mixer.shipped_theta()
    assert shipped
    assert set(shipped) <= known
    assert all(len(row) == len(mixer.FEATURES) for row in shipped.values())
