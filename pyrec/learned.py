"""What training left in the store: theta, the linear item model, and other models.

`train.py` writes them, `questions.py` and `recommender.py` read them. Theta is personal data and
lives in the table `weights`; the linear model can be computed again and is kept as a derived array
by item ids, because the numbers that items have in `Interactions` are those of one process.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from pyrec.adapter_state import AdapterState
from pyrec.behavior.state import BehaviorState
from pyrec.deep import DeepState
from pyrec.errors import StoreBusyError
from pyrec.interactions import Crowd
from pyrec.linear_model import LinearModel
from pyrec.mixer import FEATURES, RANKING
from pyrec.opinion_state import OpinionState, empty_state
from pyrec.steps import Steps
from pyrec.store import Store

Theta = Mapping[str, Sequence[float]]
"""Weights by signal, in the order of `FEATURES`."""
T = TypeVar("T")
_LINEAR = "linear"
_OPINIONS = "opinions"
_BEHAVIOR = "behavior"
_ADAPTER = "adapter"
_DEEP = "deep"


@dataclass(frozen=True)
class _Numbered:
    """The linear model by the numbers of crowds of one generation.

    Attributes:
        waiting: items of the model that had no number yet.
    """

    model: LinearModel
    version: int
    generation: int
    waiting: frozenset[str]

    def serves(self, version: int, crowd: Crowd) -> bool:
        """Return whether a crowd has just the items that this was made for, or later ones."""
        if (self.version, self.generation) != (version, crowd.generation):
            return False
        n_items = len(self.model.ptr) - 1
        return n_items <= crowd.n_items and not (crowd.numbers(self.waiting) >= 0).any()


class Learned:
    """The trained part of a store."""

    def __init__(self, store: Store) -> None:
        self.store = self._store = store
        self._linear: _Numbered | None = None
        self._held: dict[str, tuple[int, Any]] = {}

    @property
    def version(self) -> int:
        """Count the trainings that this store has seen."""
        return self._version_of(_LINEAR)

    @property
    def state(self) -> tuple[int, int, int]:
        """What changes whenever theta does: trainings, the last step, what was taken back."""
        row = self._store.db.execute(
            "SELECT ifnull((SELECT version FROM derived WHERE name = ?), 0), "
            "ifnull((SELECT max(event_id) FROM steps), 0), "
            "ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'event_removals'), 0)",
            [_LINEAR],
        ).fetchone()
        return row[0], row[1], row[2]

    def _version_of(self, name: str) -> int:
        row = self._store.db.execute(
            "SELECT version FROM derived WHERE name = ?", [name]
        ).fetchone()
        return row[0] if row else 0

    def theta(self, task: str = RANKING) -> dict[str, list[float]]:
        """Return the weights of a task that training found, by signal; empty before the first."""
        rows = self._store.db.execute("SELECT name, value FROM weights WHERE user_id = ''")
        found: dict[str, list[float]] = {}
        for name, value in rows.fetchall():
            of_task, _, rest = name.rpartition("/")
            signal, _, feature = rest.rpartition(":")
            if (of_task or RANKING) == task and feature in FEATURES:
                found.setdefault(signal, [0.0] * len(FEATURES))[FEATURES.index(feature)] = value
        return found

    def linear(self, crowd: Crowd) -> LinearModel | None:
        """Return the linear model by a crowd's numbers; None before training.

        It may know fewer items than the crowd: those that were taken later and that it says nothing
        of.
        """
        version = self.version
        if version == 0:
            return None
        held = self._linear
        if held is not None and held.serves(version, crowd):
            return held.model
        kept = self._store.derived(_LINEAR)
        if kept is None:
            return None
        ids, model = _unpacked(kept[1])
        numbers = crowd.numbers(ids)
        waiting = frozenset(i for i, number in zip(ids, numbers, strict=True) if number < 0)
        numbered = renumbered(model, numbers, crowd.n_items)
        self._linear = _Numbered(numbered, kept[0], crowd.generation, waiting)
        return numbered

    def opinions(self) -> OpinionState:
        """Return what training found of everybody's opinions; an empty state before that."""
        return self._state(_OPINIONS, OpinionState.unpack) or empty_state()

    def behavior(self) -> BehaviorState | None:
        """Return the behavior model, the same object until another is kept; None without one.

        Raises:
            ModelFileError: it is damaged, or of a newer pyrec.
        """
        return self._state(_BEHAVIOR, BehaviorState.unpack)

    def deep(self) -> DeepState | None:
        """Return the network over what signals say; None without one."""
        return self._state(_DEEP, DeepState.unpack)

    def _state(self, name: str, unpack: Callable[[bytes], T]) -> T | None:
        """Return what is kept by a name, the same object until another is."""
        version = self._version_of(name)
        if version == 0:
            return None
        held = self._held.get(name)
        if held is None or held[0] != version:
            kept = self._store.derived(name)
            if kept is None:
                return None
            self._held[name] = held = (kept[0], unpack(kept[1]))
        state: T = held[1]
        return state

    @property
    def adapter_version(self) -> int:
        """Number the adapter that is kept, 0 without one."""
        return self._version_of(_ADAPTER)

    def adapter(self) -> AdapterState | None:
        """Return the adapter of the text model; None without one.

        Raises:
            ModelFileError: it is damaged, or of another version of pyrec.
        """
        kept = self._store.derived(_ADAPTER)
        return AdapterState.unpack(kept[1]) if kept else None

    def keep_adapter(self, state: AdapterState, removals: int) -> None:
        """Keep an adapter in the place of the one before.

        Args:
            state: the adapter.
            removals: the last removal of the log that was read.

        Raises:
            StoreBusyError: a user was forgotten meanwhile; nothing is kept.
        """
        with self._store.transact() as db:
            self._check_nobody_was_forgotten(removals)
            # Of all numbers ever given, so that one that was dropped is not taken for the next.
            (number,) = db.execute(
                "SELECT 1 + ifnull(max(version), 0) FROM derived WHERE name = ?", [_ADAPTER]
            ).fetchone()
            number = max(number, time.time_ns())
            db.execute(
                "INSERT OR REPLACE INTO derived VALUES (?, ?, ?)", [_ADAPTER, number, state.pack()]
            )

    def keep(
        self,
        theta: Mapping[str, Theta | None],
        linear: LinearModel,
        ids: Sequence[str],
        opinions: OpinionState | None = None,
        behavior: BehaviorState | None = None,
        removals: int | None = None,
        of_words: Theta | None = None,
        deep: DeepState | None = None,
    ) -> None:
        """Keep a training's result, in one transaction.

        Args:
            theta: by task; None leaves the weights of one as they are.
            linear: by the order of `ids`.
            ids: the items that the model knows.
            opinions: None where there are too few.
            behavior: None to leave the one that is kept.
            removals: the last removal of the log that was read; None for now.
            of_words: weights of the ranking that answers to words gave; beside them what single
                events taught stays, as long as histories give no new weights.
            deep: the network that goes with new weights; None for none. That of before stays where
                no new weights were found, and goes with the old ones.

        Raises:
            StoreBusyError: a user was forgotten meanwhile; nothing is kept.
        """
        with self._store.transact() as db:
            row = db.execute("SELECT version FROM derived WHERE name = ?", [_LINEAR]).fetchone()
            db.execute(
                "INSERT OR REPLACE INTO derived VALUES (?, ?, ?)",
                [_LINEAR, (row[0] if row else 0) + 1, _packed(linear, ids)],
            )
            self._check_nobody_was_forgotten(removals)
            Steps.begin_anew(db, theta=theta.get(RANKING) is not None)
            for name, value in chain(_rows(theta), _rows({RANKING: of_words})):
                db.execute(
                    "INSERT OR REPLACE INTO weights (user_id, name, value) VALUES ('', ?, ?)",
                    [name, value],
                )
            if theta.get(RANKING) is not None:
                db.execute("DELETE FROM derived WHERE name = ?", [_DEEP])
            for name, state in ((_OPINIONS, opinions), (_BEHAVIOR, behavior), (_DEEP, deep)):
                if state is not None:
                    db.execute(
                        "INSERT OR REPLACE INTO derived VALUES "
                        "(?, (SELECT version FROM derived WHERE name = ?), ?)",
                        [name, _LINEAR, state.pack()],
                    )

    def unlearn(self) -> tuple[bool, bool]:
        """Drop what was made of everybody's events, but the weights.

        Returns whether there was a behavior model, and whether an adapter. What is trained next has
        a later version, so other processes drop what they hold as well. Call it in the transaction
        that forgets a user.
        """
        db = self._store.db
        nothing = LinearModel(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
        db.execute(
            "UPDATE derived SET version = version + 1, data = ? WHERE name = ?",
            [_packed(nothing, ()), _LINEAR],
        )
        gone = {
            name: db.execute("DELETE FROM derived WHERE name = ?", [name]).rowcount > 0
            for name in (_OPINIONS, _BEHAVIOR, _ADAPTER, _DEEP)
        }
        return gone[_BEHAVIOR], gone[_ADAPTER]

    @property
    def waits(self) -> bool:
        """Whether somebody was forgotten and what was trained has not been trained again."""
        kept = self._store.derived(_LINEAR)
        return kept is not None and not _unpacked(kept[1])[0]

    def _check_nobody_was_forgotten(self, removals: int | None) -> None:
        row = self._store.db.execute(
            "SELECT 1 FROM event_removals WHERE removal_id > ? AND user_id = ''",
            [-1 if removals is None else removals],
        ).fetchone()
        if removals is not None and row is not None:
            raise StoreBusyError(
                "a user was forgotten while this was trained; nothing was changed, train again"
            )


def _packed(linear: LinearModel, ids: Sequence[str]) -> bytes:
    packed = io.BytesIO()
    names = np.frombuffer(json.dumps(list(ids)).encode("utf-8"), np.uint8)
    np.savez(packed, ids=names, ptr=linear.ptr, idx=linear.idx, weights=linear.weights)
    return packed.getvalue()


def _unpacked(data: bytes) -> tuple[list[str], LinearModel]:
    with np.load(io.BytesIO(data), allow_pickle=False) as parts:
        model = LinearModel(parts["ptr"], parts["idx"], parts["weights"])
        return json.loads(bytes(parts["ids"])), model


def _rows(theta: Mapping[str, Theta | None]) -> Iterator[tuple[str, float]]:
    for task, by_signal in theta.items():
        lead = "" if task == RANKING else f"{task}/"
        for signal, values in (by_signal or {}).items():
            for feature, value in zip(FEATURES, values, strict=True):
                yield f"{lead}{signal}:{feature}", float(value)


def renumbered(model: LinearModel, numbers: np.ndarray, n_items: int) -> LinearModel:
    """Return a model whose item i is called numbers[i]; those with the number -1 fall out."""
    source = numbers[np.repeat(np.arange(len(model.ptr) - 1), np.diff(model.ptr))]
    target = numbers[model.idx]
    kept = (source >= 0) & (target >= 0)
    source, target, weights = source[kept], target[kept], model.weights[kept]
    order = np.argsort(source, kind="stable")
    ptr = np.zeros(n_items + 1, np.int64)
    np.cumsum(np.bincount(source, minlength=n_items), out=ptr[1:])
    return LinearModel(ptr, target[order].astype(np.int32), weights[order])
