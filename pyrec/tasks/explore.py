"""Exploration: some places of a list are left to chance, where theta itself is unsure.

Thompson sampling: weights are drawn around theta, as far from it as they are unsure
(`Steps.squares`), and a place that is left to chance goes to what one of the draws likes best. How
likely each item was to stand at its place is told with the list, by making a thousand more: that is
what lets other weights be judged by the clicks (`logged.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

N_HEAD = 50
"""Among how many of the best chance may choose."""
N_DRAWS = 200
N_LISTS = 1000
"""From how many lists propensities are told; the one that is shown is one of them."""


@dataclass(frozen=True)
class Explored:
    """A list of which a part was left to chance.

    Attributes:
        order: (n,) places in what was given: the list, then the rest in the order it had.
        propensities: of the list: how likely each item was to stand at its place.
    """

    order: tuple[int, ...]
    propensities: tuple[float, ...]


def explore(
    x: F32, theta: F64, unsure: F64, k: int, share: float, rng: np.random.Generator
) -> Explored:
    """Leave a share of the places to chance.

    Args:
        x: (n, f) features of the head of a ranking, best first.
        theta: (f,) the weights.
        unsure: (f,) the standard deviation of each.
        k: how long the list is.
        share: how likely each place is to be left to chance, 0 to 1.
        rng: the source of chance.
    """
    n = len(x)
    draws = theta[:, None] + unsure[:, None] * rng.normal(size=(len(theta), N_DRAWS))
    scores = (x.astype(np.float64) @ draws).T  # (N_DRAWS, n)
    left = np.ones((N_LISTS, n), bool)
    every = np.arange(N_LISTS)
    order, propensities = [], []
    for _ in range(min(k, n)):
        draw = scores[rng.integers(N_DRAWS, size=N_LISTS)]
        likes = np.where(left, draw, -np.inf).argmax(axis=1)
        greedy = left.argmax(axis=1)  # the first that is left
        chosen = np.where(rng.random(N_LISTS) < share, likes, greedy)
        left[every, chosen] = False
        order.append(int(chosen[0]))  # the first of these lists is the one that is shown
        propensities.append(float((chosen == chosen[0]).mean()))
    rest = np.flatnonzero(left[0]).tolist()
    return Explored((*order, *rest), tuple(propensities))
