"""What an event must be to get into the log, whichever way it comes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from pyrec.errors import InvalidEventError
from pyrec.store import is_text
from pyrec.times import LATEST
from pyrec.types import EVENT_KINDS, Event


def checked(event: Event, latest: float = LATEST) -> Event:
    """Return an event as the log keeps it, its numbers as floats and without a number of its own.

    Args:
        event: any.
        latest: the largest time that is believed, UTC seconds.

    Raises:
        InvalidEventError: its kind is unknown, or an id, value or time makes no sense.
    """
    if event.kind not in EVENT_KINDS:
        raise InvalidEventError(
            f"event kind {event.kind!r} is unknown; use one of {', '.join(EVENT_KINDS)}"
        )
    for name, text in (("user", event.user_id), ("item id", event.item_id)):
        _check_text(name, text)
        if not text.strip():
            raise InvalidEventError(f"the {name} of a {event.kind} event is empty; give one")
    if event.session is not None:
        _check_text("session", event.session)
    if event.value is None and event.kind == "rating":
        raise InvalidEventError("a rating event has no value; give the rating")
    value = None if event.value is None else _number("value", event.value)
    at = _number("time", event.at)
    if at < 0:
        raise InvalidEventError(f"event time {at!r} is before 1970; give UTC seconds")
    if at > latest:
        when = "after the year 5138" if latest == LATEST else "more than a day in the future"
        raise InvalidEventError(f"event time {at!r} is {when}; give UTC seconds")
    if value is event.value and at is event.at and event.event_id is None and event.session != "":
        return event  # as most are; making another takes longer than all of the above
    return replace(event, value=value, at=at, session=event.session or None, event_id=None)


def _check_text(name: str, text: Any) -> None:
    if not isinstance(text, str):
        raise InvalidEventError(f"the {name} {text!r} of an event is not a string")
    if not text.isascii() and not is_text(text):
        raise InvalidEventError(f"the {name} {text!r} of an event is not valid Unicode")


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidEventError(f"event {name} {value!r} is not a finite number")
    return number
