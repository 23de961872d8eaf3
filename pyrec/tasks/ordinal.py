"""Answers on a scale: no and yes (`click.py`), one to five stars (`rating.py`).

X is what a user thinks of other items, Y a level of the scale, as an opinion from -1 to 1. Signals
that speak for a higher or a lower opinion fit a level in proportion to it, signals that know how
often levels are given fit them by their share; the mixer makes one probability of both. So the two
tasks are one, and what they learn is shared (`train_opinions.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from pyrec.index import Index
from pyrec.lm import TextModel
from pyrec.mixer import Mixed, depth_of
from pyrec.opinion_state import OpinionState
from pyrec.opinions import KINDS, Person, read_person
from pyrec.questions import Questions
from pyrec.signals.content import signed_cosines
from pyrec.tasks.base import Answers, Ask, Task
from pyrec.tasks.yes_no import ask_yes, told_titles
from pyrec.types import Reason

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
R = TypeVar("R")

SIGNALS = (
    "usual",
    "habit",
    "normal",
    "item",
    "user",
    "taste",
    "feature",
    "words",
    "meaning",
    "model",
    "place",
)
"""usual: how often anyone gives the level. habit: how often the user does. normal: how likely it is
around what the factors expect. item, user, taste, feature: `OpinionModel.evidence`. words, meaning:
what the user thinks of items with such words, of such a meaning. model: the text model's yes less
its no. place: how far up in a list it stands, which only clicks depend on."""
_TOLD = {
    "usual": "what people usually say",
    "habit": "what the user usually says",
    "normal": "what is expected of user and item",
    "item": "what others think of it",
    "user": "how the user judges beside others",
    "taste": "what people of like taste think of it",
    "feature": "what the user thinks of things of its kind",
    "words": "what the user thinks of things with such words",
    "meaning": "what the user thinks of things of such meaning",
    "model": "what the text model thinks",
    "place": "its place in the list",
}
_SPREAD = 10.0
"""Evidence of an opinion, in units of `OpinionModel.evidence`, that makes a level fit fully."""
_HABIT = 20.0
"""For how many opinions what anyone does stands in a user's own habit."""
_UNLIKE = 0.1
"""How much likeness without an opinion stands against the likeness to what a user knows."""
_LIKING = 4.0
"""What a full liking is worth, in the units of `_SPREAD`."""
N_EVENTS = 1000
"""How many of a user's newest events count, impressions aside."""
N_LIKENED = 50
"""How many of the newest opinions words and meaning are compared with."""
LEAST_TOLD = 0.01
"""What moves an answer by less is no reason."""


@dataclass(frozen=True)
class Levels:
    """The answers: opinions (n,) float32 ascending, how often anyone gives each, what was said.

    Attributes:
        said: (m,) int, the level of each of the user's opinions.
    """

    opinions: F32
    shares: F32
    said: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """X: who is asked about what, and all that is known of them.

    Attributes:
        rows: (n,) int32 rows of the catalog.
        likeness: (n, 2) float32, what the user thinks of items with such words and such a meaning.
        places: (n,) float32 places in a list, NaN where unknown.
        yes: (n,) float32, the text model's log P(yes) - log P(no), NaN without one.
    """

    ids: tuple[str, ...]
    rows: I32
    person: Person
    state: OpinionState
    index: Index
    levels: Levels
    likeness: F32
    places: F32
    yes: F32
    path: tuple[str, ...] = ()


class OrdinalTask(Task[Asked, list[R]]):
    """How a user answers on a scale, for each of some items."""

    signals = SIGNALS
    options = frozenset(("place", "generate"))
    uses_place: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def levels_of(person: Person, state: OpinionState) -> Levels:
        """Return the scale, and what the user said on it."""

    @abstractmethod
    def result(self, x: Asked, place: int, shares: F32, reasons: tuple[Reason, ...]) -> R:
        """Make the result for one item of its level's probabilities."""

    def encode(self, ask: Ask) -> Asked:
        """Read what the user thinks, and let the text model say yes or no."""
        context = self.context
        index = context.questions.current()
        state = context.learned.opinions()
        rows = context.catalog.idxs(ask.items)
        person = self._person(ask, state)
        yes = np.full(len(rows), np.nan, np.float32)
        path = [
            f"{len(person.values)} opinions of the user" if len(person.values) else "a newcomer"
        ]
        path.append("opinions of all" if state.trained else "not trained yet: `pyrec train`")
        if self._asks_model(ask):
            model = context.models.text()
            path.append(f"yes or no by {context.models.text_name}" if model else "no text model")
            yes = yes if model is None else self._yes(model, person, rows)
        place = ask.options.get("place")
        if place is not None and not (isinstance(place, int) and place >= 0):
            raise ValueError(f"place is {place!r}; give a place in a list, from 0, or None")
        known = place is not None and self.uses_place
        places = np.full(len(rows), place if known else np.nan, np.float32)
        likeness = likeness_of(context.questions, index, person, rows)
        levels = self.levels_of(person, state)
        return Asked(
            ask.items, rows, person, state, index, levels, likeness, places, yes, tuple(path)
        )

    def answers(self, x: Asked) -> Answers:
        """Give each item the levels of the scale, one item after the other."""
        values = evidence(x)
        n_levels = len(x.levels.opinions)
        groups = np.arange(len(x.rows) + 1, dtype=np.int64) * n_levels
        return Answers(x.ids, values, groups, depth_of(len(x.person.values)))

    def parse(self, x: Asked, answers: Answers, mixed: Mixed) -> list[R]:
        """Turn each item's levels into a result."""
        n_levels = len(x.levels.opinions)
        shares = np.exp(mixed.logprob).reshape(-1, n_levels)
        parts = mixed.contributions.reshape(len(x.rows), n_levels, len(SIGNALS))
        return [
            self.result(x, n, shares[n], _reasons(parts[n], x.levels, len(x.person.values)))
            for n in range(len(x.rows))
        ]

    def _person(self, ask: Ask, state: OpinionState) -> Person:
        if ask.history:
            known = dict.fromkeys(ask.history, 1.0)
        elif ask.user is not None:
            events = self.context.events.history(ask.user, N_EVENTS, KINDS[:-1])
            known = read_person(((e.item_id, e.kind, e.value) for e in events), state.scale)
        else:
            known = {}
        # What is thought of the items asked about is what is asked.
        known = {item: value for item, value in known.items() if item not in ask.items}
        rows = self.context.catalog.idxs(known)
        return Person(rows, np.array(list(known.values()), np.float32))

    def _asks_model(self, ask: Ask) -> bool:
        weight = self.context.weights.of_task(self.name).get("model", ())
        return bool(ask.options.get("generate")) or any(weight)

    def _yes(self, model: TextModel, person: Person, rows: I32) -> F32:
        language = self.context.questions.current().language
        liked, disliked = told_titles(self.context.questions.titles, person)
        titles = self.context.questions.titles(rows)
        return ask_yes(model, self.context.prompts, language, liked, disliked, titles)


