"""A list as a sequence: each item answers what the user took and the items before it.

    P(y1 ... yk | X) = product over t of P(yt | X, y1 ... y(t-1); theta)

The mixer weighs the same signals at every place, the behavior model's anew after each item, and a
beam keeps the likeliest beginnings. `recommend.py` asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyrec.behavior.model import N_MORE
from pyrec.mixer import depth_of
from pyrec.ranking import Ranker
from pyrec.signals.base import F32, I32, Question
from pyrec.signals.behavior import Behavior, likelihoods
from pyrec.signals.deep import Deep, said

NUM_BEAMS = 4


@dataclass(frozen=True)
class _Beginning:
    """The first items of a list: places in the pool, log-probability, the signals' values now."""

    places: tuple[int, ...]
    logprob: float
    values: F32


def generate(
    question: Question, ranker: Ranker, pool: I32, values: F32, k: int
) -> list[int] | None:
    """Generate a list.

    Args:
        question: with a behavior model and a history that it knows.
        ranker: the signals and their weights.
        pool: (n,) int32, the candidates.
        values: (n, n_signals) float32, what the signals say of them before anything is chosen.
        k: how many items at most; no more than `N_MORE` come.

    Returns:
        Places in the pool in the order of the list; None where the behavior model has no weight or
        knows nothing of the history.
    """
    names, model = ranker.mixer.names, question.behavior
    if Behavior.name not in names or model is None:
        return None
    with model.model.lock:
        start = model.begin(question.stream, question.index)
        if start is None:
            return None
        beginnings, parents = [_Beginning((), 0.0, values)], [start]
        for _ in range(min(k, len(pool), N_MORE)):
            found = [
                (begun.logprob + logprob, number, place)
                for number, begun in enumerate(beginnings)
                for logprob, place in _best(question, ranker, begun)
            ]
            best = sorted(found, key=lambda each: (-each[0], each[1:]))[:NUM_BEAMS]
            rows = pool[[place for _, _, place in best]]
            after = model.grow([parents[number] for _, number, _ in best], rows, question.index)
            beginnings = [
                _Beginning(
                    (*beginnings[number].places, place),
                    logprob,
                    _anew(
                        question, names, values, logits[pool], (*beginnings[number].places, place)
                    ),
                )
                for (logprob, number, place), logits in zip(best, after, strict=True)
            ]
            parents = list(range(len(best)))
    return list(beginnings[0].places)


def _best(question: Question, ranker: Ranker, begun: _Beginning) -> list[tuple[float, int]]:
    """Return the likeliest next items of a beginning with their log-probabilities."""
    logprob = ranker.mix(question, begun.values).logprob.astype(np.float64)
    logprob[list(begun.places)] = -np.inf
    logprob -= np.logaddexp.reduce(logprob)
    places = np.argsort(-logprob, kind="stable")[:NUM_BEAMS]
    return [(float(logprob[place]), int(place)) for place in places if logprob[place] > -np.inf]


def _anew(
    question: Question, names: Sequence[str], values: F32, logits: F32, chosen: tuple[int, ...]
) -> F32:
    """Return the values of the pool after the model read what was chosen, unknown for that."""
    left = np.ones(len(values), np.uint8)
    left[list(chosen)] = 0
    changed: F32 = values.copy()
    changed[:, names.index(Behavior.name)] = likelihoods(logits, left)
    if Deep.name in names and question.deep is not None:  # it reads what the model says
        depth = depth_of(len(question.taken))
        changed[:, names.index(Deep.name)] = said(question.deep, names, changed, depth)
    changed[list(chosen)] = np.nan
    return changed
