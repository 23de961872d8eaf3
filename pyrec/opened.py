"""An opened store with all its parts and the weights in use, which every call needs.

`recommender.py` builds on it, by way of `study.py` and `people.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TypeVar

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.feedback import Feedback
from pyrec.interactions import Interactions
from pyrec.learned import Learned
from pyrec.loaded import LoadedModels
from pyrec.paused import Paused
from pyrec.phrasebook import Phrasebook
from pyrec.prompts import Prompts
from pyrec.questions import Questions
from pyrec.said import SaidLog
from pyrec.shown import ShownLog
from pyrec.states import States
from pyrec.steps import Steps
from pyrec.store import Store
from pyrec.tasks.base import Context
from pyrec.tasks.need import NeedTask
from pyrec.vectors import Vectors
from pyrec.weights import Weights

Self = TypeVar("Self", bound="Opened")


class Opened:
    """A store, its models, and what is computed from both; safe to share between threads."""

    def __init__(self, store: Store, models: LoadedModels, prompts: Prompts | None = None) -> None:
        self.store = store
        self.catalog = Catalog(store)
        self.events = EventLog(store)
        self.models = models
        self.prompts = prompts or Prompts()
        self._book = Phrasebook(store, self.catalog)
        name = models.embedding_name
        self._vectors = Vectors(store, self.catalog, name) if name else None
        self._states = States(store, self.catalog, models, self.prompts)
        self.interactions = Interactions(self.events, self.catalog)
        self.learned = Learned(store)
        self.said = SaidLog(store)
        self.questions = Questions(
            self.catalog,
            self.events,
            self.interactions,
            self._vectors,
            self._states,
            models,
            self.learned,
            self.said,
            self._book,
        )
        self.shown, self.steps = ShownLog(store), Steps(store)
        # Weights, the state of theta that they are of, and the training until which they are
        # pinned.
        self._held = Weights.of(self.learned), self.learned.state, -1
        self._paused = Paused(store)
        self._feedback = Feedback(store, self._context, self.shown, self.steps, self._paused)
        self._adapter = 0
        self._need = NeedTask(self._context())
        self.questions.understand = self._need.understand

    def _context(self) -> Context:
        self._follow_adapter()
        return Context(
            self.catalog,
            self.events,
            self._book,
            self.models,
            self.learned,
            self.questions,
            self.prompts,
            self.weights,
            self.steps,
        )

    def _follow_adapter(self) -> None:
        """Use the adapter of the last training that kept one, by another process too."""
        version = self.learned.adapter_version
        if version != self._adapter:
            self._adapter = version
            self.models.use_adapter(self.learned.adapter)

    def use_theta(self, theta: Mapping[str, Sequence[float]]) -> None:
        """Rank by these weights, by signal as in `theta`, until the next training.

        At first they are what was learned here, and what comes with pyrec where nothing was.
        """
        state = self.learned.state
        self._held = Weights(theta, self.learned), state, state[0]

    @property
    def weights(self) -> Weights:
        """The weights in use; what another process learned counts too."""
        weights, known, pinned = self._held
        state = self.learned.state
        if state != known and state[0] != pinned:
            weights = Weights.of(self.learned)
            self._held = weights, state, -1
        return weights

    @property
    def theta(self) -> dict[str, list[float]]:
        """The weights in use, by signal: linear, log, and what the context adds (`mixer.py`)."""
        return {name: list(row) for name, row in self.weights.theta.items()}

    def __enter__(self: Self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Free the models and close the file; calling it twice is fine."""
        self.models.close()
        self.questions.close()
        self.store.close()
