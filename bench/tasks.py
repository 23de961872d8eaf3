"""Click and rating learned together and alone, from few opinions and from many, on MovieLens.

    python bench/tasks.py [--write]    --write fits the weights that come with pyrec

A store of some users is asked for a fifth of their opinions. Four ways of weighing: the weights
that come with pyrec, each task's fitted alone, both fitted jointly, and logistic regression on the
same signals. Loss is the mean cross-entropy in nats, with its interval over stores; the calibration
error is that of all stores' answers together, as a hundred answers alone say little of it. The
weights that come with pyrec are of one half of the users, the figures of the other.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from common import CACHE, DATA, ROOT, machine, need_data, table
from needs import _movies
from ratings import auc, error

import pyrec
from pyrec.mixer import Mixer, shipped_theta
from pyrec.opinion_state import fit_state
from pyrec.opinions import Opinions, item_features, read_opinions
from pyrec.tasks.ordinal import SIGNALS
from pyrec.train_opinions import PULL, TASKS, Pools, collect, fit_tasks, hide, loss

SIZES = {500: 24, 2000: 8, 10_000: 3, 50_000: 1}
"""Opinions in a store, and how many stores of other users are drawn."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pull", type=float, default=PULL)
    arguments = parser.parse_args()
    need_data("ml-latest-small/ratings.csv")
    print(machine())
    with movielens() as rec:
        opinions = read_opinions(rec.events, rec.catalog)
        if arguments.write:
            write(rec, opinions)
        shipped = {task: shipped_theta(task) for task in TASKS}
        rows = []
        for size, n_draws in SIZES.items():
            found: dict[tuple[str, str], list[tuple[float, list[tuple[float, float]]]]] = (
                defaultdict(list)
            )
            for draw in range(n_draws):
                some = users_of(opinions, size, draw, half=1)
                measure(rec, some, shipped, draw, arguments.pull, found)
            for (task, way), of in found.items():
                nats = [f[0] for f in of]
                wide = 1.96 * np.std(nats) / np.sqrt(len(nats)) if len(nats) > 1 else 0.0
                said = [pair for _, pairs in of for pair in pairs]
                rows.append([f"{size:,} opinions, {task}: {way}", float(np.mean(nats)),
                             f"±{wide:.3f}", auc(said), error(said)])  # fmt: skip
    head = ["", "loss", "interval", "AUC", "calibration error"]
    table("Click and rating, asked for a fifth of the opinions", head, rows)


def movielens() -> pyrec.Recommender:
    """Open a store with all ratings, films with genres and year."""
    CACHE.mkdir(parents=True, exist_ok=True)
    rec = pyrec.open(CACHE / "tasks-movielens.db", text_model=None, embedding_model=None)
    if not rec.catalog.count:
        rec.add_items(_movies())
        with (DATA / "ml-latest-small" / "ratings.csv").open() as file:
            rec.add_events(
                {"user": r["userId"], "item": r["movieId"], "kind": "rating",
                 "value": float(r["rating"]), "time": int(r["timestamp"])}
                for r in csv.DictReader(file)
            )  # fmt: skip
    return rec


