"""What users took after, near, beside and together with the things that this user took.

All are summed at query time over the postings of the user's newest items
(`csrc/transitions.h`); no counts of pairs are kept. Transitions decayed by gap and recency came out
best of the single signals on sequences; see `bench/quality.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyrec import _core
from pyrec.interactions import Crowd
from pyrec.signals.base import F32, I32, Question
from pyrec.types import Item

N_RECENT = 30
"""How many of the user's newest items `after` and `near` ask about."""
RECENCY = 0.65
"""What each later item takes off an earlier one's weight there."""
N_TOGETHER = 100
TOGETHER_RECENCY = 0.85
"""The same for `together`, which is about taste rather than about what comes next."""
N_BESIDE = 500
"""The same for `beside`, which is about all that a user took."""
N_HISTORIES = 500
"""Of how many of an item's newest takers `together` and `beside`, which ask for many items, read
the histories: among ten million events `together` takes 23 ms a question, with 2,000 takers 69."""
WINDOW = 50
GAP_DECAY = 0.85
BESIDE_WINDOW = 5
BESIDE_GAP_DECAY = 0.3
LENGTH_DAMPING = 0.5
REACH = 500
"""How far from the user's item in somebody's history `together` looks."""
SOURCE_DAMPING = 0.5
"""How much an item of the user's that everybody took is held back in `together` and `beside`."""
TARGET_DAMPING = {"after": 0.2, "near": 0.3, "beside": 0.3, "together": 0.6}
"""How much what everybody takes is held back. With .2 and .6 for `after` and `together` instead of
0 and .3 the mixer's nDCG@10 on validation rose by .0010 ± .0008 on Toys, .0007 ± .0009 on Beauty.
"""
MIN_USERS = 20
"""With fewer users `taken` and `lately` say who they are, not what people like."""
N_WHY = 5
"""Among how many of the newest items a reason is looked for."""
N_TAKERS = 2000
"""How many of an item's newest takers are looked at for that."""


class CrowdSignal:
    """A signal over the items that users took, scored by their numbers (`Crowd`)."""

    name: str

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Score all numbers, (n_numbers,) float32; None where there is nothing to go by."""
        raise NotImplementedError

    def admit(self, question: Question, n: int) -> I32:
        """Name the n best items with a positive score."""
        scores = self._once(question)
        if scores is None or question.crowd is None:
            return np.empty(0, np.int32)
        numbers, values = _core.topk(scores, n, _allowed(question, question.crowd))
        return question.crowd.row_of[numbers[values > 0]]

    def score(self, question: Question, pool: I32) -> F32:
        """Look the pool up; an item that nobody took is unknown, NaN."""
        scores = self._once(question)
        result = np.full(len(pool), np.nan, np.float32)
        if scores is not None and question.crowd is not None:
            numbers = question.crowd.number_of[pool]
            taken = numbers >= 0
            result[taken] = scores[numbers[taken]]
        return result

    def _once(self, question: Question) -> F32 | None:
        if self.name not in question.scores:
            crowd = question.crowd
            known = crowd is not None and len(crowd.row_of) > 0
            question.scores[self.name] = (
                self.by_number(question, crowd) if known and crowd else None
            )
        return question.scores[self.name]


def _allowed(question: Question, crowd: Crowd) -> np.ndarray:
    """Return the mask by number, made once a question."""
    if question.mask_by_number is None:
        inside = (crowd.row_of >= 0) & (crowd.row_of < len(question.mask))
        mask = np.zeros(len(crowd.row_of), np.uint8)
        mask[inside] = question.mask[crowd.row_of[inside]]
        question.mask_by_number = mask
    return question.mask_by_number


class _Transitions(CrowdSignal):
    """A sum of transitions from the user's items."""

    def _sums(
        self,
        question: Question,
        crowd: Crowd,
        *,
        n_recent: int,
        recency: float,
        window: int = 0,
        gap_decay: float = GAP_DECAY,
        source_damping: float = 0.0,
        reach: int = 0,
        max_postings: int = 2000,
    ) -> tuple[F32, F32, F32] | None:
        recent = question.taken[-n_recent:]
        if not len(recent):
            return None
        weights = (recency ** question.ages[-n_recent:]).astype(np.float32)
        return crowd.histories.transitions(
            recent,
            weights,
            len(crowd.row_of),
            window,
            gap_decay,
            LENGTH_DAMPING,
            source_damping,
            0.0,
            max_postings=max_postings,
            reach=reach,
        )

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Name the user's item that most takers of this one took as well."""
        return with_whom(question, item_idx)


