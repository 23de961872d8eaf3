"""The data sets with histories: what users took, in order, and what they took next.

`beauty`, `toys` (Amazon 2014, leave one out), `office` (Amazon 2018, rows of a history and what
followed), `movielens` (latest small, a random fifth of each user's ratings). Origins, licenses and
protocols stand in the data's README. Items are numbered from 0 in the order of `DataSet.items`.

Strict: fit on `train`. Refit: fit on `refit`, where what validation asks for has joined. The
protocol of MovieLens has no validation part of its own, so its test is asked after `refit`.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import DATA, need_data

from pyrec import Item

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """A history and what followed it.

    Attributes:
        user: the row of `DataSet.train` and `DataSet.refit` that this user has.
        history: (n,) int32, oldest first; an item may occur more than once.
        answers: (m,) int32, the items to find.
        times: (n,) int64, UTC seconds of the history; None where the data has no times.
    """

    user: int
    history: I32
    answers: I32
    times: I64 | None = None


@dataclass(frozen=True)
class DataSet:
    """Histories to learn from and questions to ask.

    Attributes:
        items: by item number; the id is the data's own, the title empty where it has none.
        train: per user (n,) int32, oldest first, without any answer; may be empty.
        refit: the same users, with the answers of `valid` where they belong in time.
        train_times: per user (n,) int64, UTC seconds of `train`; empty where the data has none.
        refit_times: the same of `refit`.
    """

    name: str
    items: list[Item]
    train: list[I32]
    refit: list[I32]
    valid: list[Asked]
    test: list[Asked]
    train_times: list[I64] = field(default_factory=list)
    refit_times: list[I64] = field(default_factory=list)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def n_users(self) -> int:
        return len(self.train)


def to_csr(histories: list[I32]) -> tuple[I64, I32]:
    """Lay histories one after the other: ptr (n_users + 1,) int64 and items (nnz,) int32."""
    ptr = np.zeros(len(histories) + 1, np.int64)
    np.cumsum([len(h) for h in histories], out=ptr[1:])
    return ptr, np.concatenate([np.empty(0, np.int32), *histories]).astype(np.int32)


def beauty() -> DataSet:
    """Amazon Beauty, 22,363 users and 12,101 items; an item's id is its ASIN."""
    need_data("beauty")
    with (DATA / "beauty" / "titles.tsv").open(encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    titles = {int(number): Item(asin, title) for number, asin, title in rows}
    return _leave_one_out("beauty", titles)


def toys() -> DataSet:
    """Amazon Toys, 19,412 users and 11,924 items, without titles."""
    need_data("toys")
    return _leave_one_out("toys", {})


def _leave_one_out(name: str, titles: dict[int, Item]) -> DataSet:
    with (DATA / name / "sequences.txt").open() as file:
        taken = [np.array(line.split()[1:], np.int32) - 1 for line in file]
    n_items = 1 + max(int(items.max()) for items in taken)
    return DataSet(
        name,
        [titles.get(n + 1, Item(str(n + 1), "")) for n in range(n_items)],
        train=[items[:-2] for items in taken],
        refit=[items[:-1] for items in taken],
        valid=[Asked(u, items[:-2], items[-2:-1]) for u, items in enumerate(taken)],
        test=[Asked(u, items[:-1], items[-1:]) for u, items in enumerate(taken)],
    )


def office() -> DataSet:
    """Amazon Office, 3,459 items; a user may be asked about many times, each time knowing more.

    Histories are cut to ten items and may repeat one.
    """
    need_data("office")
    folder = DATA / "office"
    items = [
        Item(row["id"], row["title"], row["description"], attributes={"brand": row["brand"]})
        for row in _rows(folder / "items.jsonl")
    ]
    trained = {row["user"]: row["items"] for row in _rows(folder / "train.jsonl")}
    parts = [list(_rows(folder / f"{part}.jsonl")) for part in ("valid", "test")]
    users = {user: n for n, user in enumerate(dict.fromkeys([*trained, *_users(*parts)]))}
    train = [_ids(trained.get(user, [])) for user in users]
    followed = defaultdict(list)
    for row in parts[0]:
        followed[row["user"]].append(row["target"])
    valid, test = (
        [Asked(users[r["user"]], _ids(r["history"]), _ids([r["target"]])) for r in part]
        for part in parts
    )
    refit = [
        np.concatenate([t, _ids(followed[user])]) for t, user in zip(train, users, strict=True)
    ]
    return DataSet("office", items, train, refit, valid, test)


def movielens() -> DataSet:
    """MovieLens latest small: every rating is a positive event; per user a random 80/20, seed 0.

    Validation takes a random fifth of the 80 the same way. Histories are in time order.
    """
    need_data("ml-latest-small")
    folder = DATA / "ml-latest-small"
    items = []
    with (folder / "movies.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            genres = tuple(row["genres"].split("|"))
            items.append(Item(row["movieId"], row["title"], attributes={"genres": genres}))
    number = {item.item_id: n for n, item in enumerate(items)}
    taken = defaultdict(list)
    with (folder / "ratings.csv").open() as file:
        for row in csv.DictReader(file):
            taken[row["userId"]].append((int(row["timestamp"]), number[row["movieId"]]))
    rng = np.random.default_rng(0)
    parts: dict[str, list] = defaultdict(list)
    for user, events in enumerate(taken.values()):
        times, ids = (np.array(column) for column in zip(*sorted(events), strict=True))
        times, ids = times.astype(np.int64), ids.astype(np.int32)
        kept = _four_fifths(np.arange(len(ids)), rng)
        first = _four_fifths(kept, rng)
        parts["train"].append(ids[first])
        parts["train_times"].append(times[first])
        parts["refit"].append(ids[kept])
        parts["refit_times"].append(times[kept])
        held = np.setdiff1d(kept, first)
        parts["valid"].append(Asked(user, ids[first], ids[held], times[first]))
        rest = np.setdiff1d(np.arange(len(ids)), kept)
        parts["test"].append(Asked(user, ids[kept], ids[rest], times[kept]))
    return DataSet("movielens", items, **parts)


EVERY: dict[str, Callable[[], DataSet]] = {
    "beauty": beauty,
    "toys": toys,
    "office": office,
    "movielens": movielens,
}


def _four_fifths(places: npt.NDArray[np.int64], rng: np.random.Generator) -> I64:
    n_kept = len(places) - round(len(places) / 5)
    return np.sort(rng.permutation(places)[:n_kept])


def _users(*parts: list[dict]) -> list[str]:
    return [row["user"] for part in parts for row in part]


def _ids(numbers: list[int]) -> I32:
    return np.array(numbers, np.int32)


def _rows(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
