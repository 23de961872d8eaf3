"""Does a profile foretell what the next thing of a user is like, better than counts of the past?

    python bench/profiles.py [--write]    --write fits the weights that come with pyrec

MovieLens latest small: the values of `genres` in a user's last liked movie, by time. Office: the
`brand` of the last thing in each history. A store holds everything but these. The measure is the
share of the next thing's values among the three that stand first, by counts of what the user liked
(ties by how frequent a value is in the catalog) and by the profile; the weights are of one half of
the users, the figures of the other.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from common import CACHE, DATA, ROOT, machine, need_data, table
from needs import _movies

import pyrec
from pyrec import Item, mixer
from pyrec.bootstrap import paired_bootstrap
from pyrec.mixer import Mixer, shipped_theta
from pyrec.tasks.base import Ask
from pyrec.tasks.profile import SIGNALS, ProfileTask

N_USERS = 1200
TOP = 3


@dataclass(frozen=True)
class Asked:
    """A user, and the values of the next thing."""

    user: str
    column: str
    values: frozenset[str]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    need_data("ml-latest-small/ratings.csv", "office/test.jsonl")
    print(machine())
    stores = {"movielens, genres": movielens(), "office, brand": office()}
    if arguments.write:
        write(
            [
                (rec, [a for n, a in enumerate(asked) if n % 2 == 0])
                for rec, asked in stores.values()
            ]
        )
    rows = []
    for name, (rec, asked) in stores.items():
        ours, counts, ms = [], [], []
        for each in [a for n, a in enumerate(asked) if n % 2]:
            began = time.perf_counter()
            profile = rec.profile(each.user, k=1000)
            ms.append(1000 * (time.perf_counter() - began))
            first = [i.value for i in profile.interests if i.column == each.column][:TOP]
            ours.append(len(each.values & set(first)) / len(each.values))
            counts.append(len(each.values & set(counted(rec, each))) / len(each.values))
        gain = paired_bootstrap(ours, counts, np.random.default_rng(0))
        rows.append([name, len(ours), float(np.mean(counts)), float(np.mean(ours)),
                     f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]",
                     f"{np.median(ms):.1f}"])  # fmt: skip
        rec.close()
    head = ["", "users", "counts", "profile", "gain", "ms"]
    table(f"The next thing's values among the first {TOP}", head, rows)


def counted(rec: pyrec.Recommender, each: Asked) -> list[str]:
    """Return the values that a user liked most often."""
    tastes = rec.questions.tastes(each.user)
    usual = rec.catalog.values(each.column)
    liked = Counter({t.value: t.liked for (c, _), t in tastes.by_value.items() if c == each.column})
    return sorted(liked, key=lambda v: (-liked[v], -usual.get(v, 0)))[:TOP]


def write(stores: list[tuple[pyrec.Recommender, list[Asked]]]) -> None:
    values, targets, sizes, depths = [], [], [], []
    for rec, asked in stores:
        task = ProfileTask(rec._context())
        for each in asked:
            x = task.encode(Ask(user=each.user))
            answers = task.answers(x)
            which = np.array([t.column == each.column for t in answers.choices], bool)
            right = np.array([t.value in each.values for t in answers.choices], bool)[which]
            if right.any():
                values.append(answers.values[which])
                targets.append((right / right.sum()).astype(np.float32))
                sizes.append(int(which.sum()))
                depths.append(answers.context)
    prior = Mixer(SIGNALS, shipped_theta("profile"))
    fitted, _ = mixer.fit(
        np.concatenate(values),
        np.concatenate(targets),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        prior,
        context=np.array(depths, np.float32),
        l2=1e-3,
    )
    path = ROOT / "pyrec" / "prior.json"
    kept = json.loads(path.read_text())
    for name, row in fitted.as_dict().items():
        if name != "said":  # nobody here corrected anything: that weight stays by hand
            kept["tasks"]["profile"][name] = [round(w, 4) for w in row]
    path.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"wrote {path}")


def movielens() -> tuple[pyrec.Recommender, list[Asked]]:
    by_user: dict[str, list[tuple[int, str, float]]] = defaultdict(list)
    with (DATA / "ml-latest-small" / "ratings.csv").open() as file:
        for row in csv.DictReader(file):
            told = (int(row["timestamp"]), row["movieId"], float(row["rating"]))
            by_user[row["userId"]].append(told)
    items = {item.item_id: item for item in _movies()}
    events, asked = [], []
    for user, told in by_user.items():
        told.sort()
        last = max((n for n, (_, _, r) in enumerate(told) if r >= 4), default=None)
        if last is None or last < 5:
            continue
        # All after it is left out as well: it would tell of the future.
        events += [{"user": user, "item": i, "kind": "rating", "value": r, "time": at}
                   for at, i, r in told[:last]]  # fmt: skip
        asked.append(Asked(user, "genres", frozenset(items[told[last][1]].attributes["genres"])))
    return opened("profile-movielens", list(items.values()), events), asked


def office() -> tuple[pyrec.Recommender, list[Asked]]:
    items = {}
    for line in (DATA / "office" / "items.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        brand = {"brand": row["brand"]} if row["brand"] else {}
        items[int(row["id"])] = Item(row["id"], row["title"], attributes=brand)
    last: dict[str, tuple[list[int], int]] = {}
    for line in (DATA / "office" / "test.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        last[row["user"]] = (row["history"], row["target"])
    events, asked = [], []
    for user, (history, target) in list(last.items())[:N_USERS]:
        brand = items[target].attributes.get("brand")
        if brand:
            events += [{"user": user, "item": str(i), "kind": "purchase"} for i in history]
            asked.append(Asked(user, "brand", frozenset([str(brand)])))
    return opened("profile-office", list(items.values()), events), asked


def opened(name: str, items: list[Item], events: list[dict]) -> pyrec.Recommender:
    CACHE.mkdir(parents=True, exist_ok=True)
    rec = pyrec.open(CACHE / f"{name}.db", text_model=None, embedding_model=None)
    if not rec.catalog.count:
        rec.add_items(items)
        rec.add_events(events)
        rec.train()
    return rec


if __name__ == "__main__":
    main()
