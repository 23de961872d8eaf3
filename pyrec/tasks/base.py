"""What a task is: P(Y | X; theta) over answers that exist.

A task encodes what was asked (X), lists the answers that there are with what its signals say of
each (Y), and parses the mixer's probabilities into a typed result. Recommend, need, click, rating,
profile and explain are such tasks; packages add others through the entry point group `pyrec.tasks`
(`examples/which_shelf.py`), and `Recommender.ask` finds each by its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.learned import Learned
from pyrec.loaded import LoadedModels
from pyrec.mixer import Mixed, Mixer
from pyrec.phrasebook import Phrasebook
from pyrec.prompts import Prompts
from pyrec.questions import Questions
from pyrec.steps import Steps
from pyrec.store import is_text
from pyrec.types import Filter
from pyrec.weights import Weights

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
X = TypeVar("X")
R = TypeVar("R")

MAX_K = 1000


@dataclass(frozen=True)
class Ask:
    """What is asked of a task; each reads what concerns it.

    Attributes:
        text: words, in any language; empty for none.
        user: whose history counts; None for nobody's.
        items: ids of the items that it is about.
        history: ids of the items that count as a past instead of a user's, oldest first.
        where: conditions on items.
        k: how many answers are wanted; None leaves it to the words and the task.
        include_seen: also items that the user did something with.
        options: what only this task knows.
    """

    text: str = ""
    user: str | None = None
    items: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    where: tuple[str | Filter, ...] = ()
    k: int | None = None
    include_seen: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What tasks work with: one store, its models, and the weights in use."""

    catalog: Catalog
    events: EventLog
    book: Phrasebook
    models: LoadedModels
    learned: Learned
    questions: Questions
    prompts: Prompts
    weights: Weights
    steps: Steps


@dataclass(frozen=True)
class Answers:
    """The closed set of answers, and what the signals say of each.

    Attributes:
        choices: (n,) the answers: item rows, values, levels of a scale.
        values: (n, n_signals) float32, 1 for a full fit, 0 for none, NaN where unknown.
        groups: (n_questions + 1,) int64 where each question's answers begin; None for one question.
        context: 0 to 1, how much is known of the user (`mixer.depth_of`).
    """

    choices: Sequence[Any]
    values: F32
    groups: I64 | None = None
    context: float = 0.0


class Task(ABC, Generic[X, R]):
    """One kind of question.

    Attributes:
        name: how it is called, and its weights are kept.
        signals: what the columns of its values are, in order.
        options: names of `Ask.options` that it knows.
    """

    name: ClassVar[str]
    signals: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def encode(self, ask: Ask) -> X:
        """Turn what was asked into X."""

    @abstractmethod
    def answers(self, x: X) -> Answers:
        """List the answers that exist, with what the signals say of each."""

    @abstractmethod
    def parse(self, x: X, answers: Answers, mixed: Mixed) -> R:
        """Turn log-probabilities into the result."""

    def mix(self, x: X, answers: Answers) -> Mixed:
        """Turn the signals' values into log-probabilities, by the weights of this task.

        Where none were learned and none come with pyrec, all signals count alike.
        """
        alike = dict.fromkeys(self.signals, (0.0, 1.0))
        mixer = Mixer(self.signals, self.context.weights.of_task(self.name) or alike)
        return mixer.mix(answers.values, answers.context, groups=answers.groups)

    def __call__(self, ask: Ask) -> R:
        """Answer: encode, list the answers, weigh them, parse."""
        x = self.encode(ask)
        answers = self.answers(x)
        return self.parse(x, answers, self.mix(x, answers))


def check_user(user: str) -> str:
    """Return a user's id.

    Raises:
        TypeError: it is no string.
        ValueError: it is empty, or no text.
    """
    if not isinstance(user, str):
        raise TypeError(f"user is {user!r}; give a string")
    if not (user.strip() and is_text(user)):
        raise ValueError(f"user {user!r} is no id; give a string that is not empty")
    return user


def make_ask(
    text: str = "",
    user: str | None = None,
    history: Sequence[str] = (),
    where: Sequence[str | Filter] = (),
    k: int | None = None,
    *,
    items: Sequence[str] = (),
    include_seen: bool = False,
    **options: Any,
) -> Ask:
    """Check what is asked of a task, and put it in order.

    Raises:
        TypeError: an argument of another type.
        ValueError: k is out of range, the user is no id, or both a user and a history are given.
    """
    if k is not None and (isinstance(k, bool) or not isinstance(k, int)):
        raise TypeError(f"k is {k!r}; give a whole number of items")
    if k is not None and not 1 <= k <= MAX_K:
        raise ValueError(f"k is {k}; ask for 1 to {MAX_K} items")
    for name, ids in (("history", history), ("items", items)):
        if isinstance(ids, str):
            raise TypeError(f"{name} is {ids!r}; give a list of item ids")
    if user is not None and history:
        raise ValueError("give a user, whose history is known here, or a history, not both")
    if not isinstance(text, str):
        raise TypeError(f"text is {text!r}; give a string")
    if user is not None:
        check_user(user)
    if not all(isinstance(i, str) for i in (*items, *history)):
        raise TypeError(f"items {[*items, *history]!r} are no list of item ids; give strings")
    return Ask(text, user, tuple(items), tuple(history), tuple(where), k, include_seen, options)
