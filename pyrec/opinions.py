"""What people think of items, on one scale from -1 to 1, read from the log.

A rating is stretched from its scale to that; liking and buying say 1, disliking -1, a click ½, a
skip and what was shown without an answer -½. Of several events of a user with an item the last
explicit one counts, else the strongest. `tasks/ordinal.py` asks with one user's opinions, training
fits `opinion_model.py` to those of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.opinion_model import ItemFeatures

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

EXPLICIT = ("rating", "like", "dislike")
KINDS = (*EXPLICIT, "purchase", "click", "skip", "impression")
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
    def opinions(self) -> F32:
        """The levels as opinions, (n_levels,) float32."""
        return np.array([self.opinion(level) for level in self.levels], np.float32)


@dataclass(frozen=True)
class Person:
    """What one user thinks, oldest first, each item once.

    Attributes:
        rows: (m,) int32 rows of the catalog, -1 for items that left it.
        values: (m,) float32 opinions.
        ids: of the items.
    """

    rows: I32
    values: F32
    ids: tuple[str, ...] = ()


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


@dataclass
class _Held:
    """What a user said of an item so far."""

    value: float
    rating: float = np.nan
    place: float = np.nan
    explicit: bool = False


@dataclass
class _Person:
    items: dict[str, _Held] = field(default_factory=dict)

    def take(self, item: str, kind: str, value: float | None, scale: Scale) -> None:
        held = self.items.get(item)
        explicit = kind in EXPLICIT
        if kind == "impression":
            if held is None:
                self.items[item] = _Held(_UNANSWERED, place=value if value is not None else np.nan)
            return
        rated = kind == "rating" and value is not None
        worth = scale.opinion(value) if rated and value is not None else _WORTH.get(kind, 0.0)
        place = held.place if held else np.nan
        if held is None or explicit or (not held.explicit and worth > held.value):
            # Taken out and put back: an opinion is as old as its last word.
            self.items.pop(item, None)
            rating = float(value) if rated and value is not None else np.nan
            self.items[item] = _Held(worth, rating, place, explicit or bool(held and held.explicit))


def read_person(events: Iterable[tuple[str, str, float | None]], scale: Scale) -> dict[str, float]:
    """Return one user's opinions by item id, oldest first, from (item_id, kind, value) in order.

    What was shown and not answered says nothing of one who is asked about: it was not looked at.
    """
    person = _Person()
    for item, kind, value in events:
        if kind != "impression":
            person.take(item, kind, value, scale)
    return {item: held.value for item, held in person.items.items()}


def read_opinions(events: EventLog, catalog: Catalog) -> Opinions:
    """Read the opinions of everybody about what the catalog holds."""
    chunks = list(events.all_ordered(kinds=KINDS))
    scale = scale_of(v for chunk in chunks for _, _, k, v, _, _ in chunk if k == "rating" and v)
    people: dict[str, _Person] = {}
    for chunk in chunks:
        for user, item, kind, value, _, _ in chunk:
            people.setdefault(user, _Person()).take(item, kind, value, scale)
    ids = list({item for person in people.values() for item in person.items})
    row_of = dict(zip(ids, catalog.idxs(ids).tolist(), strict=True))
    found = [
        (number, row_of[item], held.value, held.rating, held.place)
        for number, person in enumerate(people.values())
        for item, held in person.items.items()
        if row_of[item] >= 0
    ]
    columns = np.array(found, np.float64).reshape(-1, 5).T
    user, row = (column.astype(np.int32) for column in columns[:2])
    value, rating, place = (column.astype(np.float32) for column in columns[2:])
    return Opinions(user, row, value, rating, place, tuple(people), scale)


def scale_of(ratings: Iterable[float]) -> Scale:
    """Return the scale that ratings lie on: their different values, or one of five without any."""
    levels, counts = np.unique(np.fromiter(ratings, np.float64), return_counts=True)
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
