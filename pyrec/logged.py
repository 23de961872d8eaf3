"""What other weights would have earned, by the clicks on lists of which a part was left to chance.

Inverse propensity scoring, self-normalized (Swaminathan and Joachims, The self-normalized estimator
for counterfactual learning, 2015): where a list had, by chance or not, at a place the very item
that the weights would put there, what happened to it counts, the more so the less likely it was to
stand there. That an item is taken depends, so it is supposed, on the item and its place, and not on
its neighbors. What the weights would show is the best of what is kept of a list, its fifty
likeliest candidates then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
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
        expected: the same, as the weights would have shown them; NaN where at some place no list
            ever had what they would put there.
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
    rows_of: Callable[[Sequence[str]], npt.NDArray[np.integer]] | None = None,
    level: float = 0.95,
) -> LoggedEvaluation:
    """Estimate how many things would be taken of a list.

    Args:
        lists: with propensities.
        taken: which items of each list were taken.
        mixer: the weights to judge.
        rng: of the intervals, which are over lists.
        rows_of: gives the rows of items, by which ties are ranked; None to rank them by their ids.
        level: the share of draws inside the intervals.

    Raises:
        ValueError: there are no lists.
    """
    if not lists:
        raise ValueError("there are no lists; log some that were shown with `explore`")
    n, k = len(lists), max(shown.n_shown for shown in lists)
    there, weight, reward = np.zeros((3, n, k))  # whether a list has the place
    logged = np.zeros(n)
    for at, (shown, chosen) in enumerate(zip(lists, taken, strict=True)):
        weights = Mixer(shown.names, mixer.as_dict())
        x = shown.x(shares_of(shown.names, words=shown.words))
        # Ties by row, not by where it stood: or every list would agree where all is tied.
        ties = np.array(shown.items) if rows_of is None else rows_of(shown.items)
        order = np.lexsort((ties, -(x @ weights.theta)))[: shown.n_shown]
        there[at, : shown.n_shown] = 1.0
        for place, item in enumerate(shown.items[: shown.n_shown]):
            logged[at] += item in chosen
            if order[place] == place:
                weight[at, place] = 1.0 / (shown.propensities or ())[place]
                reward[at, place] = weight[at, place] * (item in chosen)

    def earned(counts: F64) -> tuple[float, float]:
        """Return things taken a list, by the weights and as it was, where lists count so often."""
        has, w, r = counts @ there, counts @ weight, counts @ reward
        with np.errstate(invalid="ignore"):
            by_place = (r / w * has)[has > 0.0]  # NaN where no list agrees
        return float(by_place.sum() / counts.sum()), float(counts @ logged / counts.sum())

    mean, before = earned(np.ones(n))
    drawn = np.empty((N_BOOT, 2))
    for draw in range(N_BOOT):
        drawn[draw] = earned(np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64))
    squares = float((weight**2).sum())
    return LoggedEvaluation(
        n,
        float(weight.sum()) ** 2 / squares if squares else 0.0,
        _interval(before, drawn[:, 1], level),
        _interval(mean, drawn[:, 0], level),
        _interval(mean - before, drawn[:, 0] - drawn[:, 1], level),
    )


def taken_of(lists: Iterable[Shown], events: EventLog) -> dict[int, frozenset[str]]:
    """Return which items were taken of each list, by its number.

    An item is taken of the newest list before the event that showed it.
    """
    showings: dict[str, dict[str, tuple[list[float], list[int]]]] = {}
    taken: dict[int, set[str]] = {}
    for shown in lists:  # oldest first
        number = shown.slate_id or 0
        taken[number] = set()
        of_user = showings.setdefault(shown.user_id, {})
        for item in shown.items[: shown.n_shown]:
            times, numbers = of_user.setdefault(item, ([], []))
            times.append(shown.at)
            numbers.append(number)
    for user, of_user in showings.items():
        for event in events.history(user, kinds=TAKEN):
            times, numbers = of_user.get(event.item_id, ([], []))
            if at := bisect_right(times, event.at):
                taken[numbers[at - 1]].add(event.item_id)
    return {number: frozenset(items) for number, items in taken.items()}


def _interval(mean: float, draws: F64, level: float) -> Interval:
    """Return a mean with its bounds; draws in which no list agrees at some place say nothing."""
    known = draws[~np.isnan(draws)]
    if np.isnan(mean) or not len(known):
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.quantile(known, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(mean, float(low), float(high))
