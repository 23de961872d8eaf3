"""The rating task: which level of the store's rating scale will this user give an item?

Answers are the levels; they are ordered, so evidence for a higher opinion moves probability up the
scale. Nobody's first rating is needed: the item's own and its features' stand in.
"""

from __future__ import annotations

import numpy as np

from pyrec.opinion_state import OpinionState
from pyrec.opinions import Person
from pyrec.tasks.ordinal import F32, Asked, Levels, OrdinalTask
from pyrec.types import Rating, Reason


class RatingTask(OrdinalTask[Rating]):
    """The distribution over the levels, and its mean and median, for each of some items."""

    name = "rating"

    @staticmethod
    def levels_of(person: Person, state: OpinionState) -> Levels:
        """Return the scale of the store's ratings, one to five where there are none."""
        opinions = state.scale.opinions
        said = np.abs(person.values[:, None] - opinions).argmin(axis=1)
        return Levels(opinions, np.array(state.scale.shares, np.float32), said)

    def result(self, x: Asked, place: int, shares: F32, reasons: tuple[Reason, ...]) -> Rating:
        """Return mean, median and distribution."""
        levels = np.array(x.state.scale.levels)
        median = float(levels[int(np.searchsorted(np.cumsum(shares), 0.5))])
        distribution = dict(zip(levels.tolist(), shares.tolist(), strict=True))
        return Rating(x.ids[place], float(shares @ levels), median, distribution, reasons, x.path)