def users_of(opinions: Opinions, size: int, draw: int, half: int) -> Opinions:
    """Draw users of one half until they have so many opinions."""
    rng = np.random.default_rng(draw)
    kept = np.zeros(len(opinions.value), bool)
    people = opinions.by_user()
    for user in rng.permutation(len(people)):
        room = size - int(kept.sum())
        if user % 2 == half and room > 0:
            # Of a small store's users each brings but a part: none is most of it.
            most = min(room, max(size // 20, 20))
            kept[people[user][-most:]] = True
    return opinions.some(kept)


def measure(
    rec: pyrec.Recommender,
    opinions: Opinions,
    shipped: Mapping[str, Mapping[str, list[float]]],
    seed: int,
    pull: float,
    found: dict[tuple[str, str], list[tuple[float, list[tuple[float, float]]]]],
) -> None:
    features = item_features(rec.catalog)
    test = np.random.default_rng(100 + seed).random(len(opinions.value)) < 0.2
    known = opinions.some(~test)
    hidden = hide(known, seed)
    state = fit_state(known.some(~hidden), features)
    learnt = collect(known, hidden, state, rec.questions, _quiet, seed)
    asked = collect(opinions, test, fit_state(known, features), rec.questions, _quiet, seed, 0.0)
    ways = {
        "as shipped": {task: Mixer(SIGNALS, shipped[task]) for task in TASKS},
        "alone": fit_tasks(learnt, shipped, pull, jointly=False),
        "jointly": fit_tasks(learnt, shipped, pull),
    }
    for task in TASKS:
        for way, theta in ways.items():
            if task in theta:
                shares = answer(theta[task], asked[task])
                said = list(zip(good(shares), good(truth(asked[task])), strict=True))
                found[task, way].append((loss(theta[task], asked[task]), said))
    said = list(zip(logistic(learnt["click"], asked["click"]), good(truth(asked["click"])),
                    strict=True))  # fmt: skip
    nats = -np.mean([np.log(max(p if yes else 1 - p, 1e-9)) for p, yes in said])
    found["click", "logistic regression"].append((float(nats), said))


def answer(theta: Mixer, pools: Pools) -> np.ndarray:
    """Return (n_questions, n_levels) probabilities."""
    out = np.empty((len(pools.user), pools.n_levels))
    for depth in np.unique(pools.context):
        which = pools.context == depth
        some = pools.some(which)
        mixed = theta.mix(some.values, float(depth), groups=some.groups)
        out[which] = np.exp(mixed.logprob).reshape(-1, pools.n_levels)
    return out


def truth(pools: Pools) -> np.ndarray:
    return pools.target.reshape(-1, pools.n_levels)


def good(shares: np.ndarray) -> list[float]:
    """Return P(yes), or of four stars and more: the upper part of a scale."""
    n = shares.shape[1]
    upper = 1 if n == 2 else 3
    return shares[:, -upper:].sum(axis=1).tolist()


def logistic(learnt: Pools, asked: Pools) -> list[float]:
    """Fit logistic regression to the difference of both answers' values, by Newton's method."""

    def x(pools: Pools) -> np.ndarray:
        pairs = np.nan_to_num(pools.values.reshape(-1, 2, len(SIGNALS)))
        return np.column_stack([np.ones(len(pairs)), pairs[:, 1] - pairs[:, 0]])

    weights, matrix, yes = np.zeros(len(SIGNALS) + 1), x(learnt), truth(learnt)[:, 1]
    for _ in range(30):
        p = 1 / (1 + np.exp(-matrix @ weights))
        ridge = 1e-2 * np.eye(len(weights))
        hessian = matrix.T @ (matrix * (p * (1 - p))[:, None]) + ridge
        weights += np.linalg.solve(hessian, matrix.T @ (yes - p) - ridge @ weights)
    return (1 / (1 + np.exp(-x(asked) @ weights))).tolist()


def write(rec: pyrec.Recommender, opinions: Opinions) -> None:
    """Fit the weights that come with pyrec on stores of every size alike."""
    features = item_features(rec.catalog)
    gathered: dict[str, list[Pools]] = defaultdict(list)
    for size, n_draws in SIZES.items():
        for draw in range(n_draws):
            some = users_of(opinions, size, draw, half=0)
            hidden = hide(some, draw, 0.2)
            state = fit_state(some.some(~hidden), features)
            for task, pools in collect(some, hidden, state, rec.questions, _quiet, draw).items():
                few = np.random.default_rng(draw).random(len(pools.user)) < 4000 / len(pools.user)
                gathered[task].append(pools.some(few))
    joined = {
        task: Pools(
            np.concatenate([p.values for p in of]),
            np.concatenate([p.target for p in of]),
            of[0].n_levels,
            np.concatenate([p.context for p in of]),
            np.concatenate([p.user for p in of]),
        )
        for task, of in gathered.items()
    }
    path = ROOT / "pyrec" / "prior.json"
    kept = json.loads(path.read_text())
    prior = {task: kept["tasks"][task] for task in TASKS}
    for task, theta in fit_tasks(joined, prior, 1.0).items():
        for name, row in theta.as_dict().items():
            if any(row):
                kept["tasks"][task][name] = [round(w, 4) for w in row]
    path.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"wrote {path}")


def _quiet(share: float) -> None:
    pass


if __name__ == "__main__":
    main()
