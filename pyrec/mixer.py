"""The mixer: evidence of many signals into one probability, P(Y | X; theta).

    log P(y | x) = theta . phi(x, y) - log sum over y' of exp(theta . phi(x, y'))

phi holds four features a signal (`csrc/mixer.h`): the value, where 1 is full strength and more than
1 is put in proportion to the pool's maximum, its logarithm, and both times a context from 0 to 1,
the depth of the user's history: of somebody who took three things the last one says most, of
somebody who took three hundred their taste does. What a signal does not know counts as 0. theta is
kept by the signal's name, so that signals may come and go. The arithmetic is in C++; this module
names things.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec import _core

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FEATURES = ("linear", "log", "context_linear", "context_log")
"""The features of one signal, in the order of its columns in phi."""
RANKING = "recommend"
"""The task whose weights stand without its name, as they did before there were others."""
SHALLOW, DEEP = 5, 100
"""Histories of so many things have the depth 0 and 1."""


def depth_of(n_taken: int) -> float:
    """Return how deep a history of so many things is, from 0 to 1, by its logarithm."""
    depth = math.log(max(n_taken, 1) / SHALLOW) / math.log(DEEP / SHALLOW)
    return min(max(depth, 0.0), 1.0)


@dataclass(frozen=True)
class StepConfig:
    """How one event teaches; see `csrc/mixer.h`.

    Rates of .1 to .3 and a calm of 1 to 900 are all worth about the same on Toys and MovieLens, and
    what a user teaches may fade as quickly as here or not at all: what bounds one user is free.
    """

    rate: float = 0.1
    calm: float = 100.0
    own_rate: float = 0.1
    own_pull: float = 0.01
    own_most: float = 1.0
    most: float = 20.0
    max_norm: float = 5.0


@dataclass
class Learning:
    """Weights that learn, and the sums of their squared gradients: (n_signals * 4,) float64."""

    theta: F64
    g2: F64

    @classmethod
    def zeros(cls, n_signals: int) -> Learning:
        """Return weights that nothing was learned for."""
        return cls(*np.zeros((2, n_signals * len(FEATURES))))


@dataclass(frozen=True)
class Choice:
    """What an event says to the mixer: of these answers, this one was right.

    Attributes:
        names: the signals, as their weights are kept (`key_of`).
        x: (n, n_signals * 4) float32 features.
        chosen: the row.
        own: whether the user's own weights learn as well.
        weight: 0 to 1, what it counts for the shared weights.
    """

    names: tuple[str, ...]
    x: F32
    chosen: int
    own: bool = False
    weight: float = 1.0


def key_of(task: str, signal: str) -> str:
    """Return the name under which a signal's weights for a task are kept."""
    return signal if task == RANKING else f"{task}/{signal}"


def learn(
    choice: Choice, shared: Learning, own: Learning, weight: float, config: StepConfig
) -> None:
    """Take one step in place; `weight`, 0 to 1, is what its user counts for the shared weights."""
    nothing = np.empty(0)
    mine, squares = (own.theta, own.g2) if choice.own else (nothing, nothing)
    _core.step(
        choice.x,
        shared.theta,
        shared.g2,
        mine,
        squares,
        choice.chosen,
        rate=config.rate,
        weight=weight * choice.weight,
        calm=config.calm,
        own_rate=config.own_rate,
        own_pull=config.own_pull,
        own_most=config.own_most,
        most=config.most,
        max_norm=config.max_norm,
    )


@dataclass(frozen=True)
class Mixed:
    """Pools after mixing: logprob (n,) float32, and contributions (n, n_signals) float32.

    A contribution is theta . phi of one signal, less its mean over its pool.
    """

    logprob: F32
    contributions: F32


