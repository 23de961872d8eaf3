from __future__ import annotations

import math
import time
from dataclasses import replace

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
def test_history_gives_back_what_was_appended_in_its_order(stored: list[Event]) -> None:
    with Store.open(":memory:") as store:
        log = EventLog(store)
        for event in stored:
            log.append(event)
        for user in "uvw":
            expected = [event for event in stored if event.user_id == user]
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
