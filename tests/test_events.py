from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import events

from pyrec.errors import InvalidEventError
from pyrec.events import EventLog
from pyrec.store import Store
from pyrec.types import EVENT_KINDS, Event


@pytest.fixture
def log(store: Store) -> EventLog:
    return EventLog(store)


def kinds(log: EventLog, user: str) -> list[str]:
    return [event.kind for event in log.history(user)]


@given(st.lists(events(user_ids=st.sampled_from("uvw")), max_size=12))
def test_history_gives_back_what_was_appended_in_the_order_of_time(stored: list[Event]) -> None:
    with Store.open(":memory:") as store:
        log = EventLog(store)
        for event in stored:
            log.append(event)
        for user in "uvw":
            expected = sorted((e for e in stored if e.user_id == user), key=lambda e: e.at)
            assert [replace(e, event_id=None) for e in log.history(user)] == expected


def test_a_stored_event_has_its_number_and_the_present_time(log: EventLog) -> None:
    before = time.time()
    event = log.append(Event("u", "i", "like"))
    assert before <= event.at <= time.time()
    assert log.history("u") == [event]
    assert log.append(Event("u", "i", "like")).event_id > event.event_id


def test_a_new_user_has_no_history_and_has_seen_nothing(log: EventLog) -> None:
    assert log.history("nobody") == []
    assert log.seen("nobody") == set()
    assert log.undo("nobody") is None


def test_history_is_limited_to_the_newest_and_to_kinds(log: EventLog) -> None:
    log.append_many(Event("u", f"i{n}", "like" if n % 2 else "click") for n in range(6))
    assert [e.item_id for e in log.history("u", limit=2)] == ["i4", "i5"]
    assert [e.item_id for e in log.history("u", limit=2, kinds=["click"])] == ["i2", "i4"]
    assert log.history("u", kinds=[]) == []


def test_undo_removes_the_newest_event_but_no_impression(log: EventLog) -> None:
    for kind in ("click", "like", "impression"):
        log.append(Event("u", "i", kind))
    log.append(Event("other", "i", "purchase"))
    assert log.undo("u").kind == "like"
    assert kinds(log, "u") == ["click", "impression"]
    assert log.undo("u").kind == "click"
    assert log.undo("u") is None
    assert kinds(log, "other") == ["purchase"]


def test_the_number_of_an_undone_event_is_not_given_again(log: EventLog) -> None:
    event = log.append(Event("u", "i", "like"))
    log.undo("u")
    assert log.append(Event("u", "i", "like")).event_id > event.event_id


def test_seen_is_anything_but_shown_or_skipped(log: EventLog) -> None:
    values = dict.fromkeys(EVENT_KINDS) | {"rating": 3.0}
    for kind, value in values.items():
        log.append(Event("u", kind, kind, value))
    assert log.seen("u") == {"click", "like", "dislike", "purchase", "rating"}


