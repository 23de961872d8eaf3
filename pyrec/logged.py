"""What other weights would have earned, by the clicks on lists of which a part was left to chance.

Inverse propensity scoring, self-normalized (Swaminathan and Joachims, The self-normalized estimator
for counterfactual learning, 2015): where a list had, by chance or not, at a place the very item
that the weights would put there, what happened to it counts, the more so the less likely it was to
stand there. That an item is taken depends, so it is supposed, on the item and its place, and not on
its neighbors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec.bootstrap import Interval
from pyrec.events import EventLog
from pyrec.interactions import TAKEN
from pyrec.mixer import Mixer
from pyrec.ranking import shares_of
from pyrec.shown import Shown

F64 = npt.NDArray[np.float64]

N_BOOT = 1000


@dataclass(frozen=True)
class LoggedEvaluation:
    """How weights would have done on lists that were shown.

    Attributes:
        n_lists: lists that were looked at.
        n_effective: what the places that count are worth, as if all counted the same.
        logged: things taken a list, as they were shown.
        expected: the same, as the weights would have shown them.
        gain: `expected` less `logged`.
    """

    n_lists: int
    n_effective: float
    logged: Interval
    expected: Interval
    gain: Interval


def evaluate_logged(
    lists: Sequence[Shown],
    taken: Sequence[frozenset[str]],
    mixer: Mixer,
    rng: np.random.Generator,
    level: float = 0.95,
) -> LoggedEvaluation:
    """Estimate how many things would be taken of a list.

    Args:
        lists: with propensities.
        taken: which items of each list were taken.
        mixer: the weights to judge.
        rng: of the intervals, which are over lists.
        level: the share of draws inside the intervals.

    Raises:
        ValueError: there are no lists.
    """
    if not lists:
        raise ValueError("there are no lists; log some that were shown with `explore`")
    k = max(shown.n_shown for shown in lists)
    weight, reward = np.zeros((2, len(lists), k))
    logged = np.zeros(len(lists))
    for n, (shown, chosen) in enumerate(zip(lists, taken, strict=True)):
        weights = Mixer(shown.names, mixer.as_dict())
        x = shown.x(shares_of(shown.names, words=shown.words))
        order = np.argsort(-(x @ weights.theta), kind="stable")[: shown.n_shown]
        for place, item in enumerate(shown.items[: shown.n_shown]):
            logged[n] += item in chosen
            if order[place] == place:
                weight[n, place] = 1.0 / (shown.propensities or ())[place]
                reward[n, place] = weight[n, place] * (item in chosen)
    draws = rng.integers(0, len(lists), (N_BOOT, len(lists)))
    counts = np.stack([np.bincount(draw, minlength=len(lists)) for draw in draws]).astype(
        np.float64
    )
    expected = _by_place(counts @ reward, counts @ weight)
    before = counts @ logged / len(lists)
    mean = float(_by_place(reward.sum(axis=0), weight.sum(axis=0)))
    squares = float((weight**2).sum())
    return LoggedEvaluation(
        len(lists),
        float(weight.sum()) ** 2 / squares if squares else 0.0,
        _interval(float(logged.mean()), before, level),
        _interval(mean, expected, level),
        _interval(mean - float(logged.mean()), expected - before, level),
    )


def taken_of(lists: Sequence[Shown], events: EventLog) -> list[frozenset[str]]:
    """Return which items of each list were taken of it: after it was shown, and of no later one."""
    of_user: dict[str, list[int]] = {}
    for n, shown in enumerate(lists):
        of_user.setdefault(shown.user_id, []).append(n)
    taken: list[set[str]] = [set() for _ in lists]
    for user, numbers in of_user.items():
        for event in events.history(user, kinds=TAKEN):
            for n in reversed(numbers):
                shown = lists[n]
                if shown.at <= event.at and event.item_id in shown.items[: shown.n_shown]:
                    taken[n].add(event.item_id)
                    break
    return [frozenset(found) for found in taken]


def _by_place(reward: F64, weight: F64) -> F64:
    """Sum over places what one place earns; a place that never agreed earns nothing."""
    earned: F64 = np.divide(reward, weight, out=np.zeros_like(reward), where=weight > 0.0).sum(-1)
    return earned


def _interval(mean: float, draws: F64, level: float) -> Interval:
    low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(mean, float(low), float(high))
