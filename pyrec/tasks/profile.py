"""The profile task: which values of the catalog's attributes will the next thing of a user have?

X is a user's events and corrections, Y the values of a column that they had to do with. Signals
count what was liked, lately and ever, what everybody takes, and what would be recommended; the
mixer makes shares of them. What was clearly disliked is listed beside, and all of it names its
events.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from pyrec.mixer import Mixed, depth_of
from pyrec.ranking import Ranker
from pyrec.sentences import say_profile
from pyrec.tasks.base import Answers, Ask, Task
from pyrec.tastes import Taste, Tastes, values_of
from pyrec.types import Interest, Profile

SIGNALS = ("lasting", "recent", "usual", "expected", "said")
"""lasting: share of what was liked. recent: the same, old things fading. usual: share in the
catalog. expected: share in what would be recommended. said: what the user said. (How likely it is
not disliked was tried: it foretells nothing beside these.)"""
N_EXPECTED = 100
"""How many of the recommended items are read."""
_DRAWN = 3.0
"""For how many liked things what is usual stands in a user's own share."""
_NEUTRAL = 0.1
"""What a value is worth of which nothing was said, beside one that the user said they like."""
N_SHOWN = 20
MIN_TITLES = 2
"""In so many titles a phrase must stand to be an interest."""


@dataclass(frozen=True)
class Asked:
    """X: the user, what is known of their tastes, and P(item) of what would be recommended."""

    user: str
    tastes: Tastes
    expected: dict[tuple[str, str], float]
    usual: dict[str, dict[str, int]]
    language: str
    k: int


class ProfileTask(Task[Asked, Profile]):
    """What a user is interested in, and what not."""

    name = "profile"
    options = frozenset(("language",))
    signals = SIGNALS

    def encode(self, ask: Ask) -> Asked:
        """Read the events, and what would be recommended to the user."""
        if ask.user is None:
            raise ValueError("profile needs a user; give the id of one")
        user = ask.user
        questions = self.context.questions
        tastes = questions.tastes(user)
        self.context.book.load()
        usual = {c: dict(v) for c, v in self.context.book.survey.values.items()}
        language = str(ask.options.get("language") or questions.current().language)
        return Asked(user, tastes, self._expected(user), usual, language, ask.k or N_SHOWN)

    def answers(self, x: Asked) -> Answers:
        """List the values with something known of them, column by column."""
        columns: dict[str, list[Taste]] = defaultdict(list)
        for (column, _), taste in sorted(x.tastes.by_value.items()):
            columns[column].append(taste)
        for column, value in sorted(x.expected):
            if (column, value) not in x.tastes.by_value and column in columns:
                columns[column].append(Taste(column, value))
        values, sizes = [], []
        for column, tastes in columns.items():
            values.append(column_values(tastes, x.expected, x.usual.get(column, {})))
            sizes.append(len(tastes))
        choices = [taste for tastes in columns.values() for taste in tastes]
        groups = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        empty = np.empty((0, len(SIGNALS)), np.float32)
        n_liked = sum(v > 0 for v in x.tastes.newest.values())
        return Answers(choices, np.concatenate([empty, *values]), groups, depth_of(n_liked))

    def parse(self, x: Asked, answers: Answers, mixed: Mixed) -> Profile:
        """Sort the values by their share, and put a sentence before them."""
        shares = np.exp(mixed.logprob)
        liked: dict[str, float] = defaultdict(float)
        for taste in answers.choices:
            liked[taste.column] += taste.liked
        interests = [
            self._interest(x, taste, float(share), liked[taste.column], 1.0)
            for taste, share in zip(answers.choices, shares, strict=True)
            if taste.said >= 0 and (taste.said > 0 or self._speaks(taste))
        ]
        interests.sort(key=lambda i: (-i.probability, i.column, i.value))
        avoided = {(p.column, p.text) for p in self.context.questions.avoided(x.tastes)}

        def is_against(taste: Taste) -> bool:
            return x.tastes.is_against(taste) and taste.disliked > taste.liked

        dislikes = [
            self._interest(x, taste, taste.dislike(x.tastes.usual), liked[taste.column], -1.0)
            for key, taste in x.tastes.by_value.items()
            if key in avoided or taste.said < 0 or is_against(taste)
        ]
        dislikes.sort(key=lambda i: (-i.probability, i.column, i.value))
        n = len(x.tastes.newest)
        path = (f"{n} opinions", *(["what was said"] if any(i.said for i in interests) else []))
        found = Profile(x.user, tuple(interests[: x.k]), tuple(dislikes[: x.k]), "", path)
        wording = self.context.prompts.table(x.language, "sentences")
        return Profile(
            x.user, found.interests, found.dislikes, say_profile(found, n, wording), path
        )

    def _interest(
        self, x: Asked, taste: Taste, probability: float, liked: float, sign: float
    ) -> Interest:
        held = x.usual.get(taste.column, {})
        total = sum(held.values())
        usual = (held.get(taste.value, 0) + 0.5) / (total + 1.0) if total else 0.0
        lasting = taste.liked / liked if liked > 0 else 0.0
        return Interest(
            taste.column,
            taste.value,
            probability,
            lasting,
            taste.recent,
            usual,
            tuple(i for i in taste.item_ids if sign * x.tastes.newest.get(i, 0.0) > 0.0),
            bool(taste.said),
        )

    def _speaks(self, taste: Taste) -> bool:
        """Tell whether a value was liked; a phrase of one title is no interest."""
        return taste.liked > 0 and (bool(taste.column) or len(taste.item_ids) >= MIN_TITLES)

    def _expected(self, user: str) -> dict[tuple[str, str], float]:
        """Return the share of each value in what would be recommended."""
        ranker: Ranker = self.context.weights.ranker
        question = self.context.questions.ask(
            "", user, (), (), include_seen=False, asks=lambda _: False
        )
        pool = ranker.answers(question)
        if not len(pool):
            return {}
        logprob = ranker.mix(question, ranker.values(question, pool)).logprob
        best = np.argsort(-logprob, kind="stable")[:N_EXPECTED]
        shares = np.exp(logprob[best] - logprob[best].max())
        found: dict[tuple[str, str], float] = defaultdict(float)
        items = self.context.catalog.items(pool[best])
        for item, share in zip(items, (shares / shares.sum()).tolist(), strict=True):
            for key in values_of(item):
                found[key] += share
        return dict(found)


def column_values(
    tastes: list[Taste],
    expected: dict[tuple[str, str], float],
    usual: dict[str, int],
) -> np.ndarray:
    """Say how well each value of a column fits a user: (n, n_signals) float32, at most 1.

    Args:
        tastes: of the column's values.
        expected: the share of values in what would be recommended, by column and value.
        usual: how many items have each value.
    """
    out = np.full((len(tastes), len(SIGNALS)), np.nan, np.float32)
    base = np.array([usual.get(t.value, 0) + 0.5 for t in tastes])
    base /= sum(usual.values()) + 1.0
    liked = np.array([t.liked for t in tastes])
    recent = np.array([t.recent for t in tastes])
    for column, weights in ((0, liked), (1, recent)):
        share = (weights + _DRAWN * base) / (weights.sum() + _DRAWN)
        out[:, column] = share / share.max()
    out[:, 2] = base / base.max()
    shares = np.array([expected.get((t.column, t.value), 0.0) for t in tastes])
    if shares.any():
        out[:, 3] = shares / shares.max()
    if any(t.said for t in tastes):
        out[:, 4] = [{1: 1.0, 0: _NEUTRAL, -1: 0.0}[t.said] for t in tastes]
    return out
