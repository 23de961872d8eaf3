"""The recommender: one store, its models and its signals behind a few calls.

The facade that applications and the doors (`cli.py`) use. Policy lives here: what is left out, what
a history weighs, when which model is asked. The work is done in `tasks/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pyrec import tasks
from pyrec.errors import UnknownItemError
from pyrec.fields import items_of
from pyrec.importing import ImportReport
from pyrec.indexing import IndexProgress, embed_items, read_states, weigh_phrases
from pyrec.loaded import AUTO, LoadedModels, ModelChoice
from pyrec.people import People
from pyrec.prompts import Prompt, Prompts
from pyrec.signals.base import Question
from pyrec.store import Store
from pyrec.tasks.base import Ask, Task, make_ask
from pyrec.tasks.click import ClickTask
from pyrec.tasks.explain import ExplainTask
from pyrec.tasks.profile import ProfileTask
from pyrec.tasks.rating import RatingTask
from pyrec.tasks.recommend import RecommendTask
from pyrec.types import (
    Click,
    Explanation,
    Filter,
    Item,
    Need,
    Profile,
    Rating,
    Slate,
)

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


class Recommender(People):
    """Recommendations from one store; safe to share between threads.

    Made by `pyrec.open`. `recommend`, `similar`, `need` and `history` write nothing, and answer
    the same for the same store and models.
    """

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
        """Compute vectors, what phrases are worth, and what the text model says of each item.

        It can be stopped at any time, and goes on from there.

        Nothing is done until the result is walked. What is done is kept, batch by batch.

        Args:
            n_vectors: stop where each model read so many items, in the order they were imported;
                None for all.
        """
        self._book.refresh()
        yield from weigh_phrases(self._book, self._wording("need"), self.models)
        if self._vectors is not None:
            yield from embed_items(self._vectors, self.models, n_vectors)
        states = self._states.of(self.catalog.language)
        if states is not None:
            yield from read_states(states, self.models, n_vectors)

    @property
    def n_vectors(self) -> int:
        """How many items have a vector of the embedding model in use."""
        return self._vectors.count() if self._vectors else 0

    @property
    def n_read(self) -> int:
        """How many items the text model in use has read."""
        states = self._states.of(self.catalog.language)
        return states.count() if states else 0

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