def with_whom(question: Question, item_idx: int) -> str:
    """Return the title of the user's item that most takers of an item took as well, "" for none."""
    crowd = question.crowd
    if crowd is None or item_idx >= len(crowd.number_of):
        return ""
    if item_idx not in question.companions:
        number = int(crowd.number_of[item_idx])
        takers = _newest_takers(crowd, number)
        best, among = 0, ""
        for title, users in _takers(question, crowd):
            both = len(users.intersection(takers))
            if both > best:
                best, among = both, title
        question.companions[item_idx] = among
    return question.companions[item_idx]


def _takers(question: Question, crowd: Crowd) -> Sequence[tuple[str, set[int]]]:
    """Return the titles of the user's newest items, each with who took it."""
    if question.takers is None:
        liked = [past for past in reversed(question.history) if past.weight > 0]
        question.takers = []
        for past in liked[:N_WHY]:
            number = int(crowd.number_of[past.item_idx])
            question.takers.append((past.title, set(_newest_takers(crowd, number))))
    return question.takers


def _newest_takers(crowd: Crowd, number: int) -> list[int]:
    """Return who took an item, nobody where it has no number."""
    if number < 0:
        return []
    takers: list[int] = crowd.histories.postings(number)[0][-N_TAKERS:].tolist()
    return takers


def _damped(name: str, scores: F32, crowd: Crowd) -> F32:
    damped: F32 = scores * (1.0 + crowd.count) ** np.float32(-TARGET_DAMPING[name])
    return damped


class After(_Transitions):
    """What users took after the user's items, the sooner the more."""

    name = "after"

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Sum over the newest items; `near` comes with it."""
        sums = self._sums(question, crowd, n_recent=N_RECENT, recency=RECENCY, window=WINDOW)
        if sums is None:
            return None
        question.scores[Near.name] = _damped(Near.name, sums[1], crowd)
        return _damped(self.name, sums[0], crowd)


class Near(_Transitions):
    """What users took around the user's items, before or after."""

    name = "near"

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Sum over the newest items; `after` comes with it."""
        question.scores[After.name] = After().by_number(question, crowd)
        return question.scores.get(self.name)


class Next(_Transitions):
    """What users took after the newest item alone."""

    name = "next"

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Sum over the transitions of one item."""
        sums = self._sums(question, crowd, n_recent=1, recency=1.0, window=WINDOW)
        return None if sums is None else sums[0]


class Together(_Transitions):
    """What stands in the histories of those who took the user's items, rare ones counting more."""

    name = "together"

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Sum over many items."""
        sums = self._sums(
            question,
            crowd,
            n_recent=N_TOGETHER,
            recency=TOGETHER_RECENCY,
            source_damping=SOURCE_DAMPING,
            reach=REACH,
            max_postings=N_HISTORIES,
        )
        return None if sums is None else _damped(self.name, sums[2], crowd)


class Beside(_Transitions):
    """What users took right beside any of the user's items, however long ago that was.

    Who rates or collects goes through a shelf, a list or a series: what stands between two things
    of a long history is likely to be the user's as well.
    """

    name = "beside"

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Sum over all items alike."""
        sums = self._sums(
            question,
            crowd,
            n_recent=N_BESIDE,
            recency=1.0,
            window=BESIDE_WINDOW,
            gap_decay=BESIDE_GAP_DECAY,
            source_damping=SOURCE_DAMPING,
            max_postings=N_HISTORIES,
        )
        return None if sums is None else _damped(self.name, sums[1], crowd)


def how_often_taken(question: Question, item_idx: int) -> str:
    """Say how many users took an item, "" for none."""
    crowd = question.crowd
    number = crowd.number_of[item_idx] if crowd is not None else -1
    return f"taken {crowd.count[number]:.0f} times" if crowd and number >= 0 else ""


class Taken(CrowdSignal):
    """log(1 + how many users took an item); for questions without words.

    Words are answered by what fits them; beside these `popular` speaks.
    """

    name = "taken"

    def by_number(self, question: Question, crowd: Crowd) -> F32 | None:
        """Score all; None where the question has words, or few users have a history."""
        few = crowd.histories.n_users < MIN_USERS
        return None if question.has_words or few else np.log1p(self._number(crowd))

    def _number(self, crowd: Crowd) -> F32:
        return crowd.count

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Give the number."""
        return how_often_taken(question, item_idx)


class Lately(Taken):
    """The same, what users took last counting most: what is on the rise, what is out of fashion."""

    name = "lately"

    def _number(self, crowd: Crowd) -> F32:
        return crowd.lately

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Give about how many people took it as one of their last things, if any."""
        crowd = question.crowd
        number = crowd.number_of[item_idx] if crowd is not None else -1
        lately = round(float(crowd.lately[number])) if crowd and number >= 0 else 0
        return f"among the last things that {lately} took" if lately > 1 else ""