class Mixer:
    """theta for a list of signals.

    Args:
        names: the signals, in the order of the columns of values.
        theta: per signal its four weights; a signal that is not named weighs nothing, and one with
            two weights the same in every context.
    """

    def __init__(self, names: Sequence[str], theta: Mapping[str, Sequence[float]]) -> None:
        self.names = tuple(names)
        rows = np.zeros((len(self.names), len(FEATURES)))
        for row, name in zip(rows, self.names, strict=True):
            given = theta.get(name, ())
            if len(given) > len(FEATURES):
                raise ValueError(f"theta of {name} has {len(given)} weights; give {FEATURES}")
            row[: len(given)] = given
        self.theta: F64 = rows.reshape(-1)

    def weight(self, name: str) -> float:
        """Return the largest absolute weight of a signal; 0 means that it is never asked."""
        if name not in self.names:
            return 0.0
        return float(np.abs(self.theta.reshape(-1, len(FEATURES))[self.names.index(name)]).max())

    def mix(
        self,
        values: F32,
        context: float = 0.0,
        share: F32 | None = None,
        groups: I64 | None = None,
        own: Mapping[str, Sequence[float]] | None = None,
    ) -> Mixed:
        """Turn the values of pools into log-probabilities.

        Args:
            values: (n, n_signals) float32, NaN where unknown.
            context: 0 to 1, the depth of the user's history (`depth_of`).
            share: (n_signals,) float32, how much of each signal's weights counts; None for all.
            groups: (n_pools + 1,) int64, where each pool begins; none is empty. None for one pool.
            own: by signal what a user's own weights add; None for nothing.
        """
        theta = self.added(own).astype(np.float32)
        if share is not None:
            theta = theta * np.repeat(share, len(FEATURES))
        if groups is None:
            groups = np.array([0, len(values)], np.int64)
        contexts = np.full(len(groups) - 1, context, np.float32)
        phi = _core.features(np.ascontiguousarray(values, np.float32), groups, contexts)
        logprob = _core.log_softmax(phi, theta, groups)
        return Mixed(logprob, _core.contributions(phi, theta, groups))

    def added(self, own: Mapping[str, Sequence[float]] | None) -> F64:
        """Return theta with a user's own weights added, (n_signals * 4,) float64."""
        if not own:
            return self.theta
        return self.theta + Mixer(self.names, own).theta

    def as_dict(self) -> dict[str, tuple[float, ...]]:
        """Return theta by name."""
        rows = self.theta.reshape(-1, len(FEATURES))
        return {name: tuple(row.tolist()) for name, row in zip(self.names, rows, strict=True)}


def depth_features(values: F32, context: float) -> F32:
    """Return the features of one pool, (n, n_signals * 4) float32, by the depth of a history."""
    groups = np.array([0, len(values)], np.int64)
    return _core.features(
        np.ascontiguousarray(values, np.float32), groups, np.array([context], np.float32)
    )


def fit(
    values: F32,
    target: F32,
    groups: I64,
    prior: Mixer,
    *,
    context: F32 | None = None,
    l2: float = 1e-3,
    max_steps: int = 500,
    n_threads: int = 2,
) -> tuple[Mixer, list[float]]:
    """Fit theta by maximum likelihood: theta* = argmax of the sum of log P(y_i | x_i; theta).

    Args:
        values: (n, n_signals) float32, the pools of all questions one after the other.
        target: (n,) float32, the share of each item in its question's answer; a question whose
            shares sum to 0 teaches nothing.
        groups: (n_questions + 1,) int64, where each question's pool begins.
        prior: theta to start from and to stay near.
        context: (n_questions,) float32; None for 0.
        l2: weight of half the squared distance from the prior, beside the mean loss.
        max_steps: where to stop though the loss still falls.
        n_threads: how many cores to use.

    Returns:
        The fitted mixer, and the loss after each step.
    """
    if context is None:
        context = np.zeros(len(groups) - 1, np.float32)
    phi = _core.features(np.ascontiguousarray(values, np.float32), groups, context)
    return fit_features(phi, target, groups, prior, l2=l2, max_steps=max_steps, n_threads=n_threads)


def fit_features(
    phi: F32,
    target: F32,
    groups: I64,
    prior: Mixer,
    *,
    l2: float = 1e-3,
    max_steps: int = 500,
    n_threads: int = 2,
) -> tuple[Mixer, list[float]]:
    """Fit theta as `fit` does, to features, (n, n_signals * 4) float32, in place of values."""
    theta, losses = _core.fit(
        phi, prior.theta, prior.theta, l2, target, groups, max_steps, 1e-5, n_threads
    )
    rows = theta.reshape(-1, len(FEATURES))
    by_name = {name: row.tolist() for name, row in zip(prior.names, rows, strict=True)}
    return Mixer(prior.names, by_name), losses


def shipped_theta(task: str = RANKING) -> dict[str, list[float]]:
    """Return the theta of a task that comes with pyrec, by signal; empty where none does.

    Fitted by `bench/search_quality.py`, `history_prior.py` and `tasks.py`.
    """
    prior = _shipped()
    theta = prior["theta"] if task == RANKING else prior["tasks"].get(task, {})
    return {name: list(row) for name, row in theta.items()}


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    text = resources.files("pyrec").joinpath("prior.json").read_text(encoding="utf-8")
    prior: dict[str, dict[str, Any]] = json.loads(text)
    return prior
