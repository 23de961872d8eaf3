"""A log told as the behavior model reads it: streams by numbers of its own.

`train_behavior.py` calls this, for the whole log or for a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pyrec.behavior.state import BehaviorState
from pyrec.behavior.streams import Judged, Streams
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
    """

    streams: Streams
    item_ids: tuple[str, ...]
    actions: tuple[str, ...]
    number: I32


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
    counts = np.bincount(part.action, minlength=len(log.actions))
    usual = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    actions = [log.actions[n] for n in usual.tolist()]
    if old is not None:
        item_ids = list(dict.fromkeys([*old.item_ids, *item_ids]))
        # A log that had one action and has two now needs a model that reads actions: a new one.
        actions = list(dict.fromkeys([*old.actions, *actions])) if old.has_actions else actions[:1]
    number = _numbers(log.item_ids, item_ids)
    action = _numbers(log.actions, actions)
    streams = Streams(
        ptr,
        number[part.item[order]],
        np.maximum(action[part.action[order]], 0),
        len(item_ids),
        len(actions),
    )
    return Told(streams, tuple(item_ids), tuple(actions), number)


def _numbers(names: Sequence[str], of: Sequence[str]) -> I32:
    place = {name: n for n, name in enumerate(of)}
    return np.array([place.get(name, -1) for name in names], np.int32)


def judged_of(log: Log, hidden: Flags, told: Told) -> Judged:
    """Return the histories of users from whom something was hidden, with it."""
    ptr, order = log.by_user()
    users, answers = [], []
    for user in np.unique(log.user[hidden]).tolist():
        places = order[ptr[user] : ptr[user + 1]]
        wanted = np.unique(told.number[log.item[places[hidden[places]]]])
        taken = told.streams.item[told.streams.ptr[user] : told.streams.ptr[user + 1]]
        wanted = wanted[(wanted >= 0) & ~np.isin(wanted, taken)]
        if len(taken) and len(wanted):
            users.append(user)
            answers.append(wanted)
    return Judged(of_users(told.streams, np.array(users, np.int64)), answers)


def of_users(streams: Streams, users: npt.NDArray[np.integer]) -> Streams:
    """Return the streams of some users alone, in this order."""
    parts = [np.arange(streams.ptr[u], streams.ptr[u + 1]) for u in users.tolist()]
    places = np.concatenate([np.empty(0, np.int64), *parts])
    ptr = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    return replace(streams, ptr=ptr, item=streams.item[places], action=streams.action[places])