def evidence(x: Asked) -> F32:
    """Say how well each level fits each item: (n * n_levels, n_signals) float32, NaN if unknown."""
    levels, known = x.levels, x.person.rows >= 0
    number = x.state.numbers(x.rows)
    mine, values = x.state.numbers(x.person.rows[known]), x.person.values[known]
    n, n_levels = len(x.rows), len(levels.opinions)
    out = np.full((n, n_levels, len(SIGNALS)), np.nan, np.float32)
    out[:, :, 0] = levels.shares / levels.shares.max()
    habit = np.bincount(levels.said, minlength=n_levels) + _HABIT * levels.shares
    out[:, :, 1] = habit / habit.max()
    scalars = np.full((n, 7), np.nan, np.float32)
    scalars[:, 4:6] = x.likeness
    scalars[:, 6] = x.yes
    if x.state.trained:
        model = x.state.model
        scalars[:, :4] = model.evidence(mine, values, number)
        share = np.maximum(levels.shares, 1e-6)
        levels_told = model.level_evidence(mine, values, number, levels.opinions, share)
        normal = np.exp(levels_told[:, :, 1])
        out[:, :, 2] = normal / normal.max(axis=1, keepdims=True)
    fits = 0.5 + levels.opinions[None, :, None] * scalars[:, None, :] / (2.0 * _SPREAD)
    out[:, :, 3:10] = np.clip(fits, 0.0, 1.0)
    out[:, :, 10] = (levels.opinions > 0) / np.log2(2.0 + x.places)[:, None]
    return out.reshape(n * n_levels, len(SIGNALS))


def likeness_of(questions: Questions, index: Index, person: Person, pool: I32) -> F32:
    """Return what a user thinks of items with such words, and of such a meaning, (n, 2) float32.

    Opinions of the newest items, less the user's mean, weighed by how like each is.
    """
    out = np.full((len(pool), 2), np.nan, np.float32)
    kept = np.flatnonzero((person.rows >= 0) & (person.rows < index.n_items))[-N_LIKENED:]
    if not len(kept) or (pool < 0).any() or (pool >= index.n_items).any():
        return out
    rows, values = person.rows[kept], person.values[kept]
    rest = (values - values.sum() / (len(values) + 1.0)).astype(np.float32)
    out[:, 0] = signed_cosines(index, questions.descriptions(rows), rest)[pool]
    known, asked = index.has_vector[rows] != 0, index.has_vector[pool] != 0
    if known.any() and asked.any():
        mine = index.vectors_of(rows[known].tolist())
        near = index.vectors_of(pool[asked].tolist()) @ mine.T
        # Cosines of such models crowd together: what counts is how far one is above the usual.
        near = np.maximum((near - index.usual_cosine) / (1.0 - index.usual_cosine), 0.0) ** 2
        out[asked, 1] = _LIKING * (near @ rest[known]) / (near.sum(axis=1) + _UNLIKE)
    return out


def _reasons(parts: F32, levels: Levels, n_known: int) -> tuple[Reason, ...]:
    """Say which signals raise or lower the opinion, the strongest first.

    A contribution is what a signal adds to the log-odds of the highest against the lowest level.
    """
    weights = parts[int(levels.opinions.argmax())] - parts[int(levels.opinions.argmin())]
    if not n_known:
        # Of a newcomer there is no habit: what stands there is what people usually say.
        usual, habit = SIGNALS.index("usual"), SIGNALS.index("habit")
        weights[usual] += weights[habit]
        weights[habit] = 0.0
    order = np.argsort(-np.abs(weights), kind="stable")
    return tuple(
        Reason(SIGNALS[n], float(weights[n]), _TOLD[SIGNALS[n]])
        for n in order[:3]
        if abs(weights[n]) > LEAST_TOLD
    )
