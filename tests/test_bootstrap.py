import math

import numpy as np
import pytest

from pyrec.bootstrap import bootstrap, intervals, paired_bootstrap


def test_an_interval_holds_the_mean_and_repeats_with_its_seed():
    a, b = np.linspace(0, 1, 50), np.linspace(0, 1, 50)[::-1]
    first = paired_bootstrap(a, b, np.random.default_rng(7))
    assert first.low < first.mean < first.high
    assert first == paired_bootstrap(a, b, np.random.default_rng(7))


def test_a_constant_gain_has_no_width():
    interval = paired_bootstrap([0.5] * 9, [0.25] * 9, np.random.default_rng(0))
    assert interval == (0.25, 0.25, 0.25)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        sample = rng.normal(0.1, 1, 80)
        interval = bootstrap(sample, rng, n=400)
        covered += interval.low <= 0.1 <= interval.high
    assert 0.88 < covered / 200 < 0.99


def test_a_lower_level_is_narrower():
    values = np.random.default_rng(1).random(60)
    wide, narrow = (bootstrap(values, np.random.default_rng(2), level=x) for x in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_bounds_are_quantiles_of_means_of_drawn_questions():
    values = np.random.default_rng(1).random(30)
    drawn = np.random.default_rng(5).integers(30, size=(500, 30))
    expected = np.quantile(values[drawn].mean(1), [0.025, 0.975])
    found = bootstrap(values, np.random.default_rng(5), n=500)
    assert found == pytest.approx((values.mean(), *expected))


def test_many_questions_drawn_in_blocks_give_what_one_block_gives(monkeypatch):
    values = np.random.default_rng(1).random((40, 2))
    whole = intervals(values, np.random.default_rng(5), n=100)
    monkeypatch.setattr("pyrec.bootstrap._CELLS", 7 * 40)
    np.testing.assert_allclose(intervals(values, np.random.default_rng(5), n=100), whole)


def test_columns_side_by_side_get_what_each_gets_alone():
    values = np.random.default_rng(1).random((40, 3))
    together = intervals(values, np.random.default_rng(5))
    alone = [bootstrap(column, np.random.default_rng(5)) for column in values.T]
    np.testing.assert_allclose(together, alone)


def test_what_is_not_defined_is_left_out():
    found = bootstrap([0.5, math.nan, 0.5, math.nan], np.random.default_rng(0))
    assert found == (0.5, 0.5, 0.5)
    found = paired_bootstrap([1, math.nan, 5], [0, 3, math.nan], np.random.default_rng(0))
    assert found == (1, 1, 1)
    assert all(map(math.isnan, bootstrap([math.nan] * 3, np.random.default_rng(0))))


def test_impossible_arguments_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="not empty"):
        paired_bootstrap([], [], rng)
    with pytest.raises(ValueError, match="alike"):
        paired_bootstrap([1, 2], [1], rng)
    with pytest.raises(ValueError, match="not empty"):
        bootstrap([], rng)
    with pytest.raises(ValueError, match="level 95"):
        bootstrap([1.0], rng, level=95)
    with pytest.raises(ValueError, match="n_columns"):
        intervals([1.0], rng)
