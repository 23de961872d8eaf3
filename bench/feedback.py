"""What feedback is worth: histories replayed event by event through a store that learns.

    python bench/feedback.py [NAME ...]             beauty, office and movielens by default
    python bench/feedback.py NAME --fitted          the second half, after `train` on the first
    python bench/feedback.py NAME --random 0.05     with so many clicks on random items among them
    python bench/feedback.py --ratings 3000         clicks and ratings of MovieLens, so many
    python bench/feedback.py --plot FILE.svg        draws what the last plain runs found

Users' events arrive in the order of time (MovieLens), or round by round by their place in a history
(the others have no times), in a store that has the catalog and nothing else. Before each event the
user is asked for a list, then the event goes in by `feedback`. What a user took before is left out
of lists and is no answer; nor is a user's first event. All of these answer the same questions:

    frozen    the store as it stood when half of the events had come; asked for the second half
    history   every event counts at once, the weights stay those that ship (or were trained)
    steps     the shared weights learn from each event as well
    all       and each user's own

With `--ratings` the first half of MovieLens' ratings are imported and trained on; each of the next
is foretold, by the weights of the training and by those that learn, and then given as `feedback`.

Lists are the ten best of the pool of `recommend`. Intervals are over users, bootstrapped, 95%.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from common import CACHE, DATA, machine, need_data, table
from histories import data_set, open_history

import pyrec
from pyrec.bootstrap import intervals, paired_bootstrap
from pyrec.mixer import Mixer
from pyrec.opinions import YES, read_person
from pyrec.ranking import Ranker
from pyrec.tasks.base import make_ask
from pyrec.tasks.click import ClickTask
from pyrec.tasks.rating import RatingTask
from pyrec.weights import Weights

ARMS = ("frozen", "history", "steps", "all")
K = 10
N_PARTS = 20
"""Into how many parts of equal length the plot cuts time."""

Arrival = tuple[str, str, float]
"""User, item id, and UTC seconds, 0 where the data has none."""


def arrivals(name: str) -> list[Arrival]:
    """Return the events of a data set in the order of arrival."""
    data = data_set(name)
    if name == "movielens":
        need_data("ml-latest-small")
        with (DATA / "ml-latest-small" / "ratings.csv").open() as file:
            rated = [
                (int(r["timestamp"]), int(r["userId"]), r["movieId"]) for r in csv.DictReader(file)
            ]
        return [(f"u{user}", item, float(at)) for at, user, item in sorted(rated)]
    taken = [history.tolist() for history in data.refit]
    for asked in data.test:
        taken[asked.user] += asked.answers.tolist()
    return [
        (f"u{user}", data.items[items[place]].item_id, 0.0)
        for place in range(max(map(len, taken)))
        for user, items in enumerate(taken)
        if place < len(items)
    ]


def empty_store(name: str, label: str) -> pyrec.Recommender:
    """Open a store with the catalog of a data set and its vectors, and nothing of any user."""
    with open_history(name) as rec:
        source, embedding = rec.store.path, rec.models.embedding_name or None
    path = CACHE / f"feedback-{label}.db"
    for file in CACHE.glob(f"{path.name}*"):
        file.unlink()
    shutil.copy(source, path)
    db = sqlite3.connect(path)
    for name_of_table in ("events", "event_removals", "weights", "steps", "befores", "own_weights"):
        db.execute(f"DELETE FROM {name_of_table}")
    db.execute("DELETE FROM sqlite_sequence")
    db.execute("DELETE FROM derived WHERE name IN ('linear', 'opinions', 'behavior')")
    db.commit()
    db.close()
    return pyrec.open(path, text_model=None, embedding_model=embedding)


def replay(name: str, label: str, *, fitted: bool, share: float, limit: int) -> dict:
    """Replay a data set; return the gain of each arm by question, with its user and its place."""
    events = arrivals(name)[:limit]
    half = len(events) // 2
    rng, ids = np.random.default_rng(0), [item.item_id for item in data_set(name).items]
    rec = empty_store(name, label)
    taken: dict[str, set[str]] = {}
    if fitted:
        rec.add_events(
            {"user": user, "item": item, "kind": "purchase", "time": at or None}
            for user, item, at in events[:half]
        )
        for user, item, _ in events[:half]:
            taken.setdefault(user, set()).add(item)
        print(rec.train(), file=sys.stderr)
    rec.store.db.execute("PRAGMA synchronous=OFF")  # what a disk takes is measured by bench/live.py
    first = Weights(rec.theta).ranker
    frozen: Callable[[str, str], float] | None = None
    asked: list[tuple[str, int]] = []
    gains: list[list[float]] = []
    began = time.perf_counter()
    for place, (user, item, _) in enumerate(events):
        if fitted and place < half:
            continue
        if place == half:
            frozen = as_it_is(rec, first)
        before = taken.setdefault(user, set())
        if before and item not in before:
            gains.append([frozen(user, item) if frozen else np.nan, *ask(rec, user, item, first)])
            asked.append((user, place))
        before.add(item)
        rec.feedback(user, item, "purchase")
        if share and rng.random() < share:
            rec.feedback(f"u{rng.integers(data_set(name).n_users)}", str(rng.choice(ids)), "click")
        if place % 500 == 0:
            told = f"{place}/{len(events)} {time.perf_counter() - began:.0f} s "
            print(f"\r{label}: {told}", end="", file=sys.stderr)
    print(file=sys.stderr)
    theta = {name: [round(w, 3) for w in row] for name, row in rec.theta.items()}
    rec.close()
    return {
        "n_events": len(events),
        "half": half,
        "users": [user for user, _ in asked],
        "places": [place for _, place in asked],
        "gains": dict(zip(ARMS, np.round(np.array(gains).T, 4).tolist(), strict=True)),
        "theta": theta,
    }


def ask(rec: pyrec.Recommender, user: str, item: str, first: Ranker) -> list[float]:
    """Ask one question, and weigh the same evidence as `history`, `steps` and `all` do."""
    ranker = rec.weights.ranker
    question = rec.questions.past(user)
    pool = np.sort(ranker.answers(question))
    values = ranker.values(question, pool)
    (row,) = rec.catalog.idxs([item])
    own, question.own = question.own, {}
    ranked = [first.mix(question, values), ranker.mix(question, values)]
    question.own = own
    ranked.append(ranker.mix(question, values))
    return [gain(best(pool, mixed.logprob), row) for mixed in ranked]


def ratings(n: int) -> list[list[object]]:
    """Foretell ratings one by one; return a row a measure: trained weights, learning ones, both."""
    with (DATA / "ml-latest-small" / "ratings.csv").open() as file:
        rated = sorted(
            (int(r["timestamp"]), f"u{r['userId']}", r["movieId"], float(r["rating"]))
            for r in csv.DictReader(file)
        )
    rec = empty_store("movielens", "ratings")
    half = len(rated) // 2
    fields = ("time", "user", "item", "value")
    rec.add_events({**dict(zip(fields, r, strict=True)), "kind": "rating"} for r in rated[:half])
    rec.train()
    rec.store.db.execute("PRAGMA synchronous=OFF")
    heads = (RatingTask, ClickTask)
    first = {head: dict(rec.weights.of_task(head.name)) for head in heads}
    measured: dict[str, list[list[float]]] = {}
    for _, user, item, value in rated[half : half + n]:
        for head in heads:
            task = head(rec._context())
            x = task.encode(make_ask(user=user, items=(item,)))
            answers = task.answers(x)
            (opinion,) = read_person([(item, "rating", value)], x.state.scale).values()
            said = opinion if head is RatingTask else 2.0 * (opinion > YES) - 1.0
            chosen = int(np.abs(x.levels.opinions - said).argmin())
            both = []
            for theta in (first[head], rec.weights.of_task(head.name)):
                logprob = Mixer(task.signals, theta).mix(answers.values, answers.context).logprob
                both.append(logprob)
            measured.setdefault(f"{head.name}, loss", []).append([-float(p[chosen]) for p in both])
            if head is RatingTask:
                means = [float(np.exp(p) @ np.array(x.state.scale.levels)) for p in both]
                measured.setdefault("rating, squared error", []).append(
                    [(mean - value) ** 2 for mean in means]
                )
        rec.feedback(user, item, "rating", value)
    rec.close()
    rows: list[list[object]] = []
    for name, pairs in measured.items():
        trained, learning = np.array(pairs).T
        gain = paired_bootstrap(learning, trained, np.random.default_rng(0))
        told = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        rows.append([name, f"{trained.mean():.4f}", f"{learning.mean():.4f}", told])
    return rows


def as_it_is(rec: pyrec.Recommender, ranker: Ranker) -> Callable[[str, str], float]:
    """Return what asks a copy of a store as it is now."""
    path = Path(f"{rec.store.path}-frozen")
    path.unlink(missing_ok=True)
    rec.store.db.execute("VACUUM INTO ?", [str(path)])
    copy = pyrec.open(path, text_model=None, embedding_model=rec.models.embedding_name or None)
    lists: dict[str, np.ndarray] = {}

    def asked(user: str, item: str) -> float:
        if user not in lists:
            question = copy.questions.past(user)
            pool = np.sort(ranker.answers(question))
            lists[user] = best(pool, ranker.mix(question, ranker.values(question, pool)).logprob)
        return gain(lists[user], copy.catalog.idxs([item])[0])

    return asked


def best(pool: np.ndarray, logprob: np.ndarray) -> np.ndarray:
    return pool[np.argsort(-logprob, kind="stable")[:K]]


def gain(ranked: np.ndarray, row: int) -> float:
    """Return nDCG of a list with one right answer."""
    (place,) = np.nonzero(ranked == row)
    return float(1.0 / np.log2(2.0 + place[0])) if len(place) else 0.0


def told(label: str, found: dict) -> list[list[object]]:
    """Return a row an arm: nDCG@10 and hits of the second half, and what it has over history."""
    late = np.array(found["places"]) >= found["half"]
    _, number = np.unique(np.array(found["users"])[late], return_inverse=True)
    counts = np.bincount(number)
    rows: list[list[object]] = []
    gains = {arm: np.nan_to_num(np.array(found["gains"][arm]))[late] for arm in ARMS}
    for arm in ARMS:
        sums = np.bincount(number, gains[arm])
        more = np.bincount(number, gains[arm] - gains["history"])
        base = np.bincount(number, gains["history"])
        low, high = ratio_interval(more, base)
        rows.append(
            [
                f"{label}, {arm}",
                f"{sums.sum() / counts.sum():.4f}",
                f"{np.count_nonzero(gains[arm]) / counts.sum():.4f}",
                f"{more.sum() / base.sum():+.1%} [{low:+.1%}, {high:+.1%}]",
            ]
        )
    return rows


def ratio_interval(more: np.ndarray, base: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of sum(more) / sum(base) over draws of users."""
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(base), (1000, len(base)))
    low, high = np.quantile(more[draws].sum(axis=1) / base[draws].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def saved(label: str) -> Path:
    return CACHE / f"feedback-{label}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["beauty", "office", "movielens"])
    parser.add_argument("--fitted", action="store_true", help="train on the first half")
    parser.add_argument("--random", type=float, default=0.0, help="share of random clicks")
    parser.add_argument("--limit", type=int, default=10**9, help="only the first so many events")
    parser.add_argument("--ratings", type=int, default=0, help="foretell so many ratings")
    parser.add_argument("--plot", type=Path, help="draw the last plain runs")
    arguments = parser.parse_args()
    if arguments.plot:
        plot(arguments.names, arguments.plot)
        return
    print(machine())
    if arguments.ratings:
        rows = ratings(arguments.ratings)
        head = ["", "trained", "and learning", "learning less trained"]
        table("Clicks and ratings, less is better", head, rows)
        return
    rows = []
    for name in arguments.names:
        label = name + "-fitted" * arguments.fitted
        label += f"-random{arguments.random:g}" if arguments.random else ""
        found = replay(
            name, label, fitted=arguments.fitted, share=arguments.random, limit=arguments.limit
        )
        saved(label).write_text(json.dumps(found))
        rows += told(label, found)
    table(
        "Feedback, the second half of the events", ["", "nDCG@10", "hits", "beside history"], rows
    )


WIDTH, HEIGHT, LEFT, TOP = 300.0, 190.0, 46.0, 30.0
COLORS = {"frozen": "#8a8a8a", "history": "#2a6fbb", "steps": "#d9822b", "all": "#2f8f4e"}
DRAWN = ("frozen", "history", "all")
"""`steps` lies so near to `all` that both would be one line."""


def curve(found: dict, arm: str) -> list[tuple[float, float, float, float]]:
    """Return for each part of time where it lies, 0 to 1, its mean gain and the interval's ends."""
    places, gains = np.array(found["places"]), np.array(found["gains"][arm], np.float64)
    part = np.minimum(places * N_PARTS // found["n_events"], N_PARTS - 1)
    points = []
    for n in range(N_PARTS):
        mine = gains[part == n]
        if len(mine) and not np.isnan(mine).any():
            mean, low, high = intervals(mine[:, None], np.random.default_rng(0))[0]
            points.append(((n + 0.5) / N_PARTS, mean, low, high))
    return points


def plot(names: Sequence[str], path: Path) -> None:
    """Draw nDCG@10 over time as SVG, one chart a data set, side by side."""
    parts = []
    for n, name in enumerate(names):
        found = json.loads(saved(name).read_text())
        curves = {arm: curve(found, arm) for arm in DRAWN}
        parts.append(chart(name, curves, n * (WIDTH + LEFT + 20)))
    width, height = len(names) * (WIDTH + LEFT + 20), TOP + HEIGHT + 58
    legend = "".join(
        f'<rect x="{LEFT + 110 * n}" y="{height - 20}" width="18" height="4" fill="{COLORS[arm]}"/>'
        f'<text x="{LEFT + 24 + 110 * n}" y="{height - 14}">{arm}</text>'
        for n, arm in enumerate(DRAWN)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        'font-family="sans-serif" font-size="12"><title>nDCG@10 while events arrive</title>'
        '<rect width="100%" height="100%" fill="white"/>' + "".join(parts) + legend + "</svg>\n"
    )
    print(f"wrote {path}")


def chart(name: str, curves: dict[str, list], at: float) -> str:
    """Draw one data set."""
    top = max(high for points in curves.values() for _, _, _, high in points)

    def xy(x: float, y: float) -> str:
        return f"{at + LEFT + WIDTH * x:.1f},{TOP + HEIGHT * (1.0 - y / top):.1f}"

    parts = [f'<text x="{at + LEFT}" y="18" font-weight="bold">{name}</text>']
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if top / s <= 6)
    for n in range(int(top / step) + 1):
        line = xy(0.0, n * step), xy(1.0, n * step)
        parts.append(f'<path d="M{line[0]} L{line[1]}" stroke="#e3e3e3"/>')
        y = line[0].split(",")[1]
        parts.append(f'<text x="{at + LEFT - 6}" y="{y}" text-anchor="end">{n * step:.2f}</text>')
    for share, told in ((0.0, "0"), (0.5, "half"), (1.0, "all events")):
        x = xy(share, 0.0).split(",")[0]
        parts.append(f'<text x="{x}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{told}</text>')
    for arm, points in curves.items():
        band = [xy(x, high) for x, _, _, high in points]
        band += [xy(x, low) for x, _, low, _ in reversed(points)]
        line = " L".join(xy(x, mean) for x, mean, _, _ in points)
        color = COLORS[arm]
        parts.append(f'<path d="M{" L".join(band)} Z" fill="{color}" opacity="0.18"/>')
        parts.append(f'<path d="M{line}" fill="none" stroke="{color}" stroke-width="2"/>')
    return "".join(parts)


if __name__ == "__main__":
    main()
