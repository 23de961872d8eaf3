"""Evidence for fitting: what every signal says of every candidate of every question of a set.

Collected once a set through the recommender's own question and pool, so that what is fitted is
what runs. `search_quality.py` uses it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from query_sets import QuerySet

import pyrec
from pyrec import _core, mixer
from pyrec.ranking import Ranker
from pyrec.signals.base import Signal
from pyrec.signals.dense import Dense
from pyrec.signals.lexical import TitleShare, in_doubt

# No question of these sets has a history, so nothing here can fit the signals of history: these
# are set by hand, about what makes one liked item outweigh popularity.
BY_HAND = {"content": (4.0, 0.4), "dense_history": (1.0, 0.2)}

LAST = TitleShare.name


@dataclass
class Evidence:
    """One question: ids of its pool, values (n, n_signals), target (n,), and all gains."""

    set_name: str
    text: str
    ids: list[str]
    values: np.ndarray
    target: np.ndarray
    gains: dict[str, float]


def collect(
    rec: pyrec.Recommender, queries: QuerySet, signals: Sequence[Signal], *, with_model: bool
) -> list[Evidence]:
    """Ask every question of a set and keep what the signals say of the pool."""
    names = [s.name for s in signals]
    task = Ranker(signals, mixer.Mixer(names, {}))
    found = []
    began = time.perf_counter()
    for n, (text, gains) in enumerate(queries.queries.items(), 1):
        question = rec.question(text)
        question.model = rec.models.text() if with_model else None
        # Embedded always: what meaning names makes harder pools to tell the answers from.
        embedder = rec.models.embedder()
        question.vector = embedder.embed_query(question.need.text) if embedder else None
        rec.questions.put_output(question)
        # By row, so that ties fall as they do in the product and not in the order of admission.
        pool = np.sort(task.answers(question))
        ids = [item.item_id for item in rec.catalog.items(pool)]
        target = np.array([gains.get(i, 0.0) for i in ids], np.float32)
        values = task.values(question, pool)
        if not in_doubt(question):
            values[:, names.index(Dense.name)] = np.nan  # as in the recommender
        found.append(Evidence(queries.name, text, ids, values, target, dict(gains)))
        seconds = time.perf_counter() - began
        done = f"{n}/{len(queries.queries)} {seconds:.0f} s "
        print(f"\r{queries.name}: {done}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


def fit(
    train: Sequence[Evidence], names: Sequence[str], keep: Sequence[bool], l2: float
) -> mixer.Mixer:
    """Fit theta on some questions, with only some of the signals; `LAST` beside the others.

    It speaks for an item and never against it: with a logarithm of its own, few words of a title
    are worse than none, and something popular stands before shoes for a question in two languages,
    which no set here asks.
    """
    useful = [e for e in _balanced(train) if e.target.sum() > 0]
    others = [kept and name != LAST for name, kept in zip(names, keep, strict=True)]
    fitted = _fit(useful, names, others, l2)
    if list(others) != list(keep):
        row = (_linear(useful, fitted, names, others, l2), 0.0, 0.0, 0.0)
        fitted = mixer.Mixer(names, {**fitted.as_dict(), LAST: row})
    return fitted


def _linear(
    useful: Sequence[Evidence],
    fitted: mixer.Mixer,
    names: Sequence[str],
    others: Sequence[bool],
    l2: float,
) -> float:
    """Find the most likely linear weight of `LAST`, by Newton's method."""
    column, width = names.index(LAST), len(mixer.FEATURES)
    pools = []
    for e in useful:
        values = np.where(others, e.values, 0.0).astype(np.float32)
        alone = np.ascontiguousarray(e.values[:, [column]], np.float32)
        groups = np.array([0, len(alone)], np.int64)
        feature = _core.features(alone, groups, np.zeros(1, np.float32)).reshape(-1, width)[:, 0]
        pools.append((fitted.mix(values).logprob, feature, e.target / e.target.sum()))
    weight = 0.0
    for _ in range(20):
        slope, curve = -2 * l2 * len(pools) * weight, 2 * l2 * len(pools)
        for score, feature, target in pools:
            p = score + weight * feature
            p = np.exp(p - p.max())
            p /= p.sum()
            mean = p @ feature
            slope += target @ feature - mean
            curve += p @ (feature - mean) ** 2
        weight += np.clip(slope / curve, -2.0, 2.0)
    return float(weight)


def _fit(
    useful: Sequence[Evidence], names: Sequence[str], keep: Sequence[bool], l2: float
) -> mixer.Mixer:
    prior = mixer.Mixer(names, BY_HAND)
    groups = np.concatenate([[0], np.cumsum([len(e.ids) for e in useful])]).astype(np.int64)
    values = np.concatenate([e.values for e in useful])
    values[:, ~np.array(keep)] = 0.0
    target = np.concatenate([e.target / e.target.sum() for e in useful]).astype(np.float32)
    fitted, _ = mixer.fit(values, target, groups, prior, l2=l2)
    return fitted


def _balanced(train: Sequence[Evidence]) -> list[Evidence]:
    """Keep at most 60 questions of a set, so that no set outvotes the others."""
    kept: dict[str, int] = {}
    found = []
    for evidence in train:
        kept[evidence.set_name] = kept.get(evidence.set_name, 0) + 1
        if kept[evidence.set_name] <= 60:
            found.append(evidence)
    return found


def rank(evidence: Evidence, fitted: mixer.Mixer, keep: Sequence[bool]) -> list[str]:
    """Return item ids, best first."""
    values = evidence.values.copy()
    values[:, ~np.array(keep)] = 0.0
    logprob = fitted.mix(values).logprob
    return [evidence.ids[n] for n in np.argsort(-logprob, kind="stable")]


def cross_validate(
    sets: Sequence[tuple[QuerySet, list[Evidence]]],
    names: Sequence[str],
    keep: Sequence[bool],
    *,
    l2: float,
    folds: int = 5,
) -> list[np.ndarray]:
    """Measure each question with a theta that was fitted without its fold: one array a set."""
    rng = np.random.default_rng(0)
    fold_of = [rng.integers(0, folds, len(evidence)) for _, evidence in sets]
    results = [np.zeros(len(evidence)) for _, evidence in sets]
    for fold in range(folds):
        train = [
            e
            for (_, evidence), of in zip(sets, fold_of, strict=True)
            for e, f in zip(evidence, of, strict=True)
            if f != fold
        ]
        fitted = fit(train, names, keep, l2)
        for (queries, evidence), of, result in zip(sets, fold_of, results, strict=True):
            for n in np.flatnonzero(of == fold):
                result[n] = queries.measure(rank(evidence[n], fitted, keep), evidence[n].gains)
    return results
