"""histories.h and transitions.h: the state after any changes, and what is summed over it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

F32, I32, U8 = np.float32, np.int32, np.uint8
CONFIG = {
    "window": 50,
    "gap_decay": 0.5,
    "length_damping": 0.0,
    "source_damping": 0.0,
    "target_damping": 0.0,
    "max_postings": 2000,
    "reach": 500,
}
N_USERS, N_ITEMS = 4, 6

# An event's time is the number of steps so far, so that an entry is at the same time as the user's
# entry before wherever no step was drawn between the two.
events_drawn = st.tuples(
    st.just("event"), st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1), st.booleans()
)
removals_drawn = st.tuples(st.just("remove"), st.integers(0, 200))
forgets_drawn = st.tuples(st.just("forget"), st.integers(0, N_USERS))
changes_drawn = st.lists(
    st.one_of(events_drawn, events_drawn, events_drawn, removals_drawn, forgets_drawn), max_size=50
)
queries_drawn = st.lists(
    st.tuples(st.integers(0, N_ITEMS), st.sampled_from([-1.0, 0.5, 1.0])), max_size=5
)
configs_drawn = st.fixed_dictionaries(
    {
        "window": st.integers(0, 5),
        "gap_decay": st.sampled_from([0.0, 0.5, 0.9, 1.0]),
        "length_damping": st.floats(0, 2),
        "source_damping": st.floats(0, 2),
        "target_damping": st.floats(0, 2),
        "max_postings": st.integers(1, 6),
        "reach": st.sampled_from([0, 1, 500]),
    }
)


def arrays(events):
    """Events as (user, item, same) → the arrays of `extend`."""
    columns = list(zip(*events, strict=True)) or [(), (), ()]
    return np.array(columns[0], I32), np.array(columns[1], I32), np.array(columns[2], U8)


def built(*events):
    histories = _core.Histories()
    histories.extend(*arrays(events))
    return histories


def flagged(log):
    """Events as (user, item, time) → (user, item, same)."""
    last = {}
    for user, item, time in log:
        yield user, item, int(last.get(user) == time)
        last[user] = time


def apply(changes, *targets):
    """Do the changes to each of the targets; return the surviving (user, item, time)."""
    log, now = [], 0
    for change in changes:
        if change[0] == "event":
            _, user, item, step = change
            now += step
            if [held[1] for held in log if held[0] == user][-1:] == [item]:
                add = (user, item, 1)  # no new entry, whatever its time
            else:
                log.append((user, item, now))
                add = list(flagged(log))[-1]
            for target in targets:
                target.extend(*arrays([add]))
        elif change[0] == "forget":
            log = [event for event in log if event[0] != change[1]]
            for target in targets:
                target.forget(change[1])
        elif log:
            at = change[1] % len(log)
            user = log[at][0]
            pos = sum(event[0] == user for event in log[:at])
            del log[at]
            mine = [n for n, event in enumerate(log) if event[0] == user]
            if 0 < pos < len(mine) and log[mine[pos - 1]][1] == log[mine[pos]][1]:
                del log[mine[pos]]  # neighbors of one item became one
            for target in targets:
                target.remove(user, pos)
    return log


def state(histories):
    """All that can be read, as lists."""
    return (
        [[list(part) for part in histories.history(user)] for user in range(N_USERS + 1)],
        [[list(part) for part in histories.postings(item)] for item in range(N_ITEMS + 1)],
    )


def ask(histories, query, n_items=N_ITEMS, **config):
    items, weights = [item for item, _ in query], [weight for _, weight in query]
    return histories.transitions(np.array(items, I32), np.array(weights, F32), n_items, **config)


@given(changes_drawn, queries_drawn, configs_drawn)
def test_any_changes_leave_what_the_surviving_events_alone_would_build(changes, query, config):
    histories, twin = _core.Histories(), twins.Histories()
    log = apply(changes, histories, twin)
    fresh = built(*flagged(log))

    assert state(histories) == state(fresh) == state(twin)
    for name in ("n_users", "n_items", "n_events"):
        assert getattr(histories, name) == getattr(fresh, name)
    assert histories.count().tolist() == fresh.count().tolist()
    every = np.arange(-1, N_ITEMS + 2, dtype=I32)
    for user in range(-1, N_USERS + 1):
        taken = histories.history(user)[0]
        assert histories.took(user, every).tolist() == np.isin(every, taken).tolist()
    assert histories.lately().tolist() == fresh.lately().tolist() == twin.lately().tolist()
    found = ask(histories, query, **config)
    assert [a.tobytes() for a in found] == [a.tobytes() for a in ask(fresh, query, **config)]
    np.testing.assert_allclose(found, ask(twin, query, **config), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most", [1, 12])
def test_long_histories_agree_with_the_twin_beyond_the_reach_of_together(rng, most):
    m = 1300
    users, items = rng.integers(0, 2, m, I32), rng.integers(0, 39, m, I32)
    items[rng.random(m) < 0.7] = 39  # the others lie far apart
    same = (rng.random(m) < 0.3).astype(U8)
    histories, twin = _core.Histories(), twins.Histories()
    for target in (histories, twin):
        target.extend(users, items, same)
    config = CONFIG | {"window": 30, "length_damping": 0.5, "max_postings": most}
    query = [(3, 1.0), (17, 0.25), (39, 2.0)]
    found, expected = ask(histories, query, 40, **config), ask(twin, query, 40, **config)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@given(changes_drawn)
def test_one_large_batch_equals_many_small_ones(changes):
    log = [(change[1], change[2], int(change[3])) for change in changes if change[0] == "event"]
    one_by_one = _core.Histories()
    for event in log:
        one_by_one.extend(*arrays([event]))
    assert state(one_by_one) == state(built(*log))


def test_what_comes_after_is_told_from_what_came_before():
    histories = built((0, 1, 0), (0, 0, 0), (0, 2, 0), (0, 3, 0))
    after, near, together = ask(histories, [(0, 1.0)], 4, **CONFIG)
    assert after.tolist() == [0, 0, 1, 0.5]
    assert near.tolist() == [0, 1, 1, 0.5]
    assert together.tolist() == [0, 1, 1, 1]


def test_items_of_the_same_time_are_each_half_after_the_other():
    histories = built((0, 0, 0), (0, 1, 1), (0, 2, 0))
    assert [a.tolist() for a in ask(histories, [(0, 1.0)], 3, **CONFIG)[:2]] == [
        [0, 0.5, 1],
        [0, 1, 1],
    ]
    assert [a.tolist() for a in ask(histories, [(1, 1.0)], 3, **CONFIG)[:2]] == [
        [0.5, 0, 1],
        [1, 0, 1],
    ]


def test_a_walk_ends_where_the_item_comes_again():
    histories = built((0, 0, 0), (0, 1, 0), (0, 0, 0), (0, 2, 0))
    after, near, together = ask(histories, [(0, 1.0)], 3, **CONFIG)
    assert after.tolist() == [0, 1, 1]
    assert near.tolist() == [0, 2, 1]
    assert together.tolist() == [0, 2, 2]


def test_only_the_newest_postings_are_walked():
    histories = built((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 2, 0))
    after, _, together = ask(histories, [(0, 1.0)], 3, **CONFIG | {"max_postings": 1})
    assert after.tolist() == together.tolist() == [0, 0, 1]


def test_unknown_items_say_nothing_and_items_beyond_the_result_are_left_out():
    histories = built((0, 0, 0), (0, 5, 0), (0, 1, 0))
    after, _, together = ask(histories, [(0, 1.0), (99, 1.0)], 2, **CONFIG)
    assert after.tolist() == [0, 0.5]
    assert together.tolist() == [0, 1]
    assert ask(histories, [(99, 1.0)], 8, **CONFIG)[1].tolist() == [0] * 8


def test_an_item_gets_nothing_from_itself_whatever_the_weights():
    rng = np.random.default_rng(3)
    histories = built(*((u, 0, 0) for u in range(9) for _ in range(7)))
    for weight in rng.random(20):
        assert not np.any(ask(histories, [(0, float(weight))], 1, **CONFIG))


def test_what_was_taken_last_counts_most_lately():
    long = ((2, item, 0) for item in range(3, 21))
    histories = built((0, 0, 0), (0, 1, 0), (0, 2, 1), (1, 2, 0), *long)
    assert histories.lately()[:3].tolist() == [0.5, 1, 2]
    assert histories.lately()[3:].tolist() == [0.0, *(0.5**n for n in range(16, -1, -1))]


def test_without_reach_nothing_counts_as_together():
    histories = built((0, 0, 0), (0, 1, 0))
    after, _, together = ask(histories, [(0, 1.0)], 2, **CONFIG | {"reach": 0})
    assert (after.tolist(), together.tolist()) == ([0, 1], [0, 0])


def test_what_was_forgotten_or_removed_is_no_longer_counted():
    histories = built((0, 1, 0), (3, 1, 0), (3, 7, 0), (0, 2, 0))
    assert (histories.n_users, histories.n_items, histories.n_events) == (4, 8, 4)
    histories.forget(3)
    assert (histories.n_users, histories.n_items, histories.n_events) == (1, 3, 2)
    assert histories.count().tolist() == [0, 1, 1]
    histories.remove(0, 0)
    histories.remove(0, 0)
    assert (histories.n_users, histories.n_items, histories.n_events) == (0, 0, 0)
    histories.forget(3)
    histories.forget(-1)


def test_a_bulk_build_takes_twelve_bytes_an_event():
    rng = np.random.default_rng(0)
    m, n_users, n_items = 200_000, 1000, 500
    histories = _core.Histories()
    histories.extend(rng.integers(0, n_users, m, I32), rng.integers(0, n_items, m, I32),
                     np.zeros(m, U8))  # fmt: skip
    assert histories.nbytes <= 12 * m + 24 * n_users + 36 * n_items


def test_readers_and_writers_on_several_threads_see_whole_states():
    histories, stop = built((0, 0, 0), (0, 1, 0)), threading.Event()

    def write():
        for _ in range(300):
            histories.extend(*arrays([(1, 0, 0), (1, 1, 0)]))
            histories.forget(1)
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not stop.is_set():
        seen.add(float(ask(histories, [(0, 1.0)], 2, **CONFIG)[0][1]))
    writer.join()
    assert seen <= {1.0, 2.0}


@pytest.mark.parametrize(
    ("users", "items", "same", "message"),
    [
        ([0, -3], [0, 0], [0, 0], r"users\[1\] is -3; it must be 0 or more"),
        ([0, 0], [-1, 0], [0, 0], r"items\[0\] is -1"),
        ([0, 0], [0], [0, 0], "items has 1 entries; expected 2"),
        ([0, 0], [0, 0], [0], "same has 1 entries; expected 2"),
    ],
)
def test_events_that_make_no_sense_are_refused_whole(users, items, same, message):
    histories = _core.Histories()
    with pytest.raises(ValueError, match=message):
        histories.extend(np.array(users, I32), np.array(items, I32), np.array(same, U8))
    assert histories.n_events == 0


@pytest.mark.parametrize(("user", "pos"), [(0, 1), (0, -1), (1, 0), (-1, 0)])
def test_removing_what_is_not_there_is_an_error(user, pos):
    with pytest.raises(IndexError, match=f"user {user} has no entry {pos}; the history has"):
        built((0, 0, 0)).remove(user, pos)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": -1}, "window is -1; it must be from 0 to 10000"),
        ({"window": 10_001}, "window is 10001"),
        ({"gap_decay": 1.5}, "gap_decay is 1.5.*from 0 to 1"),
        ({"length_damping": -1.0}, "length_damping is -1.0.*0 or more"),
        ({"source_damping": float("nan")}, "source_damping is nan"),
        ({"target_damping": float("inf")}, "target_damping is inf"),
        ({"max_postings": 0}, "max_postings is 0; it must be 1 or more"),
        ({"reach": -1}, "reach is -1; it must be 0 or more"),
        ({"n_items": -1}, "n_items is -1"),
        ({"query": [(0, 1.0), (-2, 1.0)]}, "query item 1 is -2"),
        ({"query": [(0, float("nan"))]}, "query item 0 is 0 with weight nan"),
    ],
)
def test_questions_that_make_no_sense_are_refused(change, message):
    arguments = {"query": [(0, 1.0)], "n_items": 2} | CONFIG | change
    with pytest.raises(ValueError, match=message):
        ask(built((0, 0, 0), (0, 1, 0)), **arguments)
