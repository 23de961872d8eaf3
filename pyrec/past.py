"""What a user's events say of items now: one weight an item, from -1 to 1.

`recommender.py` gives these to the signals as the history of a question, and each signal lets them
fade with their age in its own way. A dislike counts against an earlier like of the same item.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyrec.types import Event

N_EVENTS = 200
"""How many of a user's newest events are looked at."""
RATING_MIDDLE = 3.0
"""The rating that says neither yes nor no, on a scale of five."""

_WEIGHTS = {"click": 0.5, "like": 1.0, "purchase": 1.0, "dislike": -1.0, "skip": -0.1}


def weigh(events: Iterable[Event]) -> dict[str, float]:
    """Return item ids with their weights, the oldest first.

    Args:
        events: one user's, in the order they were logged; impressions count nothing.
    """
    weights: dict[str, float] = {}
    for event in events:
        weight = _weight(event)
        if weight == 0.0:
            continue
        # Taken out and put back: the item counts as old as its last event.
        before = weights.pop(event.item_id, 0.0)
        weights[event.item_id] = max(-1.0, min(1.0, before + weight))
    return weights


def _weight(event: Event) -> float:
    if event.kind == "rating" and event.value is not None:
        return max(-1.0, min(1.0, (event.value - RATING_MIDDLE) / 2.0))
    return _WEIGHTS.get(event.kind, 0.0)
