"""Stores of the data sets with histories, and their test questions asked through the public API.

Shared by `quality.py` and `history_prior.py`. A store holds the catalog, its vectors by the
embedding model, and the events of the training part; strict and refit stores lie side by side.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from common import CACHE
from histories_data import EVERY, DataSet

import pyrec
from pyrec import metrics
from pyrec.deep import DeepState
from pyrec.learned import Theta
from pyrec.replay import fit_linear, read_log
from pyrec.types import Event

EMBEDDING = "multilingual-e5-small"


@lru_cache(maxsize=1)
def data_set(name: str) -> DataSet:
    """Read a data set once."""
    return EVERY[name]()


def is_refit(name: str, *, refit: bool = False) -> bool:
    """Tell whether validation joins the training; MovieLens' protocol has no other way."""
    return refit or name == "movielens"


def open_history(name: str, *, refit: bool = False) -> pyrec.Recommender:
    """Open a store with the training part of a data set; it is kept in `CACHE` for the next run.

    The vectors are there, the embedding model is not asked by questions without words.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    data = data_set(name)
    path = CACHE / f"history-{name}{'-refit' if is_refit(name, refit=refit) else ''}.db"
    titled = any(item.title for item in data.items)
    rec = pyrec.open(path, text_model=None, embedding_model=EMBEDDING if titled else None)
    if rec.catalog.count == 0:
        rec.add_items(data.items)
    for step in rec.index() if titled else ():
        print(f"\r{name}: {step.step} {step.done:g}/{step.total:g}   ", end="", file=sys.stderr)
    rec.add_events(events(name, refit=refit))
    if rec.learned.version == 0:
        # What a training would leave, but for the weights: those that ship can be judged with it.
        log = read_log(rec.events)
        rec.learned.keep({}, fit_linear(log), log.item_ids)
    return rec


def copy_history(name: str, label: str, *, refit: bool = False) -> pyrec.Recommender:
    """Open a copy of such a store, made anew, for a training that changes more than weights."""
    with open_history(name, refit=refit) as rec:
        path = CACHE / f"{label}-{name}{'-refit' if is_refit(name, refit=refit) else ''}.db"
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        rec.store.db.execute("VACUUM INTO ?", [str(path)])
        embedding = rec.models.embedding_name or None
    return pyrec.open(path, text_model=None, embedding_model=embedding)


def put_on(rec: pyrec.Recommender, theta: Theta, network: DeepState | None) -> None:
    """Let a store answer by what another one's training found."""
    with rec.store.transact() as db:
        db.execute("DELETE FROM derived WHERE name = 'deep'")
        if network is not None:
            row = ["deep", time.time_ns(), network.pack()]
            db.execute("INSERT INTO derived VALUES (?, ?, ?)", row)
    rec.use_theta(theta)


def events(name: str, *, refit: bool = False) -> Iterator[Event]:
    """Give the training part as purchases, with times where the data has them."""
    data = data_set(name)
    later = is_refit(name, refit=refit)
    histories = data.refit if later else data.train
    times = data.refit_times if later else data.train_times
    for user, history in enumerate(histories):
        for place, item in enumerate(history):
            at = float(times[user][place]) if times else 0.0
            yield Event(f"u{user}", data.items[item].item_id, "purchase", None, at)


def ask(rec: pyrec.Recommender, name: str, k: int = 10) -> dict[str, np.ndarray]:
    """Ask all test questions by `recommend(history=…)`, seen items removed; per metric (n,)."""
    data = data_set(name)
    found: dict[str, list[float]] = {}
    for asked in data.test:
        history = [data.items[item].item_id for item in asked.history]
        answers = {data.items[item].item_id for item in asked.answers}
        began = time.perf_counter()
        ranked = [s.item_id for s in rec.recommend(history=history, k=k)]
        milliseconds = 1000 * (time.perf_counter() - began)
        gains = dict.fromkeys(answers, 1.0)
        values = {
            "Recall@10": metrics.recall(ranked, answers, 10),
            "nDCG@10": metrics.ndcg(ranked, gains, 10),
            "Recall@5": metrics.recall(ranked, answers, 5),
            "nDCG@5": metrics.ndcg(ranked, gains, 5),
            "precision@10": metrics.precision(ranked, answers, 10),
            "F1@10": metrics.f1(ranked, answers, 10),
            "ms": milliseconds,
        }
        for metric, value in values.items():
            found.setdefault(metric, []).append(value)
    return {metric: np.array(values) for metric, values in found.items()}
