"""The weights in use: theta, by task, and what ranks by it.

`recommender.py` holds one and takes another when training has found a new theta. It never changes,
so that a question under way in another thread keeps to one theta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyrec import signals
from pyrec.learned import Learned
from pyrec.mixer import Mixer, shipped_theta
from pyrec.ranking import LEARNED, Ranker
from pyrec.signals.base import Signal
from pyrec.signals.titles import Titles

FORCED_THETA = 0.1
"""The text model's weight in a beam that was asked for where its own weight is zero."""


class Weights:
    """Theta by signal, and what ranks by it.

    Attributes:
        theta: by signal its weights, in the order of `mixer.FEATURES`.
        version: the last event that moved it since a training, 0 for none.
        ranker: ranks; a signal without weight is asked neither for candidates nor for scores, but
            by the network if it reads it.
        generating: the same with candidates that the text model names.
        learning: the same with the signals alone whose weights are learned from histories.
    """

    def __init__(
        self,
        theta: Mapping[str, Sequence[float]],
        learned: Learned | None = None,
        version: int = 0,
    ) -> None:
        self._learned = learned
        self.version = version
        self._tasks: dict[str, Mapping[str, Sequence[float]]] = {}
        self.theta = {name: list(row) for name, row in theta.items()}
        weighed = [s for s in signals.every() if any(self.theta.get(s.name, ()))]
        self.ranker = self._ranker(weighed)
        self.generating = self._ranker([*weighed, Titles()])
        self.learning = self._ranker([s for s in weighed if s.name in LEARNED])

    @classmethod
    def of(cls, learned: Learned) -> Weights:
        """Return what was learned in a store, and what comes with pyrec where nothing was."""
        version = learned.state[1]
        return cls({**shipped_theta(), **learned.theta()}, learned, version)

    def of_titles(self, *, forced: bool) -> float:
        """Return the weight of the text model's titles, which a beam needs."""
        weight = max(0.0, self.theta.get(Titles.name, [0.0])[0])
        return max(weight, FORCED_THETA) if forced else weight

    def of_task(self, task: str) -> Mapping[str, Sequence[float]]:
        """Return the weights of another task than recommending, by signal."""
        if task not in self._tasks:
            learned = self._learned.theta(task) if self._learned else {}
            self._tasks[task] = {**shipped_theta(task), **learned}
        return self._tasks[task]

    def asks(self, name: str) -> bool:
        """Return whether a signal is asked."""
        return name in self.ranker.mixer.names

    def _ranker(self, weighed: Sequence[Signal]) -> Ranker:
        return Ranker(weighed, Mixer([s.name for s in weighed], self.theta))