def test_of_many_events_all_are_kept_or_none(log: EventLog) -> None:
    with pytest.raises(InvalidEventError):
        log.append_many([Event("u", "i", "like"), Event("u", "i", "love")])
    assert log.history("u") == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Event("u", "i", "love"), "'love' is unknown; use one of impression, click"),
        (Event("", "i", "like"), "user of a like event is empty"),
        (Event("u", " ", "like"), "item id of a like event is empty"),
        (Event(7, "i", "like"), "user 7 of an event is not a string"),
        (Event("u", "\ud800", "like"), "not valid Unicode"),
        (Event("u", "i", "rating"), "a rating event has no value"),
        (Event("u", "i", "rating", math.nan), "value nan is not a finite number"),
        (Event("u", "i", "rating", 10**400), "is not a finite number"),
        (Event("u", "i", "rating", "5"), "value '5' is not a finite number"),
        (Event("u", "i", "like", at=-1.0), "before 1970"),
        (Event("u", "i", "like", at=1.7e12), "is after the year 5138; give UTC seconds"),
        (Event("u", "i", "like", at=math.inf), "time inf is not a finite number"),
        (Event("u", "i", "like", session="\udfff"), "session .* is not valid Unicode"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_by_name(
    log: EventLog, event: Event, reason: str
) -> None:
    with pytest.raises(InvalidEventError, match=reason):
        log.append(event)
    assert log.history("u") == []


def test_equal_times_are_in_the_order_of_arrival(log: EventLog) -> None:
    log.append_many(Event("u", item, "like", at=7.0) for item in "cab")
    assert [e.item_id for e in log.history("u")] == ["c", "a", "b"]
    assert [e.item_id for e in log.history("u", limit=2)] == ["a", "b"]
    assert log.undo("u").item_id == "b"


def test_what_happens_now_comes_last_where_a_clock_was_set_back(log: EventLog) -> None:
    ahead = time.time() + 5e8
    log.append(Event("other", "i", "like", at=ahead))
    live = log.append_many([Event("u", "a", "like"), Event("u", "b", "like")])
    live.append(log.append(Event("u", "c", "like")))
    assert ahead < live[0].at < live[1].at < live[2].at < ahead + 1e-3
    assert [e.item_id for e in log.history("u")] == ["a", "b", "c"]
    # An event that says when it was keeps its time, and is not the newest.
    log.append(Event("u", "old", "like", at=5.0))
    assert [e.item_id for e in log.history("u")] == ["old", "a", "b", "c"]
    assert log.undo("u").item_id == "c"


def test_a_clock_that_stands_still_keeps_the_order(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    stored = [log.append(Event("u", f"i{n}", "like")) for n in range(50)]
    assert log.history("u") == stored
    assert len({event.at for event in stored}) == 50
    assert stored[-1].at < 1.7e9 + 1e-4


# What is computed from the whole log


def test_the_state_is_the_largest_numbers_ever_given(log: EventLog) -> None:
    assert log.state() == (0, 0)
    log.append_many(Event("u", "i", "like") for _ in range(3))
    assert log.state() == (3, 0)
    log.undo("u")
    log.undo("u")
    assert log.state() == (3, 2)


def test_all_events_are_walked_in_order_and_in_chunks(log: EventLog) -> None:
    for n in (3, 1, 2, 1):
        log.append(Event("u", f"i{n}", "rating" if n == 2 else "like", 4.0, at=float(n)))
    chunks = list(log.all_ordered(chunk=3))
    assert [len(chunk) for chunk in chunks] == [3, 1]
    assert [row[5] for row in chain(*chunks)] == [2, 4, 3, 1]
    assert chunks[1] == [("u", "i3", "like", 4.0, 3.0, 1)]
    assert [[row[1] for row in c] for c in log.all_ordered(kinds=["rating"])] == [["i2"]]
    assert list(log.all_ordered(kinds=[])) == []


def test_a_walk_sees_the_log_as_it_was_when_it_began(store: Store, log: EventLog) -> None:
    log.append_many(Event("u", f"i{n}", "like", at=n + 1.0) for n in range(4))
    walk = log.all_ordered(chunk=1)
    seen = next(walk)
    with Store.open(store.path) as other:
        EventLog(other).append(Event("u", "new", "like"))
        EventLog(other).undo("u")
        EventLog(other).undo("u")
    assert [row[1] for row in chain(seen, *walk)] == ["i0", "i1", "i2", "i3"]
    assert [row[1] for row in chain(*log.all_ordered())] == ["i0", "i1", "i2"]


@given(st.lists(st.sampled_from(["append", "early", "undo", "follow"]), max_size=30))
def test_whoever_follows_the_log_holds_what_a_new_reader_finds(steps: list[str]) -> None:
    with Store.open(":memory:") as store:
        log = EventLog(store)
        held: dict[int, tuple] = {}
        at_event, at_removal = log.state()
        for n, step in enumerate([*steps, "follow"]):
            if step == "append":
                log.append(Event("u", f"i{n}", "like"))
            elif step == "early":
                log.add([Event("u", f"i{n}", "like", at=float(n))])
            elif step == "undo":
                log.undo("u")
            else:
                state = log.state()
                held |= {row[5]: row for row in log.since(at_event)}
                for user_id in log.removed_since(at_removal):
                    left = {event.event_id for event in log.history(user_id)}
                    held = {n: row for n, row in held.items() if row[0] != user_id or n in left}
                at_event, at_removal = state
        found = [*chain(*log.all_ordered())]
        assert sorted(held.values(), key=lambda row: (row[4], row[5])) == found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM events WHERE user_id = 'u' ORDER BY at DESC, event_id DESC LIMIT 3",
        "SELECT * FROM events ORDER BY at, event_id",
        "SELECT max(at) FROM events",
    ],
)
def test_an_index_gives_the_order_without_sorting(store: Store, sql: str) -> None:
    plan = " ".join(row[3] for row in store.db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
    assert "USING" in plan
    assert "INDEX events_" in plan
    assert "TEMP B-TREE" not in plan
