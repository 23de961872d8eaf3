"""Histories as sentences: `item action item action ...`, one stream a user.

An action is the kind of an event, with the value of a rating. A log where it is always the same
says nothing by it, so there the stream is `item item item ...`. Every task is then a question for
the next token: which item, which action.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]

N_JUDGED = 4000
"""Of how many users the next item is asked, to judge a model, at most."""
NEAR = 5
"""How far apart two things of a history are still near each other."""
GAP_DECAY = 0.8
"""What each further step takes off."""


N_LEVELS = 20
"""How many values of ratings are actions of their own; of more, each is read as the nearest."""


def action_of(kind: str, value: float | None) -> str:
    """Name an action: the kind of an event, a rating with its value."""
    return kind if value is None or kind != "rating" else f"rating {value:g}"


def nearest_action(name: str, known: Sequence[str]) -> int:
    """Return the place of an action among known ones: itself, a rating near it, or the first."""
    if name in known:
        return known.index(name)
    ratings = {n: float(other[7:]) for n, other in enumerate(known) if other.startswith("rating ")}
    if not name.startswith("rating ") or not ratings:
        return 0
    return min(ratings, key=lambda n: abs(ratings[n] - float(name[7:])))


@dataclass(frozen=True)
class Streams:
    """What users took, in order, and how.

    Attributes:
        ptr: (n_users + 1,) int64, user u has the events ptr[u]:ptr[u + 1].
        item: (n,) int32, item numbers.
        action: (n,) int32, action numbers.
        n_items: how many items there are.
        n_actions: how many actions there are.
    """

    ptr: I64
    item: I32
    action: I32
    n_items: int
    n_actions: int

    @cached_property
    def has_actions(self) -> bool:
        """Whether actions say anything: a log of purchases alone has none worth a token."""
        return self.n_actions > 1

    @property
    def n_users(self) -> int:
        """Count the users, those without an event included."""
        return len(self.ptr) - 1

    def tokens(self, begin: int, end: int) -> I32:
        """Return events begin to end as tokens; actions come after the items."""
        if not self.has_actions:
            return self.item[begin:end]
        tokens = np.empty(2 * (end - begin), np.int32)
        tokens[0::2] = self.item[begin:end]
        tokens[1::2] = self.n_items + self.action[begin:end]
        return tokens


@dataclass(frozen=True)
class Judged:
    """Histories whose next items are known, to see how training goes.

    Attributes:
        streams: one a user, without the answers.
        answers: by user, item numbers.
    """

    streams: Streams
    answers: Sequence[I32]


@dataclass(frozen=True)
class Window:
    """A part of one stream, and where in it learning begins.

    Attributes:
        begin: its first event.
        end: after its last event.
        first: the first event that is to be foretold.
    """

    begin: int
    end: int
    first: int


def window_start(n_events: int, length: int) -> int:
    """Return where the part of a history begins that the model reads.

    It moves on half a window at a time, so that most events add a token to what was read.
    """
    if n_events <= length:
        return 0
    half = length // 2
    return (n_events - length + half - 1) // half * half


def windows(streams: Streams, length: int) -> list[Window]:
    """Cut streams so that each event but a user's first is foretold once, as `window_start` does.

    Args:
        streams: the histories.
        length: how many events a window holds at most.
    """
    found = []
    half = length // 2
    for start, end in pairwise(streams.ptr.tolist()):
        if end - start < 2:
            continue
        found.append(Window(start, min(start + length, end), start + 1))
        for begin in range(start + half, end - half, half):
            found.append(Window(begin, min(begin + length, end), begin + half))
    return [w for w in found if w.first < w.end]


def epoch(
    streams: Streams, cut: Sequence[Window], batch_events: int, rng: np.random.Generator
) -> Iterator[list[Window]]:
    """Yield all windows once, in batches of similar length, in an order of its own each time."""
    order = rng.permutation(len(cut))
    lengths = np.array([w.end - w.begin for w in cut])
    batches: list[list[Window]] = []
    # Sorted within a part, not over all: which windows meet in a batch should vary.
    for part in np.array_split(order, max(1, len(order) // 2500)):
        batch: list[Window] = []
        for n in part[np.argsort(lengths[part], kind="stable")]:
            batch.append(cut[n])
            if len(batch) * (batch[-1].end - batch[-1].begin) >= batch_events:
                batches.append(batch)
                batch = []
        if batch:
            batches.append(batch)
    for n in rng.permutation(len(batches)):
        yield batches[n]


def neighbors(streams: Streams, n: int) -> tuple[I32, F32]:
    """Say what stands near each item in histories.

    Args:
        streams: the histories.
        n: how many neighbors are told of each item at most.

    Returns:
        (n_items, n) int32 and (n_items, n) float32 shares that sum to 1; an item without neighbors
        has itself. What everybody takes is held back by the root of how often.
    """
    item, n_items = streams.item.astype(np.int64), streams.n_items
    user = np.repeat(np.arange(streams.n_users), np.diff(streams.ptr))
    keys, weights = [], []
    for gap in range(1, NEAR + 1):
        same = user[gap:] == user[:-gap]
        a, b = item[:-gap][same], item[gap:][same]
        keys += [a * n_items + b, b * n_items + a]
        weights.append(np.full(2 * len(a), GAP_DECAY ** (gap - 1)))
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    source, target = np.divmod(key, n_items)
    value = np.bincount(place, np.concatenate(weights), len(key))
    value = value / np.sqrt(1.0 + np.bincount(item, minlength=n_items))[target]
    value[source == target] = 0.0
    order = np.lexsort((target, -value, source))
    source, target, value = source[order], target[order], value[order]
    first = np.searchsorted(source, np.arange(n_items))
    rank = np.arange(len(source)) - first[source]
    kept = (rank < n) & (value > 0.0)
    near = np.repeat(np.arange(n_items, dtype=np.int32)[:, None], n, axis=1)
    share = np.zeros((n_items, n), np.float32)
    near[source[kept], rank[kept]] = target[kept]
    share[source[kept], rank[kept]] = value[kept]
    share[share.sum(axis=1) == 0.0, 0] = 1.0
    return near, share / share.sum(axis=1, keepdims=True)
