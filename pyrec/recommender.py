"""The recommender: one store, its models and its signals behind a few calls.

The facade that applications and the doors (`cli.py`) use. Policy lives here: what is left out, what
a history weighs, when which model is asked. The work is done in `tasks/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from pyrec import signals
from pyrec.catalog import Catalog
from pyrec.errors import UnknownItemError
from pyrec.evaluate import EvaluateConfig, evaluate
from pyrec.evaluation import Evaluation
from pyrec.event_fields import events_of
from pyrec.event_importing import EventImportReport
from pyrec.events import EventLog
from pyrec.fields import items_of
from pyrec.importing import ImportReport
from pyrec.indexing import IndexProgress, embed_items, weigh_phrases
from pyrec.interactions import Interactions
from pyrec.learned import Learned
from pyrec.loaded import AUTO, LoadedModels, ModelChoice
from pyrec.mixer import shipped_theta
from pyrec.phrasebook import Phrasebook
from pyrec.questions import Questions
from pyrec.signals.base import Question
from pyrec.store import Store
from pyrec.tasks.recommend import Ranked, RecommendTask
from pyrec.train import Progress, TrainConfig, TrainReport, train
from pyrec.types import Event, Filter, Item, Need, Slate, Suggestion
from pyrec.vectors import Vectors
from pyrec.weights import Weights

MAX_K = 1000


def open(
    path: str | Path,
    *,
    text_model: ModelChoice = AUTO,
    embedding_model: ModelChoice = AUTO,
) -> Recommender:
    """Open a store and make it answer.

    Args:
        path: a SQLite file, made if there is none; `:memory:` keeps nothing.
        text_model: a name from `pyrec models list`, the path of a GGUF, "auto" for the best on
            this device, or None to go without.
        embedding_model: the same for the model that turns text into vectors.

    Raises:
        StoreError: the file cannot be used.
        ModelError: a model that was named cannot be used.
    """
    models = LoadedModels(text_model, embedding_model)
    return Recommender(Store.open(path), models)


class Recommender:
    """Recommendations from one store; safe to share between threads.

    Made by `pyrec.open`. `recommend`, `similar`, `need` and `history` write nothing, and answer
    the same for the same store and models.
    """

    def __init__(self, store: Store, models: LoadedModels) -> None:
        self.store = store
        self.catalog = Catalog(store)
        self.events = EventLog(store)
        self.models = models
        self._book = Phrasebook(store, self.catalog)
        name = models.embedding_name
        self._vectors = Vectors(store, self.catalog, name) if name else None
        self.interactions = Interactions(self.events, self.catalog)
        self.learned = Learned(store)
        self.questions = Questions(
            self.catalog,
            self.events,
            self.interactions,
            self._book,
            self._vectors,
            models,
            self.learned,
        )
        self._weights, self._trained = Weights.of(self.learned), self.learned.version

    def use_theta(self, theta: Mapping[str, Sequence[float]]) -> None:
        """Rank by these weights, by signal as in `theta`, until the next training.

        At first they are what was learned here, and what comes with pyrec where nothing was.
        """
        self._weights, self._trained = Weights(theta), self.learned.version

    def _current(self) -> Weights:
        """Return the weights in use; those of a training since, by another process too."""
        trained = self.learned.version
        if trained != self._trained:
            self._weights, self._trained = Weights.of(self.learned), trained
        return self._weights

    @property
    def theta(self) -> dict[str, list[float]]:
        """The weights in use, by signal: linear, log, and what the context adds (`mixer.py`)."""
        return {name: list(row) for name, row in self._current().theta.items()}

    def __enter__(self) -> Recommender:
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
        self.store.close()

    # Catalog

    def add_items(self, rows: Iterable[Item | Mapping[str, Any]]) -> ImportReport:
        """Add items, replacing those with the same id; all of them or none.

        They are found by their words at once; `index` computes what takes longer.

        Args:
            rows: items, or dictionaries whose keys are read as `pyrec import` reads columns.

        Raises:
            CatalogError: an item that cannot be kept; the catalog stays as it was.
        """
        report = self.catalog.add(items_of(rows))
        self._book.refresh()
        return report

    def remove_items(self, item_ids: Iterable[str]) -> int:
        """Remove items and return how many there were.

        Raises:
            UnknownItemError: an id that the catalog does not hold; nothing is removed.
        """
        return self.catalog.remove(item_ids)

    def index(self, *, n_vectors: int | None = None) -> Iterator[IndexProgress]:
        """Compute vectors and what phrases are worth; stop it and go on at any time.

        Nothing is done until the result is walked. What is done is kept, batch by batch.

        Args:
            n_vectors: stop where so many items have a vector, in the order they were imported;
                None for all.
        """
        self._book.refresh()
        yield from weigh_phrases(self._book, self.catalog.language, self.models)
        if self._vectors is not None:
            yield from embed_items(self._vectors, self.models, n_vectors)

    @property
    def n_vectors(self) -> int:
        """How many items have a vector of the embedding model in use."""
        return self._vectors.count() if self._vectors else 0

    # Questions

    def recommend(
        self,
        text: str = "",
        *,
        user: str | None = None,
        history: Sequence[str] = (),
        k: int = 10,
        where: Sequence[str | Filter] = (),
        include_seen: bool = False,
        generate: bool | str = False,
    ) -> Slate:
        """Recommend items for a question, a user, or both.

        Args:
            text: the question in plain words, any language; empty asks by history alone.
            user: whose history counts; None for nobody's.
            history: item ids that count instead, oldest first, for a visitor who is not known:
                nothing is kept of it, and ids that the catalog does not hold count nothing.
            k: how many items, 1 to 1,000; fewer come where fewer fit.
            where: conditions that each item must meet, such as `price<=300`.
            include_seen: also items that the user did something with; never disliked ones.
            generate: True lets the text model re-order the best by a beam over their titles;
                "catalog" lets it name candidates by a beam over all titles, which takes longer.

        Raises:
            ValueError: k is out of range, `generate` is none of these, or both a user and a history
                are given.
            CatalogError: a condition that cannot be read, or names no column.
        """
        began = time.perf_counter()
        _check_k(k)
        if generate not in (False, True, "catalog"):
            raise ValueError(f"generate is {generate!r}; use False, True or 'catalog'")
        if isinstance(history, str):
            raise TypeError(f"history is {history!r}; give a list of item ids")
        if user is not None and history:
            raise ValueError("give a user, whose history is known here, or a history, not both")
        weights = self._current()
        task = weights.generating if generate == "catalog" else weights.task
        theta_text = weights.of_titles(forced=generate is True)

        def ask() -> tuple[Question, Ranked, list[Item]]:
            question = self.question(
                text, user=user, history=history, where=where, include_seen=include_seen
            )
            if question.need and question.need.text and (generate or theta_text > 0.0):
                question.model = self.models.text()
            ranked = task.rank(question, k, theta_text)
            if generate and question.model is None:
                why = "no text model" if text.strip() else "no question"
                ranked = replace(ranked, path=(*ranked.path, f"no titles generated: {why}"))
            return question, ranked, self.catalog.items(ranked.item_idx)

        return self._slate(task, *_consistent(ask), user, began)

    def question(
        self,
        text: str = "",
        *,
        user: str | None = None,
        history: Sequence[str] = (),
        where: Sequence[str | Filter] = (),
        include_seen: bool = False,
    ) -> Question:
        """Encode a question as signals read it; `recommend` starts here."""
        embeds = self._current().asks("dense")
        return self.questions.ask(
            text, user, history, where, include_seen=include_seen, embeds=embeds
        )

    def similar(self, item_id: str, *, k: int = 10, where: Sequence[str | Filter] = ()) -> Slate:
        """Recommend items like one item.

        Raises:
            UnknownItemError: the catalog does not hold it.
            ValueError: k is out of range.
            CatalogError: a condition that cannot be read, or names no column.
        """
        began = time.perf_counter()
        _check_k(k)
        task = self._current().task

        def ask() -> tuple[Question, Ranked, list[Item]]:
            question = self.questions.like(item_id, where)
            ranked = task.rank(question, k, 0.0)
            return question, ranked, self.catalog.items(ranked.item_idx)

        return self._slate(task, *_consistent(ask), None, began)

    def need(self, text: str) -> Need:
        """Say what a question means in the catalog's own words."""
        return self.questions.understand(text, self.questions.current())

    # Feedback

    def feedback(self, user: str, item_id: str, kind: str, value: float | None = None) -> Event:
        """Take what a user did with an item; durable when this returns, and it counts at once.

        Args:
            user: any id of yours.
            item_id: an item of the catalog.
            kind: `impression click like dislike purchase rating skip`.
            value: the rating, for `rating`.

        Raises:
            UnknownItemError: the catalog does not hold the item.
            InvalidEventError: the kind or the value makes no sense.
        """
        self.catalog.idx(item_id)
        return self.events.append(Event(user, item_id, kind, value))

    def add_events(self, rows: Iterable[Event | Mapping[str, Any]]) -> EventImportReport:
        """Add a log from elsewhere; all of it or nothing, and adding it again adds nothing.

        Args:
            rows: events, or dictionaries whose keys are read as `pyrec events import` reads
                columns; time 0 or none is unknown, before everything that has one. Items that the
                catalog does not hold are fine.

        Raises:
            InvalidEventError: a row that is no event; the log stays as it was.
        """
        return self.events.add(events_of(rows))

    def train(
        self, *, progress: Progress = lambda step, share: None, config: TrainConfig | None = None
    ) -> TrainReport:
        """Learn from everybody's history what weighs how much, and fit the linear item model.

        The result counts from the next question on. Stores with few users keep the weights that
        come with pyrec. Nothing is changed where it is stopped.

        Args:
            progress: called with what is being done and the share of it that is done.
            config: how to train.
        """
        return train(
            self.catalog,
            self.events,
            self.questions,
            self.learned,
            signals.every(),
            self.theta,
            shipped_theta(),
            progress,
            config or TrainConfig(),
        )

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
        asks = (self.catalog, self.events, self.questions, self._current().task)
        return evaluate(*asks, config or EvaluateConfig(), progress)

    def log_shown(self, user: str, item_ids: Sequence[str]) -> None:
        """Log that a user saw these items in this order; `Slate.shown` calls this."""
        shown = [Event(user, i, "impression", float(place)) for place, i in enumerate(item_ids)]
        self.events.append_many(shown)

    def undo(self, user: str) -> Event | None:
        """Take back the user's last event that is no impression; return it, None without one."""
        return self.events.undo(user)

    def history(self, user: str, limit: int | None = None) -> list[Event]:
        """Return a user's events, the newest last; impressions are left out."""
        kinds = ("click", "like", "dislike", "purchase", "rating", "skip")
        return self.events.history(user, limit, kinds)

    # How an answer is made

    def _slate(
        self,
        task: RecommendTask,
        question: Question,
        ranked: Ranked,
        items: Sequence[Item],
        user: str | None,
        began: float,
    ) -> Slate:
        suggestions = tuple(
            Suggestion(
                item,
                float(ranked.logprob[n]),
                task.reasons(question, int(ranked.item_idx[n]), item, ranked.contributions[n]),
            )
            for n, item in enumerate(items)
        )
        path = (*(question.need.path if question.need else ()), *ranked.path)
        ms = 1000.0 * (time.perf_counter() - began)
        return Slate(suggestions, path, ms, question.need, user, self)


def _consistent(
    ask: Callable[[], tuple[Question, Ranked, list[Item]]],
) -> tuple[Question, Ranked, list[Item]]:
    """Ask again where an item was removed while the answer was made."""
    for _ in range(3):
        try:
            return ask()
        except UnknownItemError:
            continue
    return ask()


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int):
        raise TypeError(f"k is {k!r}; give a whole number of items")
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k is {k}; ask for 1 to {MAX_K} items")
