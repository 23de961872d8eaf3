"""Which events of a log are held out as the answers that a recommender should have given.

Pure functions over columns of the log, one row an event, in the order it was logged; the evaluation
calls them. Each returns a mask (n_events,), true for held out; what is false is the past that the
recommender may know. A user without a held-out event has no answer to find, one without another
event no history to ask with: each function says which users these are. A moment for all users is
the only split that never shows the future of one user to another (Meng et al., 2020).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec.metrics import check_k

Mask = npt.NDArray[np.bool_]
Users = npt.NDArray[np.int32]
Column = npt.NDArray[Any]


def last(users: Users, k: int = 1) -> Mask:
    """Hold out the newest k events of each user; k = 1 is leave-one-out.

    A user with k events or fewer is left whole in the past: no answer, a history. Nobody has an
    answer without a history.

    Args:
        users: (n_events,) int32 who, in the order of the log; a user's newest event stands last.
        k: how many events of a user.

    Raises:
        ValueError: k is below 1, or users has another shape.
    """
    check_k(k)
    position, n_events = _positions(users, np.arange(len(users)))
    return (n_events > k) & (position >= n_events - k)


def temporal(at: npt.NDArray[np.float64], moment: float) -> Mask:
    """Hold out everything after a moment, of all users.

    What happened at the moment itself is past. A user whose events are all past has no answer; one
    whose events all came later has answers and no history: a new user at that moment.

    Args:
        at: (n_events,) float64 UTC seconds.
        moment: UTC seconds; see `moment_before`.

    Raises:
        ValueError: at has another shape, or moment is not finite.
    """
    if not math.isfinite(moment):
        raise ValueError(f"moment {moment} is not a time; give UTC seconds")
    return np.asarray(_column("at", at) > moment, np.bool_)


def moment_before(at: npt.NDArray[np.float64], share: float) -> float:
    """Return the moment after which a share of the events came.

    The number of events to hold out is share · n_events rounded up, but at least one stays. Events
    of one time stay together, in the past: where many share the time, fewer come after it, and none
    where all do.

    Args:
        at: (n_events,) float64 UTC seconds, in any order.
        share: how much to hold out, between 0 and 1.

    Raises:
        ValueError: there are no events, at has another shape, or share is out of range.
    """
    times = np.sort(_column("at", at))
    if not len(times):
        raise ValueError("there are no events to split; log or import some first")
    n_held = min(int(_share_of(np.array(len(times)), share)), len(times) - 1)
    return float(times[len(times) - 1 - n_held])


def random_share(users: Users, share: float, rng: np.random.Generator) -> Mask:
    """Hold out a random share of each user's events, whenever they happened.

    Of n events share · n are held out, rounded up, but at least one stays: a user with one event
    has no answer, anyone else has an answer and a history.

    Args:
        users: (n_events,) int32 who.
        share: how much of each user to hold out, between 0 and 1.
        rng: the source of randomness; the same state gives the same mask.

    Raises:
        ValueError: share is out of range, or users has another shape.
    """
    position, n_events = _positions(users, rng.random(len(users)))
    return position < np.minimum(_share_of(n_events, share), n_events - 1)


def _positions(users: Users, keys: Column) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return per event its position among its user's by keys, from 0, and how many they are."""
    who = _column("users", users)
    order = np.lexsort((keys, who))
    _, begins, user, counts = np.unique(
        who[order], return_index=True, return_inverse=True, return_counts=True
    )
    position = np.empty(len(who), np.int64)
    n_events = np.empty(len(who), np.int64)
    position[order] = np.arange(len(who)) - begins[user]
    n_events[order] = counts[user]
    return position, n_events


def _share_of(n: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.int64]:
    if not 0 < share < 1:
        raise ValueError(f"share {share} must lie between 0 and 1")
    # .07 · 100 is 7.000000000000001: a hair above a whole number is no more of an event.
    return np.asarray(np.ceil(n * share - 1e-9), np.int64)


def _column(name: str, values: Column) -> Column:
    column = np.asarray(values)
    if column.ndim != 1:
        raise ValueError(f"{name} {column.shape} must be (n_events,)")
    return column
