"""Ratings foretold on MovieLens latest small, five folds, beside scikit-surprise on the same folds.

    python bench/ratings.py [--folds N] [--no-peers]

All through the public API: a store gets four fifths of the ratings, is trained, and is asked for
the rest. Peers are tuned (`PEERS`); their best settings were chosen on these very folds, which
favors them. `pip install scikit-surprise` for them.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from common import DATA, machine, need_data, table
from needs import _movies

import pyrec

PEERS = {
    "KNNBaseline, items, k 60": lambda s: s.KNNBaseline(
        k=60, min_k=8, verbose=False,
        sim_options={"name": "pearson_baseline", "user_based": False, "shrinkage": 100},
        bsl_options={"method": "als", "n_epochs": 20}),
    "SVD, 400 factors": lambda s: s.SVD(n_factors=400, n_epochs=100, lr_all=0.01, reg_all=0.1,
                                        random_state=0),
    "SVD++, 20 factors": lambda s: s.SVDpp(n_factors=20, n_epochs=20, cache_ratings=True,
                                           random_state=0),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    need_data("ml-latest-small/ratings.csv")
    print(machine())
    with (DATA / "ml-latest-small" / "ratings.csv").open() as file:
        rows = [(r["userId"], r["movieId"], float(r["rating"]), int(r["timestamp"]))
                for r in csv.DictReader(file)]  # fmt: skip
    fold = np.random.default_rng(0).permutation(len(rows)) % 5
    found: dict[str, list[list[float]]] = defaultdict(list)
    yes: list[tuple[float, float]] = []
    stars: list[tuple[float, float]] = []
    for number in range(arguments.folds):
        known = [row for row, f in zip(rows, fold, strict=True) if f != number]
        asked = [row for row, f in zip(rows, fold, strict=True) if f == number]
        ours(known, asked, found, yes, stars)
        if not arguments.no_peers:
            peers(known, asked, found)
        print(f"fold {number} done", flush=True)
    head = ["", "RMSE", "MAE", "fit s"]
    table("Ratings", head, [[name, *np.mean(of, axis=0).tolist()] for name, of in found.items()])
    table("Calibration, in ten bins", ["", "questions", "expected error", "AUC"],
          [["click: P(yes)", len(yes), error(yes), auc(yes)],
           ["rating: P(4 or more)", len(stars), error(stars), auc(stars)]])  # fmt: skip


def ours(known: list, asked: list, found: dict, yes: list, stars: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        with pyrec.open(path, text_model=None, embedding_model=None) as rec:
            rec.add_items(_movies())
            rec.add_events({"user": u, "item": i, "kind": "rating", "value": r, "time": at}
                           for u, i, r, at in known)  # fmt: skip
            began = time.perf_counter()
            rec.train()
            seconds = time.perf_counter() - began
            by_user = defaultdict(list)
            for user, item, rating, _ in asked:
                by_user[user].append((item, rating))
            mean, median = [], []
            for user, pairs in by_user.items():
                items = [item for item, _ in pairs]
                for told, click, (_, rating) in zip(
                    rec.rating(items, user=user), rec.click(items, user=user), pairs, strict=True
                ):
                    mean.append(told.mean - rating)
                    median.append(told.median - rating)
                    yes.append((click.probability, float(rating > 3)))
                    many = sum(p for level, p in told.distribution.items() if level >= 4)
                    stars.append((many, float(rating >= 4)))
    found["pyrec, mean"].append([*_errors(mean), seconds])
    found["pyrec, median"].append([*_errors(median), seconds])


def peers(known: list, asked: list, found: dict) -> None:
    try:
        import surprise
    except ImportError:
        print("no peers: install scikit-surprise (the extra `bench`)")
        return
    frame = [(u, i, r, None) for u, i, r, _ in known]
    data = surprise.Dataset(surprise.Reader(rating_scale=(0.5, 5)))
    trainset = data.construct_trainset(frame)
    for name, make in PEERS.items():
        began = time.perf_counter()
        model = make(surprise)
        model.fit(trainset)
        seconds = time.perf_counter() - began
        off = [model.predict(u, i).est - r for u, i, r, _ in asked]
        found[name].append([*_errors(off), seconds])


def _errors(off: list[float]) -> tuple[float, float]:
    return float(np.sqrt(np.mean(np.square(off)))), float(np.mean(np.abs(off)))


def error(pairs: list[tuple[float, float]], n_bins: int = 10) -> float:
    """Return the expected calibration error: mean distance of what was said and what came."""
    said, came = np.array(pairs).T
    bins = np.minimum((said * n_bins).astype(int), n_bins - 1)
    gaps = [abs(said[bins == b].mean() - came[bins == b].mean()) * (bins == b).mean()
            for b in np.unique(bins)]  # fmt: skip
    return float(np.sum(gaps))


def auc(pairs: list[tuple[float, float]]) -> float:
    """Return how often a yes is thought likelier than a no, ties counting half."""
    said, came = np.array(pairs).T
    order = np.argsort(said, kind="stable")
    ranks = np.empty(len(said))
    ranks[order] = np.arange(1, len(said) + 1)
    _, inverse, counts = np.unique(said, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, ranks) / counts
    n_yes = came.sum()
    above = mean[inverse][came == 1].sum() - n_yes * (n_yes + 1) / 2
    return float(above / (n_yes * (len(came) - n_yes)))


if __name__ == "__main__":
    main()
