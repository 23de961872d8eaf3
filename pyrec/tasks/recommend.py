"""The recommend task: which items answer a question.

X is the encoded question, Y the pool that the signals name (`ranking.py`). Where the text model has
a weight, a beam over the best titles has the last word. `similar` is the same task, asked about an
item.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec.mixer import FEATURES, Mixed, depth_features, depth_of
from pyrec.ranking import Ranker, shares_of
from pyrec.shown import Shown, shares_in_pool
from pyrec.signals.base import Question
from pyrec.signals.titles import rerank
from pyrec.tasks import diversity
from pyrec.tasks.base import MAX_K, Answers, Ask, Context, Task
from pyrec.tasks.explore import N_HEAD, explore
from pyrec.tasks.slates import generate
from pyrec.types import Slate, SlateActions, Suggestion

I32 = npt.NDArray[np.int32]

K = 10
"""How many items come where neither the caller nor the words say."""


@dataclass(frozen=True)
class RecommendConfig:
    """How to make a list.

    Attributes:
        n_titles: how many of the best the beam walks.
        num_beams: branches of that beam; it is at least k wide.
        fitting: where an order was asked for ("cheapest"), it is among items at least this times as
            probable as the best one; the others follow.
    """

    n_titles: int = 50
    num_beams: int = 5
    fitting: float = 0.05


@dataclass(frozen=True)
class Asked:
    """X: the question, what was asked for besides, and when it began (`time.perf_counter`)."""

    question: Question
    ask: Ask
    k: int
    began: float


class RecommendTask(Task[Asked, Slate]):
    """Ranks items for a question, a user, or an item that they shall be like.

    Args:
        context: what there is.
        actions: what a slate's own calls go to.
        config: how to make a list.
    """

    name = "recommend"
    options = frozenset(("generate", "diversity", "explore", "rng"))

    def __init__(
        self,
        context: Context,
        actions: SlateActions | None = None,
        config: RecommendConfig | None = None,
    ) -> None:
        super().__init__(context)
        self.config = config or RecommendConfig()
        self._actions = actions

    def encode(self, ask: Ask) -> Asked:
        """Encode the question, for the items given or for words and a user."""
        began = time.perf_counter()
        _check(ask.options)
        questions = self.context.questions
        if ask.items:
            question = questions.like(ask.items[0], ask.where)
        else:
            question = questions.ask(
                ask.text,
                ask.user,
                ask.history,
                ask.where,
                include_seen=ask.include_seen,
                asks=self.context.weights.asks,
            )
        question.prompts = self.context.prompts
        wished = question.need.n if question.need else None
        if question.has_words and (self._generate(ask) or self._theta(ask) > 0.0):
            question.model = self.context.models.titles()
        return Asked(question, ask, ask.k or min(wished or K, MAX_K), began)

    def answers(self, x: Asked) -> Answers:
        """Return the pool, (n,) int32 rows of the catalog."""
        ranker = self._ranker(x.ask)
        pool = ranker.answers(x.question)
        return Answers(pool.tolist(), ranker.values(x.question, pool))

    def mix(self, x: Asked, answers: Answers) -> Mixed:
        """Weigh by the depth of the history, less of it beside words."""
        return self._ranker(x.ask).mix(x.question, answers.values)

    def parse(self, x: Asked, answers: Answers, mixed: Mixed) -> Slate:
        """Order the pool, let the beam or the order asked for have its say, and give reasons."""
        question, pool = x.question, np.asarray(answers.choices, np.int32)
        order = np.lexsort((pool, -mixed.logprob))
        path = list(question.need.path if question.need else ())
        if question.vector is not None:
            path.append("meaning, as no item says half of these words")
        if len(pool):
            path.append(f"{len(pool)} candidates")
        if question.trouble:
            path.append(question.trouble)
        if self._generate(x.ask) == "slate":
            places = generate(question, self._ranker(x.ask), pool, answers.values, x.k)
            if places is None:
                path.append(
                    "no list generated: no behavior model that counts and knows this history"
                )
            else:
                rest = [n for n in order.tolist() if n not in set(places)]
                order = np.array([*places, *rest], np.int64)
                path.append("list by beam, each item after those before it")
        elif self._theta(x.ask) > 0.0 and question.model is not None and len(pool):
            order = self._beam(x, pool, mixed, order)
            path.append(f"titles by beam{self._how()}")
        elif self._generate(x.ask) and question.model is None:
            why = "no text model" if x.ask.text.strip() else "no question"
            path.append(f"no titles generated: {why}")
        if question.need is not None and question.need.order and len(pool):
            order = self._ordered(question.need.order, pool, mixed, order)
            path.append(f"in the order of {question.need.order}")
        if x.ask.options.get("diversity"):
            order = self._diverse(x, pool, mixed, order)
            path.append("each unlike those before it")
        ranker = self._ranker(x.ask)
        propensities = None
        if x.ask.options.get("explore") and len(pool):
            order, propensities = self._explore(x, answers, order)
            path.append(f"{x.ask.options['explore']:.0%} of the places left to chance")
        best = order[: x.k]
        suggestions = tuple(
            Suggestion(
                item,
                float(mixed.logprob[n]),
                ranker.reasons(question, int(pool[n]), item, mixed.contributions[n]),
            )
            for n, item in zip(best, self.context.catalog.items(pool[best]), strict=True)
        )
        ms = 1000.0 * (time.perf_counter() - x.began)
        evidence = None
        if x.ask.user is not None and len(best):
            kept = best if propensities is None else order[: max(N_HEAD, x.k)]
            evidence = self._evidence(x, answers, mixed, kept, len(best), propensities)
        made_for = question.need, x.ask.user, self._actions, evidence
        return Slate(suggestions, tuple(path), ms, *made_for)

    def _diverse(
        self, x: Asked, pool: I32, mixed: Mixed, order: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        head = order[: max(diversity.N_HEAD, 5 * x.k)]
        items = self.context.catalog.items(pool[head])
        likeness = diversity.likeness_of(items, pool[head], x.question.index)
        share = float(x.ask.options["diversity"])
        fit = np.minimum.accumulate(mixed.logprob[head])  # a beam may have had its say on the order
        places = diversity.diversify(fit, likeness, share, x.k)
        return np.concatenate([head[places], order[len(head) :]])

    def _explore(
        self, x: Asked, answers: Answers, order: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], tuple[float, ...]]:
        question, mixer = x.question, self._ranker(x.ask).mixer
        head = order[: max(N_HEAD, x.k)]
        weighs = np.repeat(shares_of(mixer.names, words=question.has_words), len(FEATURES))
        depth = depth_of(len(question.taken))
        phi = depth_features(shares_in_pool(answers.values), depth)[head] * weighs
        unsure = 1.0 / np.sqrt(self.context.steps.squares(mixer.names))
        rng = x.ask.options.get("rng")
        rng = np.random.default_rng() if rng is None else rng
        share = float(x.ask.options["explore"])
        found = explore(phi, mixer.added(question.own), unsure, x.k, share, rng)
        order = np.concatenate([head[list(found.order)], order[len(head) :]])
        return order, found.propensities

    def _evidence(
        self,
        x: Asked,
        answers: Answers,
        mixed: Mixed,
        kept: npt.NDArray[np.int64],
        n_shown: int,
        propensities: tuple[float, ...] | None,
    ) -> Shown:
        pool = np.asarray(answers.choices, np.int32)
        return Shown(
            self._ranker(x.ask).mixer.names,
            depth_of(len(x.question.taken)),
            x.question.has_words,
            tuple(item.item_id for item in self.context.catalog.items(pool[kept])),
            n_shown,
            mixed.logprob[kept],
            shares_in_pool(answers.values)[kept],
            propensities,
            self.context.weights.version,
        )

    def _how(self) -> str:
        models = self.context.models
        if models.adapted:
            return f", by {models.text_name} as adapted to this store"
        return f" ({models.trouble})" if models.trouble else ""

    def _generate(self, ask: Ask) -> bool | str:
        generate: bool | str = ask.options.get("generate", False)
        return generate

    def _theta(self, ask: Ask) -> float:
        return self.context.weights.of_titles(forced=self._generate(ask) is True)

    def _ranker(self, ask: Ask) -> Ranker:
        weights = self.context.weights
        return weights.generating if self._generate(ask) == "catalog" else weights.ranker

    def _beam(
        self, x: Asked, pool: npt.NDArray[np.int32], mixed: Mixed, order: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        head = order[: max(self.config.n_titles, x.k)]
        titles = x.question.titles(pool[head])
        width = max(self.config.num_beams, x.k)
        theta = self._theta(x.ask)
        generated = rerank(x.question, titles, mixed.logprob[head], theta, width, x.k)
        first = [int(a.index) for a in generated]
        # What the beam pruned keeps its mix order behind what it kept.
        rest = [n for n in range(len(head)) if n not in set(first)]
        return np.concatenate([head[first + rest], order[len(head) :]])

    def _ordered(
        self,
        column: str,
        pool: npt.NDArray[np.int32],
        mixed: Mixed,
        order: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Put what fits in the order of a column, what has no number of it last."""
        sign = -1.0 if column.startswith("-") else 1.0
        numbers = sign * self.context.catalog.numbers(column.lstrip("-"))[pool[order]]
        best = mixed.logprob[order[0]]
        fits = mixed.logprob[order] >= best + np.log(self.config.fitting)
        places = np.arange(len(order))
        return order[np.lexsort((places, np.nan_to_num(numbers, nan=np.inf), ~fits))]


def _check(options: Mapping[str, Any]) -> None:
    """Refuse options that make no sense."""
    generate = options.get("generate", False)
    if generate not in (False, True, "catalog", "slate"):
        raise ValueError(f"generate is {generate!r}; use False, True, 'catalog' or 'slate'")
    for name in ("diversity", "explore"):
        share = options.get(name, 0.0)
        if not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
            raise ValueError(f"{name} is {share!r}; give a share from 0 to 1")
    rng = options.get("rng")
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {rng!r}; give a numpy.random.Generator, or None")
