"""Questions whose answers are known: part of the log is hidden, and asked for from the rest.

`train.py` learns from them and `evaluate.py` measures by them. What signals read is built from the
rest alone: histories, counts and the linear model have never seen an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pyrec import _core, linear_model
from pyrec.behavior.running import Behavior, Stream
from pyrec.behavior.streams import action_of
from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.index import Index
from pyrec.interactions import TAKEN, Crowd, inverse, make_crowd
from pyrec.linear_model import LinearModel
from pyrec.questions import N_TAKEN, Questions, ages_of
from pyrec.ranking import Ranker
from pyrec.signals.base import F32, I32, Question

F64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

N_THREADS = 2
AT_ONCE = 64


@dataclass(frozen=True)
class Log:
    """What was taken, in order, with users and items as numbers from 0.

    Attributes:
        user: (n_events,) int32.
        item: (n_events,) int32.
        at: (n_events,) float64, UTC seconds, 0 where unknown.
        action: (n_events,) int32, how it was taken.
        event_id: (n_events,) int64, its number in the store.
        user_ids: by user number.
        item_ids: by item number.
        actions: by action number, as `action_of` names them.
    """

    user: I32
    item: I32
    at: F64
    action: I32
    event_id: npt.NDArray[np.int64]
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    actions: tuple[str, ...]

    def without(self, hidden: Flags) -> Log:
        """Return the log without some events; the numbers stay."""
        kept = ~hidden
        return replace(
            self,
            user=self.user[kept],
            item=self.item[kept],
            at=self.at[kept],
            action=self.action[kept],
            event_id=self.event_id[kept],
        )

    def stream(self, places: npt.NDArray[np.int64]) -> Stream:
        """Return some events as the behavior model reads them."""
        items, actions = self.item[places].tolist(), self.action[places].tolist()
        return [(self.item_ids[i], self.actions[a]) for i, a in zip(items, actions, strict=True)]

    def by_user(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return ptr (n_users + 1,) and the places of events, user by user, each in order."""
        order = np.argsort(self.user, kind="stable")
        ptr = np.zeros(len(self.user_ids) + 1, np.int64)
        np.cumsum(np.bincount(self.user, minlength=len(self.user_ids)), out=ptr[1:])
        return ptr, order

    def same(self) -> npt.NDArray[np.uint8]:
        """Return 1 where an event has the same known time as the user's one before, (n_events,)."""
        _, order = self.by_user()
        user, at = self.user[order], self.at[order]
        flags = np.zeros(len(order), np.uint8)
        flags[order[1:]] = (user[1:] == user[:-1]) & (at[1:] == at[:-1]) & (at[1:] > 0.0)
        return flags


def read_log(events: EventLog, until: int | None = None) -> Log:
    """Read what was taken from the log, up to an event by its number."""
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    actions: dict[str, int] = {}
    parts: list[tuple[I32, I32, F64, I32, npt.NDArray[np.int64]]] = []
    for rows in events.all_ordered(kinds=TAKEN):
        chunk = rows if until is None else [row for row in rows if row[5] <= until]
        user = np.array([users.setdefault(row[0], len(users)) for row in chunk], np.int32)
        item = np.array([items.setdefault(row[1], len(items)) for row in chunk], np.int32)
        how = [actions.setdefault(action_of(row[2], row[3]), len(actions)) for row in chunk]
        at = np.array([row[4] for row in chunk], np.float64)
        event_id = np.array([row[5] for row in chunk], np.int64)
        parts.append((user, item, at, np.array(how, np.int32), event_id))
    i32, i64, f64 = np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64)
    columns = zip((i32, i32, f64, i32, i64), *parts, strict=True)
    user, item, at, action, event_id = (np.concatenate(part) for part in columns)
    return Log(user, item, at, action, event_id, tuple(users), tuple(items), tuple(actions))


@dataclass(frozen=True)
class Asked:
    """One question: whose, what they took before by item number, and what was hidden."""

    user: int
    taken: I32
    ages: F32
    answers: I32
    stream: Stream


class Replay:
    """One log with some of it hidden.

    Args:
        log: all of it.
        hidden: (n_events,) bool, what signals must not know.
        catalog: whose items are recommended.
        fits_linear: whether a linear model is fitted to the rest.
        behavior: a behavior model that has not seen what is hidden, None for none.
        newest: (n_events,) bool, what questions tell and the linear model must not know.
    """

    def __init__(
        self,
        log: Log,
        hidden: Flags,
        catalog: Catalog,
        index: Index,
        *,
        fits_linear: bool = True,
        behavior: Behavior | None = None,
        newest: Flags | None = None,
    ) -> None:
        rest = log.without(hidden)
        self._log, self._hidden, self._rest, self._index = log, hidden, rest, index
        self._behavior = behavior
        histories = _core.Histories()
        same = rest.same()
        histories.extend(rest.user, rest.item, same)
        row_of = catalog.idxs(log.item_ids).astype(np.int32)
        self.crowd: Crowd = make_crowd(histories, row_of, inverse(row_of, index.n_items))
        known = rest if newest is None else log.without(hidden | newest)
        self.linear: LinearModel | None = fit_linear(known) if fits_linear else None

    def asked(self, users: Sequence[int], *, include_seen: bool) -> list[Asked]:
        """Return the questions of users who have both a rest and an answer in the catalog."""
        ptr, order = self._log.by_user()
        found = []
        for user in users:
            places = order[ptr[user] : ptr[user + 1]]
            hidden = self._hidden[places]
            taken, same = self.crowd.histories.history(int(user))
            answers = np.unique(self._log.item[places[hidden]])
            answers = answers[self.crowd.row_of[answers] >= 0]
            if not include_seen:
                answers = answers[~np.isin(answers, taken)]
            if len(taken) and len(answers):
                ages = ages_of(same)
                stream = self._log.stream(places[~hidden][-N_TAKEN:])
                taken, ages = taken[-N_TAKEN:], ages[-N_TAKEN:]
                found.append(Asked(int(user), taken, ages, answers, stream))
        return found

    def question(self, questions: Questions, asked: Asked, *, include_seen: bool) -> Question:
        """Encode one question."""
        question = questions.replayed(
            self._index, self.crowd, asked.taken, asked.ages, include_seen=include_seen
        )
        question.linear = self.linear
        question.stream, question.behavior = asked.stream, self._behavior
        return question

    def evidence(
        self,
        questions: Questions,
        task: Ranker,
        asked: Sequence[Asked],
        *,
        include_seen: bool,
    ) -> Iterator[tuple[I32, F32]]:
        """Yield for each question its pool (n,) int32 and what the signals say (n, n_signals)."""

        def one(each: Asked) -> tuple[I32, F32]:
            question = self.question(questions, each, include_seen=include_seen)
            pool = np.sort(task.answers(question))
            return pool, task.values(question, pool)

        # Kernels let go of the interpreter, so two questions can be under way. A few at a time:
        # more would wait in memory, and go on after somebody stopped listening.
        with ThreadPoolExecutor(N_THREADS) as threads:
            for begin in range(0, len(asked), AT_ONCE):
                yield from threads.map(one, asked[begin : begin + AT_ONCE])


def fit_linear(log: Log) -> LinearModel:
    """Fit the linear item model to a log."""
    ptr, order = log.by_user()
    return linear_model.fit(ptr, log.item[order], len(log.item_ids))
