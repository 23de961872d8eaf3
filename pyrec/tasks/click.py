"""The click task: will this user say yes to an item? Answers are no and yes.

Yes is a like, a purchase, a click, or a rating well above the middle; no is a dislike, a skip, a
lower rating, or an impression without an answer. Weights are fitted by maximum likelihood, so the
number is a probability.
"""

from __future__ import annotations

import numpy as np

from pyrec.opinion_state import OpinionState
from pyrec.opinions import YES, Person
from pyrec.tasks.ordinal import F32, Asked, Levels, OrdinalTask
from pyrec.types import Click, Reason

NO_YES = np.array([-1.0, 1.0], np.float32)


class ClickTask(OrdinalTask[Click]):
    """P(yes) for each of some items."""

    name = "click"
    uses_place = True

    @staticmethod
    def levels_of(person: Person, state: OpinionState) -> Levels:
        """Return no and yes."""
        said = (person.values > YES).astype(np.int64)
        return Levels(NO_YES, np.array([1.0 - state.yes, state.yes], np.float32), said)

    def result(self, x: Asked, place: int, shares: F32, reasons: tuple[Reason, ...]) -> Click:
        """Return the share of yes."""
        return Click(x.ids[place], float(shares[1]), reasons, x.path)
