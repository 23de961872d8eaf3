"""What people think of items, on one scale from -1 to 1, read from the log.

A rating is stretched from its scale to that; liking and buying say 1, disliking -1, a click ½, a
skip and what was shown without an answer -½. Of several events of a user with an item the last
explicit one counts, else the strongest. `tasks/ordinal.py` asks with one user's opinions, training
fits `opinion_model.py` to those of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.opinion_model import ItemFeatures

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

EXPLICIT = ("rating", "like", "dislike")
KINDS = (*EXPLICIT, "purchase", "click", "skip", "impression")
"""Explicit ones first, what was only shown last."""
YES = 0.25
"""An opinion above this says yes: four stars of five do, three do not."""
DEFAULT_LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
DEFAULT_SHARES = (0.05, 0.1, 0.25, 0.38, 0.22)
"""About how often people give these, where nothing is known: as in MovieLens latest small
(https://doi.org/10.1145/2827872), whose halves are rounded up here."""
MAX_LEVELS = 21
MIN_FEATURE_ITEMS = 5
N_BUCKETS = 8
"""Numbers are features by their eighths: old and new, cheap and dear."""
_WORTH = {"like": 1.0, "purchase": 1.0, "dislike": -1.0, "click": 0.5, "skip": -0.5}
_UNANSWERED = -0.5


@dataclass(frozen=True)
class Scale:
    """The levels of a rating scale, ascending, and how often anyone gives each (above 0, sum 1)."""

    levels: tuple[float, ...] = DEFAULT_LEVELS
    shares: tuple[float, ...] = DEFAULT_SHARES

    def opinion(self, rating: float) -> float:
        """Stretch a rating to -1 to 1."""
        low, high = self.levels[0], self.levels[-1]
        return min(max(2.0 * (rating - low) / (high - low) - 1.0, -1.0), 1.0)

    @property
    def middle(self) -> float:
        """The rating halfway up."""
        return (self.levels[0] + self.levels[-1]) / 2.0

    def holding(self, rating: float) -> Scale:
        """Return this scale, or one up to ten or a hundred where a rating is above it."""
        top = next((t for t in (self.levels[-1], 10.0, 100.0) if t >= rating), rating)
        if top == self.levels[-1]:
            return self
        levels = np.linspace(1.0 if top == 10.0 else 0.0, top, 10)
        return Scale(tuple(levels.tolist()), (0.1,) * 10)

    @property
    def opinions(self) -> F32:
        """The levels as opinions, (n_levels,) float32."""
        return np.array([self.opinion(level) for level in self.levels], np.float32)


@dataclass(frozen=True)
class Person:
    """What one user thinks, oldest first, each item once.

    Attributes:
        rows: (m,) int32 rows of the catalog, -1 for items that left it.
        values: (m,) float32 opinions.
    """

    rows: I32
    values: F32


@dataclass(frozen=True)
class Opinions:
    """All opinions of a log.

    Attributes:
        user: (n,) int32 numbers of users.
        row: (n,) int32 rows of the catalog, none -1; a pair of user and row once.
        value: (n,) float32 from -1 to 1.
        rating: (n,) float32 as it was given, NaN for what is no rating.
        place: (n,) float32, where in a list it was shown, NaN where that is unknown.
        user_ids: by number.
        scale: of the ratings.
    """

    user: I32
    row: I32
    value: F32
    rating: F32
    place: F32
    user_ids: tuple[str, ...]
    scale: Scale

    def some(self, which: npt.NDArray[np.bool_]) -> Opinions:
        """Return a part."""
        return Opinions(
            self.user[which],
            self.row[which],
            self.value[which],
            self.rating[which],
            self.place[which],
            self.user_ids,
            self.scale,
        )

    def by_user(self) -> list[npt.NDArray[np.int64]]:
        """Return the places of each user's opinions, oldest first."""
        order = np.argsort(self.user, kind="stable")
        counts = np.bincount(self.user, minlength=len(self.user_ids))
        return np.split(order, np.cumsum(counts)[:-1]) if len(counts) else []


def read_person(events: Iterable[tuple[str, str, float | None]], scale: Scale) -> dict[str, float]:
    """Return one user's opinions by item id, oldest first, from (item_id, kind, value) in order.

    What was shown and not answered says nothing of one who is asked about: it was not looked at.
    """
    told = [event for event in events if event[1] != "impression"]
    codes: dict[str, int] = {}
    item = np.array([codes.setdefault(i, len(codes)) for i, _, _ in told], np.int32)
    kind = np.array([KINDS.index(k) for _, k, _ in told], np.uint8)
    value = np.array([np.nan if v is None else v for _, _, v in told], np.float32)
    opinion = _worth(kind, value, scale)
    kept = _last_words(np.zeros(len(told), np.int32), item, kind, opinion)
    ids = list(codes)
    return {ids[item[n]]: float(opinion[n]) for n in kept.tolist()}


def read_opinions(events: EventLog, catalog: Catalog) -> Opinions:
    """Read the opinions of everybody about what the catalog holds."""
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    parts: list[tuple[I32, I32, npt.NDArray[np.uint8], F32]] = []
    for chunk in events.all_ordered(kinds=KINDS):
        user = np.array([users.setdefault(row[0], len(users)) for row in chunk], np.int32)
        item = np.array([items.setdefault(row[1], len(items)) for row in chunk], np.int32)
        kind = np.array([KINDS.index(row[2]) for row in chunk], np.uint8)
        values = [np.nan if row[3] is None else row[3] for row in chunk]
        parts.append((user, item, kind, np.array(values, np.float32)))
    nothing = np.empty(0, np.int32)
    parts.append((nothing, nothing, nothing.astype(np.uint8), nothing.astype(np.float32)))
    user, item, kind, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    rated = kind == KINDS.index("rating")
    scale = scale_of(value[rated & ~np.isnan(value)])
    opinion = _worth(kind, value, scale)
    kept = _last_words(user, item, kind, opinion)
    row_of = catalog.idxs(list(items)).astype(np.int32)
    kept = kept[row_of[item[kept]] >= 0]
    return Opinions(
        user[kept],
        row_of[item[kept]],
        opinion[kept],
        np.where(rated[kept], value[kept], np.float32(np.nan)),
        _places(user, item, kind, value)[kept],
        tuple(users),
        scale,
    )


def _worth(kind: npt.NDArray[np.uint8], value: F32, scale: Scale) -> F32:
    """Return what each event says by itself, (n,) float32."""
    by_kind = np.array([_WORTH.get(k, _UNANSWERED) for k in KINDS], np.float32)
    worth = by_kind[kind] if len(kind) else np.empty(0, np.float32)
    low, high = scale.levels[0], scale.levels[-1]
    stretched = np.clip(2.0 * (value - low) / (high - low) - 1.0, -1.0, 1.0)
    rated = kind == KINDS.index("rating")
    return np.where(rated & ~np.isnan(value), stretched, worth).astype(np.float32)


def _last_words(user: I32, item: I32, kind: npt.NDArray[np.uint8], opinion: F32) -> I64:
    """Return the events that count, one for each user and item, in the order of the log.

    The last explicit one, else the strongest, else the first that was shown.
    """
    order = np.arange(len(user), dtype=np.float64)
    explicit, shown = kind < len(EXPLICIT), kind == KINDS.index("impression")
    rank = np.where(explicit, order, np.where(shown, -order, opinion))
    group = np.where(explicit, 2, np.where(shown, 0, 1))
    sort = np.lexsort((order, rank, group, item, user))
    last = np.ones(len(sort), bool)
    last[:-1] = (np.diff(user[sort]) != 0) | (np.diff(item[sort]) != 0)
    kept: I64 = np.sort(sort[last])
    return kept


def _places(user: I32, item: I32, kind: npt.NDArray[np.uint8], value: F32) -> F32:
    """Return where in a list each event's item was first shown to its user, NaN for nowhere."""
    out = np.full(len(user), np.nan, np.float32)
    shown = np.flatnonzero(kind == KINDS.index("impression"))
    if len(shown):
        key = user.astype(np.int64) * (int(item.max()) + 1) + item
        first, at = np.unique(key[shown], return_index=True)
        found = np.minimum(np.searchsorted(first, key), len(first) - 1)
        hit = first[found] == key
        out[hit] = value[shown][at[found[hit]]]
    return out


def scale_of(ratings: npt.ArrayLike) -> Scale:
    """Return the scale that ratings lie on: their different values, or one of five without any."""
    levels, counts = np.unique(np.asarray(ratings, np.float64), return_counts=True)
    if len(levels) < 2:
        return Scale()
    if len(levels) > MAX_LEVELS:
        edges = np.linspace(levels[0], levels[-1], MAX_LEVELS)
        nearest = np.abs(levels[:, None] - edges).argmin(axis=1)
        counts = np.bincount(nearest, counts, MAX_LEVELS)
        levels = edges
    shares = (counts + 1.0) / (counts.sum() + len(levels))
    return Scale(tuple(levels.tolist()), tuple(shares.tolist()))


def item_features(catalog: Catalog) -> ItemFeatures:
    """Return what foretells opinions of items nobody spoke of: values of attributes, and numbers.

    Values of fewer than `MIN_FEATURE_ITEMS` items are left out; a number counts by its eighth.
    """
    n_items = catalog.n_items
    rows: list[npt.NDArray[np.int64]] = []
    columns: list[npt.NDArray[np.int64]] = []
    n_features = 0
    for column in catalog.columns():
        if column.name == "popularity":
            continue
        if column.kind == "number":
            numbers = catalog.numbers(column.name)
            known = np.flatnonzero(np.isfinite(numbers))
            edges = np.unique(np.quantile(numbers[known], np.arange(1, N_BUCKETS) / N_BUCKETS))
            rows.append(known)
            columns.append(n_features + np.searchsorted(edges, numbers[known], "right"))
            n_features += len(edges) + 1
            continue
        held, codes = catalog.coded(column.name)
        counts = np.bincount(codes)
        number = np.cumsum(counts >= MIN_FEATURE_ITEMS) - 1
        kept = counts[codes] >= MIN_FEATURE_ITEMS if len(codes) else np.zeros(0, bool)
        rows.append(held[kept].astype(np.int64))
        columns.append(n_features + number[codes[kept]])
        n_features += int((counts >= MIN_FEATURE_ITEMS).sum())
    row = np.concatenate([np.empty(0, np.int64), *rows])
    idx = np.concatenate([np.empty(0, np.int64), *columns])
    pairs = np.unique(row * max(n_features, 1) + idx)
    row, idx = np.divmod(pairs, max(n_features, 1))
    ptr = np.zeros(n_items + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=n_items), out=ptr[1:])
    return ItemFeatures(ptr, idx.astype(np.int32), np.ones(len(idx), np.float32), n_features)
