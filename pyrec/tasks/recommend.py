"""The recommend task: which items answer a question, P(item | question; theta).

Each signal names candidates and scores the pool; the mixer turns the scores into one probability;
where the text model has a weight, a beam over the best titles has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec.mixer import Mixed, Mixer, depth_of
from pyrec.signals.base import F32, I32, Question, Signal
from pyrec.signals.titles import rerank
from pyrec.types import Item, Reason

_OF_CROWD = ("after", "near", "next", "beside", "together", "linear", "linear_recent")
HISTORY = frozenset(("content", "dense_history", *_OF_CROWD))
"""The signals that read the user's past."""
BESIDE_WORDS = 0.35
"""How much of their weights counts where something was asked in words: these come first. By hand;
no data set here has both."""


@dataclass(frozen=True)
class RecommendConfig:
    """How to make a list.

    Attributes:
        n_admit: candidates that each signal may name.
        max_pool: candidates in all.
        n_titles: how many of the best the beam walks.
        num_beams: branches of that beam; it is at least k wide.
        n_reasons: reasons given with each item.
    """

    n_admit: int = 100
    max_pool: int = 1000
    n_titles: int = 50
    num_beams: int = 5
    n_reasons: int = 3


@dataclass(frozen=True)
class Ranked:
    """Items in order: item_idx (n,), logprob (n,), contributions (n, n_signals), and the steps."""

    item_idx: I32
    logprob: F32
    contributions: F32
    path: tuple[str, ...]


class RecommendTask:
    """Ranks items for encoded questions.

    Args:
        signals: in the order of the mixer's names.
        mixer: theta for these signals.
    """

    def __init__(
        self, signals: Sequence[Signal], mixer: Mixer, config: RecommendConfig | None = None
    ) -> None:
        if tuple(s.name for s in signals) != mixer.names:
            raise ValueError(f"mixer of {mixer.names} for {[s.name for s in signals]}")
        self.signals = tuple(signals)
        self.mixer = mixer
        self.config = config or RecommendConfig()

    def answers(self, question: Question) -> I32:
        """Return the pool: what the signals admit, each in turn, (n,) int32, n ≤ max_pool."""
        admitted = [s.admit(question, self.config.n_admit) for s in self.signals]
        longest = max((len(a) for a in admitted), default=0)
        # In turns, so that the cap takes the least likely of each.
        turns = np.full((longest, len(admitted)), -1, np.int32)
        for n, idx in enumerate(admitted):
            turns[: len(idx), n] = idx
        turn = turns[turns >= 0]
        _, first = np.unique(turn, return_index=True)
        pool: I32 = turn[np.sort(first)[: self.config.max_pool]]
        if not len(pool) and not (question.need and question.need.text):
            # Nothing was asked that any signal could judge, say a filter alone in a catalog without
            # popularity: whatever passes the filter is an answer.
            return np.flatnonzero(question.mask)[: self.config.n_admit].astype(np.int32)
        return pool

    def values(self, question: Question, pool: I32) -> F32:
        """Score the pool by each signal: (n, n_signals) float32."""
        columns = [s.score(question, pool) for s in self.signals]
        return np.stack(columns, axis=1) if columns else np.empty((len(pool), 0), np.float32)

    def rank(self, question: Question, k: int, theta_text: float) -> Ranked:
        """Rank the best k items.

        Args:
            question: what is asked.
            k: how many; fewer come where the pool holds fewer.
            theta_text: the weight of the text model's titles; at 0 no beam is run.
        """
        pool = self.answers(question)
        if not len(pool):
            return Ranked(pool, *_empty(len(self.signals)), ())
        depth = depth_of(len(question.taken))
        mixed = self.mixer.mix(self.values(question, pool), depth, self._share(question))
        order = np.lexsort((pool, -mixed.logprob))
        path = [f"{len(pool)} candidates"]
        if question.vector is not None:
            path.insert(0, "meaning, as no item says half of these words")
        if theta_text > 0.0 and question.model is not None and question.need is not None:
            order = self._generate(question, pool, mixed, order, k, theta_text)
            path.append("titles by beam")
        best = order[:k]
        return Ranked(pool[best], mixed.logprob[best], mixed.contributions[best], tuple(path))

    def _share(self, question: Question) -> F32 | None:
        if not question.has_words:
            return None
        past = [BESIDE_WORDS if s.name in HISTORY else 1.0 for s in self.signals]
        return np.array(past, np.float32)

    def _generate(
        self,
        question: Question,
        pool: I32,
        mixed: Mixed,
        order: npt.NDArray[np.int64],
        k: int,
        theta_text: float,
    ) -> npt.NDArray[np.int64]:
        head = order[: max(self.config.n_titles, k)]
        titles = question.titles(pool[head])
        width = max(self.config.num_beams, k)
        generated = rerank(question, titles, mixed.logprob[head], theta_text, width, k)
        first = [int(a.index) for a in generated]
        # What the beam pruned keeps its mix order behind what it kept.
        rest = [n for n in range(len(head)) if n not in set(first)]
        return np.concatenate([head[first + rest], order[len(head) :]])

    def reasons(
        self, question: Question, item_idx: int, item: Item, contributions: F32
    ) -> tuple[Reason, ...]:
        """Say what moved an item most, the strongest first; only what speaks for it."""
        found: list[Reason] = []
        texts: set[str] = set()
        for n in np.argsort(-contributions, kind="stable"):
            if contributions[n] <= 0.0 or len(found) == self.config.n_reasons:
                break
            text = self.signals[n].why(question, item_idx, item)
            if text and text not in texts:
                found.append(Reason(self.signals[n].name, float(contributions[n]), text))
                texts.add(text)
        return tuple(found)


def _empty(n_signals: int) -> tuple[F32, F32]:
    return np.empty(0, np.float32), np.empty((0, n_signals), np.float32)
