"""What a signal is, and the encoded question that signals read.

A signal is the one extension point of ranking: it names candidates (`admit`) and scores a pool
(`score`). Most score the whole catalog in one kernel call; `CatalogSignal` turns such a function
into both. Packages add signals through the entry point group `pyrec.signals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.index import Index
from pyrec.lm import TextModel
from pyrec.types import Filter, Item, Need

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Past:
    """One thing of the user's history that counts.

    The weight lies in [-1, 1]: decayed by age, negative for a dislike. `text` is the title and the
    values of the item's attributes.
    """

    item_idx: int
    weight: float
    title: str
    text: str


@dataclass
class Question:
    """A question as signals read it, for one call; made by `tasks/recommend.py`.

    Attributes:
        index: the catalog's arrays, one consistent state.
        mask: (n_items,) uint8, 1 where an item may be recommended.
        titles: rows to their titles.
        having: conditions to the rows that meet them, (n_items,) uint8 or longer.
        need: what the words mean, None without words.
        vector: (dim,) float32 unit vector of the words, None without words or embedding model.
        model: the text model, None without one.
        history: the user's past, oldest first; empty for a newcomer.
        scores: of the whole catalog by signal, computed once per question.
        generated: item_idx to probability, once the `titles` signal has run.
    """

    index: Index
    mask: U8
    titles: Callable[[I32], Sequence[str]]
    having: Callable[[Sequence[Filter]], U8]
    need: Need | None = None
    vector: F32 | None = None
    model: TextModel | None = None
    history: Sequence[Past] = ()
    scores: dict[str, F32 | None] = field(default_factory=dict, repr=False)
    generated: dict[int, float] | None = field(default=None, repr=False)


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
