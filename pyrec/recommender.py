"""The recommender: one store, its models and its signals behind a few calls.

The facade that applications and the doors (`cli.py`) use. Policy lives here: what is left out, what
a history weighs, when which model is asked. The work is done in `tasks/`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from pyrec import signals, tasks
from pyrec.adapter.config import AdapterConfig
from pyrec.adapter.training import Taught, TextReport, alone, train_text
from pyrec.catalog import Catalog
from pyrec.errors import EventError, UnknownItemError
from pyrec.evaluate import EvaluateConfig, evaluate
from pyrec.evaluation import Evaluation
from pyrec.event_fields import events_of
from pyrec.event_importing import EventImportReport
from pyrec.events import EventLog
from pyrec.exporting import export_data
from pyrec.feedback import Feedback
from pyrec.fields import items_of
from pyrec.forgetting import Forgotten, forget
from pyrec.importing import ImportReport
from pyrec.indexing import IndexProgress, embed_items, weigh_phrases
from pyrec.interactions import Interactions
from pyrec.learned import Learned
from pyrec.loaded import AUTO, LoadedModels, ModelChoice
from pyrec.logged import LoggedEvaluation, evaluate_logged, taken_of
from pyrec.mixer import shipped_theta
from pyrec.paused import Paused
from pyrec.phrasebook import Phrasebook
from pyrec.prompts import Prompt, Prompts
from pyrec.questions import Questions
from pyrec.replay import read_log
from pyrec.said import Said, SaidLog
from pyrec.shown import Shown, ShownLog
from pyrec.signals.base import Question
from pyrec.steps import Steps
from pyrec.store import MEMORY, Store
from pyrec.tasks.base import Ask, Context, Task, check_user, make_ask
from pyrec.tasks.click import ClickTask
from pyrec.tasks.corrections import understand_correction
from pyrec.tasks.explain import ExplainTask
from pyrec.tasks.need import NeedTask
from pyrec.tasks.profile import ProfileTask
from pyrec.tasks.rating import RatingTask
from pyrec.tasks.recommend import RecommendTask
from pyrec.train import Progress, TrainReport, train
from pyrec.train_config import BehaviorAsked, TrainConfig
from pyrec.types import (
    Click,
    Event,
    Explanation,
    Filter,
    Item,
    Need,
    Profile,
    Rating,
    Slate,
)
from pyrec.vectors import Vectors
from pyrec.weights import Weights

T = TypeVar("T")


def open(
    path: str | Path,
    *,
    text_model: ModelChoice = AUTO,
    embedding_model: ModelChoice = AUTO,
    prompts: str | Path | None = None,
) -> Recommender:
    """Open a store and make it answer.

    Args:
        path: a SQLite file, made if there is none; `:memory:` keeps nothing.
        text_model: a name from `pyrec models list`, the path of a GGUF, "auto" for the best on
            this device, or None to go without.
        embedding_model: the same for the model that turns text into vectors.
        prompts: a TOML file whose wording replaces that of `pyrec/prompts/`, or None.

    Raises:
        StoreError: the file cannot be used.
        ModelError: a model that was named cannot be used.
        PromptError: the file of prompts has a mistake.
    """
    wording = Prompts(prompts)
    models = LoadedModels(text_model, embedding_model)
    return Recommender(Store.open(path), models, wording)


class Recommender:
    """Recommendations from one store; safe to share between threads.

    Made by `pyrec.open`. `recommend`, `similar`, `need` and `history` write nothing, and answer
    the same for the same store and models.
    """

    def __init__(self, store: Store, models: LoadedModels, prompts: Prompts | None = None) -> None:
        self.store = store
        self.catalog = Catalog(store)
        self.events = EventLog(store)
        self.models = models
        self.prompts = prompts or Prompts()
        self._book = Phrasebook(store, self.catalog)
        name = models.embedding_name
        self._vectors = Vectors(store, self.catalog, name) if name else None
        self.interactions = Interactions(self.events, self.catalog)
        self.learned = Learned(store)
        self.said = SaidLog(store)
        self.questions = Questions(
            self.catalog,
            self.events,
            self.interactions,
            self._vectors,
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
        self.questions.close()
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
        yield from weigh_phrases(self._book, self._wording("need"), self.models)
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
        k: int | None = None,
        where: Sequence[str | Filter] = (),
        include_seen: bool = False,
        generate: bool | str = False,
        diversity: float = 0.0,
        explore: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> Slate:
        """Recommend items for a question, a user, or both.

        Args:
            text: the question in plain words, any language; empty asks by history alone.
            user: whose history counts; None for nobody's.
            history: item ids that count instead, oldest first, for a visitor who is not known:
                nothing is kept of it, and ids that the catalog does not hold count nothing.
            k: how many items, 1 to 1,000; fewer come where fewer fit. None for as many as the words
                ask for ("three comedies"), else 10.
            where: conditions that each item must meet, such as `price<=300`.
            include_seen: also items that the user did something with; never disliked ones.
            generate: True lets the text model re-order the best by a beam over their titles;
                "catalog" lets it name candidates by a beam over all titles, which takes longer.
                "slate" lets the behavior model make a sequence of the list: each item answers
                what was taken and the items before it.
            diversity: how much it counts that an item is unlike those before it, 0 to 1.
            explore: the share of places that is left to chance where the weights are unsure, 0 to
                1; the list is then not the same each time.
            rng: the source of chance; None for a new one.

        Raises:
            ValueError: k, `diversity` or `explore` is out of range, `generate` is none of these, or
                both a user and a history are given.
            CatalogError: a condition that cannot be read, or names no column.
        """
        return self._answer(
            RecommendTask(self._context(), self),
            make_ask(
                text,
                user,
                history,
                where,
                k,
                include_seen=include_seen,
                generate=generate,
                diversity=diversity,
                explore=explore,
                rng=rng,
            ),
        )

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
        ask = make_ask(text, user, history, where, None, include_seen=include_seen)
        return RecommendTask(self._context()).encode(ask).question

    def similar(
        self, item_id: str, *, k: int | None = None, where: Sequence[str | Filter] = ()
    ) -> Slate:
        """Recommend items like one item.

        Raises:
            UnknownItemError: the catalog does not hold it.
            ValueError: k is out of range.
            CatalogError: a condition that cannot be read, or names no column.
        """
        ask = make_ask("", None, (), where, k, items=(item_id,))
        return self._answer(RecommendTask(self._context(), self), ask)

    def need(self, text: str, *, user: str | None = None) -> Need:
        """Say what a question means in the catalog's own words.

        Args:
            text: the question, any language.
            user: whose likes, dislikes and corrections count; None for nobody's.
        """
        return self._answer(self._need, make_ask(text, user))

    def click(self, item_ids: Sequence[str], *, user: str, **options: Any) -> list[Click]:
        """Say how likely a user says yes to each of some items.

        Args:
            item_ids: items of the catalog.
            user: whose opinions count; one who is not known is a newcomer.
            options: `place`, where in a list they will stand, from 0; `generate=True` asks the text
                model as well, which is otherwise done where its answers have a weight.

        Raises:
            UnknownItemError: the catalog does not hold one of them.
        """
        return self._answer(
            ClickTask(self._context()), make_ask(user=user, items=item_ids, **options)
        )

    def rating(self, item_ids: Sequence[str], *, user: str, **options: Any) -> list[Rating]:
        """Say how a user rates each of some items, on the scale of the store's ratings.

        Args:
            item_ids: items of the catalog.
            user: whose opinions count; one who is not known is a newcomer.
            options: `generate=True` asks the text model as well.

        Raises:
            UnknownItemError: the catalog does not hold one of them.
        """
        return self._answer(
            RatingTask(self._context()), make_ask(user=user, items=item_ids, **options)
        )

    def profile(self, user: str, *, language: str | None = None, k: int | None = None) -> Profile:
        """Say what a user is interested in, and what not.

        Args:
            user: whose events and corrections count.
            language: of the sentence, such as "zh"; None for the catalog's.
            k: how many interests and dislikes at most; None for 20.
        """
        return self._answer(
            ProfileTask(self._context()), make_ask(user=user, k=k, language=language)
        )

    def explain(
        self, item_id: str, text: str = "", *, user: str | None = None, language: str | None = None
    ) -> Explanation:
        """Say why an item stands where it does for a user, a question, or both.

        Args:
            item_id: the item.
            text: the question, empty for none.
            user: whose history counts.
            language: of the sentence; None for that of the question, else the catalog's.

        Raises:
            UnknownItemError: the catalog does not hold it.
        """
        ask = make_ask(text, user, items=(item_id,), language=language)
        return self._answer(ExplainTask(self._context()), ask)

    def ask(self, task: str | type[Task[Any, T]], text: str = "", **asked: Any) -> Any:
        """Ask any task, those of installed packages included.

        Args:
            task: its name, such as `recommend`, or one that a package offers; or its class.
            text: the words.
            asked: what else `tasks.base.Ask` holds: user, items, history, where, k; anything more
                goes to the task as its own options.

        Raises:
            UnknownTaskError: there is none with this name.
        """
        kind = tasks.find(task) if isinstance(task, str) else task
        return self._answer(kind(self._context()), make_ask(text, **asked))

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
        return self._feedback.take(Event(user, item_id, kind, value))

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

    def correct(self, user: str, text: str) -> list[Said]:
        """Take what a user says of their taste: "I don't like horror", "genres=Horror".

        It counts from the next question on, and outweighs events, until `take_back` or until the
        user says something else of the value.

        Args:
            user: any id of yours.
            text: words that name values of the catalog, or a condition with = or !=.

        Returns:
            What was understood.

        Raises:
            CatalogError: no value of the catalog is named.
        """
        make_ask(text, user)
        found = understand_correction(text, self.questions.current(), self._need)
        if user not in self._paused:
            self.said.say(user, found)
        return found

    def take_back(self, user: str, column: str, value: str) -> bool:
        """Forget what a user said of a value; tell whether there was anything."""
        return self.said.take_back(user, column, value)

    def log_shown(self, slate: Slate) -> None:
        """Log that a user saw a list, with the evidence that made it; `Slate.shown` calls this."""
        if slate.user is None or slate.user in self._paused or not len(slate):
            return
        seen = [
            Event(slate.user, each.item_id, "impression", float(place))
            for place, each in enumerate(slate)
        ]
        with self.store.transact():
            at = self.events.append_many(seen)[0].at
            if isinstance(slate.evidence, Shown):
                self.shown.add(replace(slate.evidence, user_id=slate.user, at=at))

    def undo(self, user: str) -> Event | None:
        """Take back the user's last event that is no impression, and what it taught.

        The weights go back to what they were, and what came later is learned again without it, by
        the catalog of now: some two milliseconds a step, for up to a thousand (`steps.N_BEFORE`),
        and a second for each 200,000 events of the log; others wait to write meanwhile. Where more
        was learned since, or all was trained, the weights stay.

        Returns:
            The event; None without one.
        """
        return self._feedback.undo(check_user(user))

    def pause(self, user: str) -> None:
        """Keep nothing of a user from now on: a private session, until `resume`.

        They are answered from what is known already; feedback, corrections and what is shown are
        checked, and forgotten. An imported log is kept, whoever it is of.
        """
        self._paused.add(check_user(user))

    def resume(self, user: str) -> bool:
        """Keep what a user does again; tell whether they were paused."""
        return self._paused.remove(check_user(user))

    def export_data(self, user: str) -> dict[str, Any]:
        """Return all that is kept of a user, as JSON takes it."""
        return export_data(
            check_user(user), self.events, self.said, self.shown, self.steps, self._paused
        )

    def forget(self, user: str) -> Forgotten:
        """Forget a user, with all that was learned from them, and scrub the file.

        Lists are then those of a store that never saw them, but for what others were shown
        meanwhile and for changes of the catalog. What single events taught is learned again without
        them, some two milliseconds a step, in which others wait to write; where the store was
        trained, it is trained again, which takes as long as `train`. A behavior model and an
        adapter go away until they are trained again, and a private session ends. Files that were
        exported and backups are yours to delete.

        Raises:
            StoreBusyError: another process trains or reads for too long; call it again.
            StoreError: the file cannot be written anew; call it again.
        """
        parts = self.store, check_user(user), self.learned, self.steps, self._feedback
        return forget(*parts, self.train)

    def history(self, user: str, limit: int | None = None) -> list[Event]:
        """Return a user's events, the newest last; impressions are left out."""
        kinds = ("click", "like", "dislike", "purchase", "rating", "skip")
        return self.events.history(user, limit, kinds)

    # How an answer is made

    def _answer(self, task: Task[Any, T], ask: Ask) -> T:
        """Ask again where an item was removed while the answer was made."""
        if unknown := ask.options.keys() - task.options:
            options = ", ".join(sorted(task.options)) or "none"
            raise TypeError(f"{task.name} has no option {min(unknown)!r}; it knows {options}")
        for item_id in ask.items:
            self.catalog.idx(item_id)  # an item that is asked about has to be there
        for _ in range(3):
            try:
                return task(ask)
            except UnknownItemError:
                if -1 in self.catalog.idxs(ask.items):
                    raise
        return task(ask)

    def _wording(self, use: str) -> Prompt:
        return self.prompts.load(self.catalog.language, use)
