import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec import splits

user_columns = st.lists(st.integers(0, 4), max_size=40).map(lambda u: np.array(u, np.int32))
shares = st.sampled_from([0.01, 0.1, 0.2, 0.5, 0.9])


def test_last_holds_out_the_newest_event_of_each_user():
    users = np.array([7, 3, 7, 3, 7], np.int32)
    assert splits.last(users).tolist() == [False, False, False, True, True]
    assert splits.last(users, 2).tolist() == [False, False, True, False, True]


def test_last_leaves_users_with_too_few_events_in_the_past():
    assert not splits.last(np.array([1, 2, 2], np.int32), 2).any()


@given(user_columns, st.integers(1, 4))
def test_last_holds_out_k_of_who_has_more(users, k):
    held = splits.last(users, k)
    for user in set(users.tolist()):
        mine = held[users == user]
        assert mine.tolist() == [len(mine) > k and n >= len(mine) - k for n in range(len(mine))]


def test_temporal_holds_out_what_came_after_the_moment_whoever_did_it():
    at = np.array([5.0, 1.0, 9.0, 5.0, 6.0])
    assert splits.temporal(at, 5.0).tolist() == [False, False, True, False, True]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), shares)
def test_a_share_after_a_moment_is_never_more_than_asked_and_leaves_a_past(times, share):
    at = np.array(times, np.float64)
    held = splits.temporal(at, splits.moment_before(at, share))
    assert held.sum() <= math.ceil(share * len(at))
    assert not held.all()


def test_a_share_of_distinct_times_is_exact():
    at = np.random.default_rng(0).permutation(100).astype(np.float64)
    assert splits.temporal(at, splits.moment_before(at, 0.07)).sum() == 7


def test_events_of_one_time_stay_together_in_the_past():
    at = np.array([1.0, 2.0, 2.0, 2.0, 3.0])
    moment = splits.moment_before(at, 0.5)
    assert moment == 2.0
    assert splits.temporal(at, moment).sum() == 1


@given(user_columns, shares, st.integers(0, 5))
def test_a_random_share_is_rounded_up_and_leaves_everybody_a_history(users, share, seed):
    held = splits.random_share(users, share, np.random.default_rng(seed))
    for user in set(users.tolist()):
        n = int((users == user).sum())
        assert held[users == user].sum() == min(math.ceil(n * share - 1e-9), n - 1)


def test_a_random_share_repeats_with_its_seed_and_differs_without():
    users = np.zeros(50, np.int32)
    one, same, other = (
        splits.random_share(users, 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_an_empty_log_is_split_into_nothing():
    nobody = np.array([], np.int32)
    assert splits.last(nobody).shape == (0,)
    assert splits.random_share(nobody, 0.5, np.random.default_rng(0)).shape == (0,)
    assert splits.temporal(np.array([]), 0.0).shape == (0,)
    with pytest.raises(ValueError, match="no events to split"):
        splits.moment_before(np.array([]), 0.5)


def test_impossible_arguments_are_refused():
    users = np.array([1], np.int32)
    with pytest.raises(ValueError, match="k must be at least 1"):
        splits.last(users, 0)
    with pytest.raises(ValueError, match=r"share 1\.5 must lie between 0 and 1"):
        splits.random_share(users, 1.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="moment nan"):
        splits.temporal(np.array([1.0]), math.nan)
    with pytest.raises(ValueError, match="n_events"):
        splits.last(np.zeros((2, 2), np.int32))
