"""What a store keeps of one user, told to them; `Recommender.export_data` calls it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pyrec.events import EventLog
from pyrec.paused import Paused
from pyrec.said import SaidLog
from pyrec.shown import Shown, ShownLog
from pyrec.steps import Steps
from pyrec.times import people_of
from pyrec.types import Event


def export_data(
    user: str, events: EventLog, said: SaidLog, shown: ShownLog, steps: Steps, paused: Paused
) -> dict[str, Any]:
    """Return what is kept of a user, as JSON takes it.

    Of lists, what the signals said of each item is left out: it is of the items and the others.
    """
    return {
        "user": user,
        "paused": user in paused,
        "events": _events(events.walk(user)),
        "corrections": [asdict(each) for each in said.of(user)],
        "lists_shown": [_list(each) for each in shown.walk(user)],
        "weights": steps.own(user),
    }


def _events(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [
        {
            "item": event.item_id,
            "kind": event.kind,
            "value": event.value,
            "time": people_of(event.at),
            "session": event.session,
        }
        for event in events
    ]


def _list(shown: Shown) -> dict[str, Any]:
    n = shown.n_shown
    return {
        "time": people_of(shown.at),
        "items": list(shown.items[:n]),
        "scores": [round(float(score), 4) for score in shown.scores[:n]],
        "propensities": shown.propensities,
        "in_words": shown.words,
    }
