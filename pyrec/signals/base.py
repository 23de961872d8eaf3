"""What a signal is, and the encoded question that signals read.

A signal is the one extension point of ranking: it names candidates (`admit`) and scores a pool
(`score`). Most score the whole catalog in one kernel call; `CatalogSignal` turns such a function
into both. Packages add signals through the entry point group `pyrec.signals`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.behavior.running import Behavior, Stream
from pyrec.deep import DeepState
from pyrec.index import Index
from pyrec.interactions import Crowd
from pyrec.linear_model import LinearModel
from pyrec.lm import TextModel
from pyrec.prompts import Prompts
from pyrec.types import Filter, Item, Need, Phrase

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Past:
    """One thing of the user's history that counts.

    The weight lies in [-1, 1], negative for a dislike; each signal lets it fade with the age, which
    counts how many liked things came later. `text` is the title and the values of the item's
    attributes.
    """

    item_idx: int
    weight: float
    title: str
    text: str
    age: int = 0


@dataclass
class Question:
    """A question as signals read it, for one call; made by `questions.py`.

    Attributes:
        index: the catalog's arrays, one consistent state.
        mask: (n_items,) uint8, 1 where an item may be recommended.
        titles: rows to their titles.
        having: conditions to the rows that meet them, (n_items,) uint8 or longer.
        need: what the words mean, None without words.
        vector: (dim,) float32 unit vector of the words, None without words or embedding model.
        model: the text model, None without one.
        history: the newest of the user's past, oldest first; empty for a newcomer.
        crowd: what all users took, None where nothing is known of any.
        taken: (n,) int32 item numbers of `crowd` that the user took and did not dislike, oldest
            first; all of them, where `history` is the newest.
        ages: (n,) float32, how many steps of time before the newest each was.
        linear: the linear item model by item numbers, None where none was fitted.
        stream: the newest of what the user took, with how, for the behavior model; a low rating
            too, but nothing that was disliked.
        behavior: the behavior model, None where none was trained.
        deep: the network over what the other signals say, None where none was trained.
        trouble: why something that was set up is left out, for people to read; empty for nothing.
        scores: of the whole catalog by signal, computed once per question.
        mask_by_number: `mask` in the order of `crowd`, once a signal has asked.
        past_terms: the newest of `history` with the idf of their terms, once a signal has read
            them.
        takers: the newest of `history` with the users who took each, once a reason was asked for.
        companions: item_idx to the title that `takers` say goes with it, as reasons are asked for.
        generated: item_idx to probability, once the `titles` signal has run.
        unanswered: item_idx to how many times it was shown to a user who did nothing with it.
        own: by signal what the user's own weights add; empty for nobody's.
        avoid: what is to be kept away: values of columns, or words.
        want: values that the user said they like.
        prompts: the wording of what the text model is asked.
        output: (width + 1,) float32, what the words come out of the text model by, then what its
            total counts; None without words, or where it read no item.
    """

    index: Index
    mask: U8
    titles: Callable[[I32], Sequence[str]]
    having: Callable[[Sequence[Filter]], U8]
    need: Need | None = None
    vector: F32 | None = None
    model: TextModel | None = None
    history: Sequence[Past] = ()
    crowd: Crowd | None = None
    taken: I32 = field(default_factory=lambda: np.empty(0, np.int32))
    ages: F32 = field(default_factory=lambda: np.empty(0, np.float32))
    linear: LinearModel | None = None
    stream: Stream = ()
    behavior: Behavior | None = None
    deep: DeepState | None = None
    trouble: str = ""
    scores: dict[str, F32 | None] = field(default_factory=dict, repr=False)
    mask_by_number: U8 | None = field(default=None, repr=False)
    past_terms: list[tuple[Past, dict[int, float]]] | None = field(default=None, repr=False)
    takers: list[tuple[str, set[int]]] | None = field(default=None, repr=False)
    companions: dict[int, str] = field(default_factory=dict, repr=False)
    generated: dict[int, float] | None = field(default=None, repr=False)
    unanswered: Mapping[int, int] = field(default_factory=dict)
    own: Mapping[str, Sequence[float]] = field(default_factory=dict)
    avoid: Sequence[Phrase] = ()
    want: Sequence[Phrase] = ()
    prompts: Prompts = field(default_factory=Prompts, repr=False)
    output: F32 | None = None

    @property
    def has_words(self) -> bool:
        """Whether something was asked in words."""
        return self.need is not None and bool(self.need.text)


class Signal(Protocol):
    """How well items fit a question, in the signal's own unit; higher is better.

    Attributes:
        name: unique; θ is kept by this name.
    """

    name: str

    def admit(self, question: Question, n: int) -> I32:
        """Name at most n candidates that pass the mask, best first; none where it knows none."""
        ...

    def score(self, question: Question, pool: I32) -> F32:
        """Score a pool: (len(pool),) float32, NaN where unknown, 0 where known not to fit."""
        ...

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Say in a few words what it saw in this item, for people to read; empty for nothing."""
        ...


class CatalogSignal:
    """A signal that scores the whole catalog at once."""

    name: str

    def scores(self, question: Question) -> F32 | None:
        """Score all items, (n_items,) float32; None where the question gives nothing to go by."""
        raise NotImplementedError

    def admit(self, question: Question, n: int) -> I32:
        """Name the n best items with a positive score."""
        scores = self._once(question)
        if scores is None:
            return np.empty(0, np.int32)
        idx, values = _core.topk(scores, n, question.mask)
        return idx[values > 0]

    def score(self, question: Question, pool: I32) -> F32:
        """Look the pool up in the scores of the catalog."""
        scores = self._once(question)
        if scores is None:
            return np.full(len(pool), np.nan, np.float32)
        return scores[pool]

    def _once(self, question: Question) -> F32 | None:
        if self.name not in question.scores:
            question.scores[self.name] = self.scores(question)
        return question.scores[self.name]
