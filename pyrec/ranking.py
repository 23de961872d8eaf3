"""Ranking: which items answer a question, P(item | question; theta).

Each signal names candidates and scores the pool; the mixer turns the scores into one probability.
`tasks/recommend.py` asks it for lists, `replay.py` for the evidence that training and evaluation
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyrec.mixer import Mixed, Mixer, depth_of
from pyrec.signals.base import F32, I32, Question, Signal
from pyrec.types import Item, Reason

_OF_CROWD = ("after", "near", "next", "beside", "together", "linear", "linear_recent")
HISTORY = frozenset(("behavior", "content", "deep", "dense_history", *_OF_CROWD))
"""The signals that read the user's past."""
LEARNED = (*sorted(HISTORY), "taken", "lately", "popular_unasked")
"""The signals whose weights are learned from histories."""
ASKED = (
    "lexical",
    "coverage",
    "title_share",
    "phrases",
    "dense",
    "query_likelihood",
    "popular",
)
"""Those whose weights are learned from answers to words."""
BESIDE_WORDS = 0.35
"""How much of their weights counts where something was asked in words: these come first. By hand;
no data set here has both."""


def shares_of(names: Sequence[str], *, words: bool) -> F32:
    """Return how much of each signal's weights counts, (n_signals,) float32."""
    beside = BESIDE_WORDS if words else 1.0
    return np.array([beside if name in HISTORY else 1.0 for name in names], np.float32)


@dataclass(frozen=True)
class RankConfig:
    """How to rank.

    Attributes:
        n_admit: candidates that each signal may name.
        max_pool: candidates in all.
        n_reasons: reasons given with each item.
    """

    n_admit: int = 100
    max_pool: int = 1000
    n_reasons: int = 3


class Ranker:
    """Ranks items for encoded questions.

    Args:
        signals: in the order of the mixer's names.
        mixer: theta for these signals.
    """

    def __init__(
        self, signals: Sequence[Signal], mixer: Mixer, config: RankConfig | None = None
    ) -> None:
        if tuple(s.name for s in signals) != mixer.names:
            raise ValueError(f"mixer of {mixer.names} for {[s.name for s in signals]}")
        self.signals = tuple(signals)
        self.mixer = mixer
        self.config = config or RankConfig()

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

    def mix(self, question: Question, values: F32) -> Mixed:
        """Turn the values of a question's pool into log-probabilities."""
        share = shares_of(self.mixer.names, words=question.has_words)
        depth = depth_of(len(question.taken))
        return self.mixer.mix(values, depth, share, own=question.own)

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
