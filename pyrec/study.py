"""What the recommender learns from everybody's history at once, and how it is measured.

The calls behind `pyrec train` and `pyrec evaluate`; the work is done in `train.py`, `adapter/`,
`evaluate.py` and `logged.py`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from pyrec import signals
from pyrec.adapter.config import AdapterConfig
from pyrec.adapter.training import Taught, TextReport, alone, train_text
from pyrec.errors import EventError
from pyrec.evaluate import EvaluateConfig, evaluate
from pyrec.evaluation import Evaluation
from pyrec.logged import LoggedEvaluation, evaluate_logged, taken_of
from pyrec.mixer import shipped_theta
from pyrec.opened import Opened
from pyrec.replay import read_log
from pyrec.store import MEMORY
from pyrec.train import Progress, TrainReport, train
from pyrec.train_config import BehaviorAsked, TrainConfig


class Study(Opened):
    """Trains and evaluates."""

    def train(
        self,
        *,
        behavior: bool | str = False,
        progress: Progress = lambda step, share: None,
        config: TrainConfig | None = None,
    ) -> TrainReport:
        """Learn from everybody's history what weighs how much, and fit the linear item model.

        The result counts from the next question on. Stores with few users keep the weights that
        come with pyrec. Nothing is changed where it is stopped; a training of the behavior model
        that was stopped goes on where it stood when it is asked for again.

        Args:
            behavior: True trains the behavior model as well, which needs PyTorch
                (`pip install 'pyrec[train]'`) and minutes; "update" continues the one in use with
                what came since. It is used only if it is no worse than the one in use.
            progress: called with what is being done and the share of it that is done.
            config: how to train.

        Raises:
            ModelError: PyTorch is not installed.
            StoreError: a disk is full; what was in use stays.
            ValueError: `behavior` is none of these.
        """
        if behavior not in (False, True, "update"):
            raise ValueError(f"behavior is {behavior!r}; use False, True or 'update'")
        path = Path(f"{self.store.path}-behavior") if self.store.path != MEMORY else None
        asked = BehaviorAsked(behavior == "update", self.models.embedding_name, path)
        return train(
            self.catalog,
            self.events,
            self.shown,
            self.questions,
            self.learned,
            signals.every(),
            self.theta,
            shipped_theta(),
            self.weights.of_task,
            progress,
            config or TrainConfig(),
            asked if behavior else None,
        )

    def train_text(
        self,
        *,
        minutes: float = 60.0,
        progress: Progress = lambda step, share: None,
        config: AdapterConfig | None = None,
    ) -> TextReport:
        """Adapt the text model to this store: its titles, and who took which after which.

        What is learned, an adapter of a few megabytes, is kept in the store, but only if every kind
        of held-out answer is likelier with it by more than chance. From the next question on titles
        are generated with it; needs are understood by the model as it comes. A training that was
        stopped goes on where it stood.

        Args:
            minutes: how long at most.
            progress: called with what is being done and the share of it that is done.
            config: how to train; its minutes count for nothing.

        Raises:
            ModelError: PyTorch is not installed, or there is no text model, or it cannot be
                adapted.
            ValueError: minutes is out of range.
            EventError: there is too little to learn from.
            StoreError: a disk is full, or where it stood is damaged.
            StoreBusyError: another process adapts it, or a user was forgotten meanwhile.
        """
        if not 0.0 < minutes < math.inf:
            raise ValueError(f"minutes is {minutes!r}; give a number above 0")
        path = None if self.store.path == MEMORY else Path(f"{self.store.path}-text")
        removals = self.events.state()[1]
        language, log = self.catalog.language, read_log(self.events)
        taught = Taught(self.catalog, self.prompts, language, log)
        recipe = replace(config or AdapterConfig(), minutes=minutes)
        with alone(path):
            asked = self.models.text_file, taught, recipe, progress
            state, report = train_text(*asked, checkpoint=path)
            try:
                if state is not None:
                    self.learned.keep_adapter(state, removals)
            finally:  # it has nothing to go on from; and may know who was forgotten meanwhile
                if path is not None:
                    path.unlink(missing_ok=True)
        return report

    def evaluate(
        self,
        config: EvaluateConfig | None = None,
        *,
        progress: Progress = lambda step, share: None,
    ) -> Evaluation:
        """Measure how well these recommendations foretell what users took; writes nothing.

        Part of the log is hidden and asked for, from signals that are built without it.

        Args:
            config: how to evaluate.
            progress: called with what is being done and the share of it that is done.

        Raises:
            CatalogError: the catalog is empty.
            EventError: nobody has both a past and an answer.
        """
        asks = (self.catalog, self.events, self.questions, self.weights.ranker)
        return evaluate(*asks, config or EvaluateConfig(), progress)

    def evaluate_logged(self, *, seed: int = 0) -> LoggedEvaluation:
        """Estimate what the weights in use would have earned, by clicks on lists that were shown.

        Only lists count of which a part was left to chance (`recommend(..., explore=...)`), and of
        the weights those that all share. Weights that learned from these very clicks have seen the
        answers.

        Args:
            seed: of the draws of the intervals.

        Raises:
            EventError: there are no such lists.
        """
        shown = list(self.shown.walk())
        lists = [each for each in shown if each.propensities is not None]
        if not lists:
            raise EventError(
                "no list was shown of which a part was left to chance; ask for some with "
                "`explore`, and log them as shown"
            )
        taken = taken_of(shown, self.events)
        chosen = [taken[each.slate_id or 0] for each in lists]
        mixer = self.weights.ranker.mixer
        rng = np.random.default_rng(seed)
        return evaluate_logged(lists, chosen, mixer, rng, self.catalog.idxs)
