"""A log told as the behavior model reads it: streams by numbers of its own.

`train_behavior.py` calls this, for the whole log or for a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pyrec.behavior.state import BehaviorState
from pyrec.behavior.streams import N_LEVELS, Judged, Streams, nearest_action
from pyrec.replay import Flags, Log

I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Told:
    """A log, or a part of it, as the behavior model reads it.

    Attributes:
        streams: by user number of the log, empty where nothing is told of a user.
        item_ids: by item number of the streams.
        actions: by action number, the most frequent first.
        number: (n_items of the log,) int32, item numbers of the streams, -1 where not told.
        event_id: (n_events,) int64, what is told.
    """

    streams: Streams
    item_ids: tuple[str, ...]
    actions: tuple[str, ...]
    number: I32
    event_id: npt.NDArray[np.int64]


def tell(log: Log, kept: Flags, old: BehaviorState | None = None) -> Told:
    """Return what is kept of a log as streams.

    Args:
        log: the log.
        kept: (n_events,) bool.
        old: a model whose items and actions keep their numbers; what is new comes after them.
    """
    part = log.without(~kept)
    ptr, order = part.by_user()
    counts = np.bincount(part.item, minlength=len(log.item_ids))
    item_ids = [log.item_ids[n] for n in np.flatnonzero(counts).tolist()]
    actions = _actions(log.actions, np.bincount(part.action, minlength=len(log.actions)))
    if old is not None:
        item_ids = list(dict.fromkeys([*old.item_ids, *item_ids]))
        # A log that had one action and has two now needs a model that reads actions: a new one.
        actions = list(dict.fromkeys([*old.actions, *actions])) if old.has_actions else actions[:1]
    number = _numbers(log.item_ids, item_ids)
    action = np.array([nearest_action(name, actions) for name in log.actions], np.int32)
    streams = Streams(
        ptr,
        number[part.item[order]],
        action[part.action[order]],
        len(item_ids),
        len(actions),
    )
    return Told(streams, tuple(item_ids), tuple(actions), number, part.event_id)


def _actions(names: Sequence[str], counts: npt.NDArray[np.integer]) -> list[str]:
    """Return the actions that have a token, the most frequent first; of ratings `N_LEVELS`."""
    order = [n for n in np.argsort(-counts, kind="stable").tolist() if counts[n]]
    ratings = sorted(
        (n for n in order if names[n].startswith("rating ")), key=lambda n: _value(names[n])
    )
    if len(ratings) > N_LEVELS:
        # One for each part that as many ratings fall into.
        reached = np.cumsum(counts[ratings]) / counts[ratings].sum()
        parts = np.searchsorted(reached, (np.arange(N_LEVELS) + 0.5) / N_LEVELS)
        order = [n for n in order if n not in set(ratings) - {ratings[p] for p in parts.tolist()}]
    return [names[n] for n in order]


def _value(name: str) -> float:
    return float(name.removeprefix("rating "))


def _numbers(names: Sequence[str], of: Sequence[str]) -> I32:
    place = {name: n for n, name in enumerate(of)}
    return np.array([place.get(name, -1) for name in names], np.int32)


def judged_of(log: Log, told: Told, asked: Flags, past: Flags) -> Judged:
    """Return the histories of users of whom something is asked, with that.

    Args:
        log: the log.
        told: the part of it that is learned.
        asked: (n_events,) bool, what is asked for.
        past: (n_events,) bool, what a history may tell; items that are not learned fall out.
    """
    ptr, order = log.by_user()
    action = np.array([nearest_action(name, told.actions) for name in log.actions], np.int32)
    items, actions, answers = [], [], []
    for user in np.unique(log.user[asked]).tolist():
        places = order[ptr[user] : ptr[user + 1]]
        before = places[past[places]]
        item = told.number[log.item[before]]
        wanted = np.unique(told.number[log.item[places[asked[places]]]])
        wanted = wanted[(wanted >= 0) & ~np.isin(wanted, item)]
        if (item >= 0).any() and len(wanted):
            items.append(item[item >= 0])
            actions.append(action[log.action[before[item >= 0]]])
            answers.append(wanted)
    lengths = np.array([0, *map(len, items)], np.int64)
    nothing = np.empty(0, np.int32)
    streams = replace(
        told.streams,
        ptr=np.cumsum(lengths),
        item=np.concatenate([nothing, *items]),
        action=np.concatenate([nothing, *actions]),
    )
    return Judged(streams, answers)


def of_users(streams: Streams, users: npt.NDArray[np.integer]) -> Streams:
    """Return the streams of some users alone, in this order."""
    parts = [np.arange(streams.ptr[u], streams.ptr[u + 1]) for u in users.tolist()]
    places = np.concatenate([np.empty(0, np.int64), *parts])
    ptr = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    return replace(streams, ptr=ptr, item=streams.item[places], action=streams.action[places])
