"""Trains the behavior model of a store.

Two models are trained by one recipe. The first does not know the answers that the mixer is fitted
to, and gives the evidence for that. As long as it took to its best validation the second is
trained, on everything but the answers of the users who judge: those no model is ever trained on, so
that a new one can be compared with the one in use. Only the second is kept. An update continues the
one in use with what came since. Called by `train.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyrec.behavior.config import BehaviorConfig
from pyrec.behavior.content import (
    Content,
    ContentTable,
    center_of,
    choose_words,
    content_of,
    read_terms,
)
from pyrec.behavior.running import Behavior
from pyrec.behavior.state import BehaviorState
from pyrec.behavior.streams import Streams
from pyrec.catalog import Catalog
from pyrec.errors import ModelError, StoreError
from pyrec.index import Index
from pyrec.metrics import ndcg
from pyrec.replay import Flags, Log
from pyrec.vectors import quantize

if TYPE_CHECKING:
    from pyrec.behavior.fit import Fitted, Judged

I32 = npt.NDArray[np.int32]
U32 = npt.NDArray[np.uint32]
F32 = npt.NDArray[np.float32]

UPDATE_EPOCHS = 3
"""How often an update reads the histories that went on."""
UPDATE_STEPS = 100
"""How many steps it takes at least."""
UPDATE_RATE = 0.3
"""Its learning rate, as a share of that of a training."""
STALE = 0.1
"""A training that was interrupted goes on without what came since, up to this share of the log."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class BehaviorReport:
    """What training did for the behavior model.

    Attributes:
        n_items: how many items it knows.
        n_events: how many events it was trained on.
        steps: of training.
        seconds: that training took, without the mixer's.
        device: where, `cpu` or `cuda`.
        n_bytes: of all that the store keeps of it.
        before: mean nDCG@10 of the judging users with the model before; NaN without one.
        after: the same with the new one.
        used: whether the new one answers from now on.
        why: what speaks against it, empty if nothing.
    """

    n_items: int = 0
    n_events: int = 0
    steps: int = 0
    seconds: float = 0.0
    device: str = ""
    n_bytes: int = 0
    before: float = np.nan
    after: float = np.nan
    used: bool = False
    why: str = ""


@dataclass(frozen=True)
class Told:
    """A log, or a part of it, as the behavior model reads it.

    Attributes:
        streams: by user number of the log, empty where nothing is told of a user.
        item_ids: by item number of the streams.
        actions: by action number, the most frequent first.
        number: (n_items of the log,) int32, item numbers of the streams, -1 where not told.
    """

    streams: Streams
    item_ids: tuple[str, ...]
    actions: tuple[str, ...]
    number: I32


class BehaviorTraining:
    """Trains on one log.

    Args:
        log: the histories.
        catalog: the items.
        index: its arrays.
        embedding: the embedding model whose vectors the index holds; empty for none.
        progress: told how far it is.
        checkpoint: where a training that is interrupted goes on from, a path that suffixes are put
            to; None to keep nothing.
        config: the recipe.

    Raises:
        ModelError: PyTorch is not installed.
    """

    def __init__(
        self,
        log: Log,
        catalog: Catalog,
        index: Index,
        embedding: str,
        progress: Progress,
        checkpoint: Path | None,
        config: BehaviorConfig,
    ) -> None:
        if find_spec("torch") is None:
            raise ModelError(
                "the behavior model is trained with PyTorch, which is not installed: "
                "pip install 'pyrec[train]'. Plain `pyrec train` goes without it"
            )
        self._log, self._catalog, self._index = log, catalog, index
        self._embedding, self._progress = embedding, progress
        self._checkpoint, self._config = checkpoint, config
        self._terms = read_terms(catalog, index.n_items)
        self._share = 1.0
        self.report = BehaviorReport()

    def first(self, hidden: Flags) -> Behavior:
        """Train a model that does not know some events, as long as foretelling them improves."""
        told = tell(self._log, ~hidden)
        judged = _judged(self._log, hidden, told)
        state, fitted = self._new(told, judged, "first", "learning from histories")
        self._share = fitted.share
        return Behavior(state, self._catalog, self._embedding)

    def final(self, hidden: Flags) -> BehaviorState:
        """Train a model on all but some events, as long as the first was."""
        told = tell(self._log, ~hidden)
        return self._new(told, None, "second", "learning from all histories")[0]

    def update(self, old: BehaviorState, hidden: Flags) -> BehaviorState:
        """Continue a model with the histories that went on since, less some events."""
        from pyrec.behavior.export import start_from

        told = tell(self._log, ~hidden, old)
        went_on = np.unique(self._log.user[(self._log.event_id > old.reached) & ~hidden])
        streams = _of_users(told.streams, went_on)
        center = old.table.center
        content = self._content(told, old.table.words, center)
        config = replace(
            old.config,
            epochs=UPDATE_EPOCHS,
            min_steps=UPDATE_STEPS,
            learning_rate=UPDATE_RATE * old.config.learning_rate,
        )
        start = start_from(old, content, streams.n_items, streams.n_actions)
        fitted = self._fit(streams, content, old.table.words, None, config, start, "update")
        return self._state(fitted, told, content, old.table.words, center, old.steps)

    def went_on(self, old: BehaviorState, hidden: Flags) -> bool:
        """Tell whether the log holds anything that a model was not trained on."""
        return bool(((self._log.event_id > old.reached) & ~hidden).any())

    def judge(self, behavior: Behavior, hidden: Flags) -> float:
        """Return the mean nDCG@10 of users from whom some events were hidden, as it will answer."""
        ptr, order = self._log.by_user()
        users = np.unique(self._log.user[hidden])
        found = []
        for n, user in enumerate(users.tolist()):
            places = order[ptr[user] : ptr[user + 1]]
            past, answers = places[~hidden[places]], places[hidden[places]]
            stream = self._log.stream(past)
            logits = behavior.logits(stream, self._index)
            wanted = {self._log.item_ids[i]: 1.0 for i in self._log.item[answers].tolist()}
            wanted = {item: gain for item, gain in wanted.items() if item not in dict(stream)}
            if wanted:
                ranked = [] if logits is None else self._best(logits, [i for i, _ in stream])
                found.append(ndcg(ranked, wanted, 10))
            if n % 100 == 0:
                self._progress("judging", n / len(users))
        return float(np.mean(found)) if found else np.nan

    def done(self) -> None:
        """Remove what an interrupted training would go on from."""
        if self._checkpoint is not None:
            for path in (self._checkpoint, *map(self._file, ("first", "second", "update"))):
                if path is not None:
                    path.unlink(missing_ok=True)

    def _best(self, logits: F32, seen: Sequence[str]) -> list[str]:
        rows = self._catalog.idxs(seen)
        logits[rows[(rows >= 0) & (rows < len(logits))]] = np.nan
        logits[self._index.live == 0] = np.nan
        ranked = np.argsort(-np.nan_to_num(logits, nan=-np.inf), kind="stable")[:10]
        ranked = ranked[~np.isnan(logits[ranked])]
        return [item.item_id for item in self._catalog.items(ranked.astype(np.int32))]

    def _new(
        self, told: Told, judged: Judged | None, name: str, what: str
    ) -> tuple[BehaviorState, Fitted]:
        rows = self._rows(told)
        words = choose_words(self._terms, rows[rows >= 0], self._config.n_words)
        center = center_of(self._index) if self._embedding else np.empty(0, np.float32)
        content = self._content(told, words, center)
        fitted = self._fit(told.streams, content, words, judged, self._config, None, name, what)
        return self._state(fitted, told, content, words, center, 0), fitted

    def _fit(
        self,
        streams: Streams,
        content: Content,
        words: U32,
        judged: Judged | None,
        config: BehaviorConfig,
        start: dict[str, F32] | None,
        name: str,
        what: str = "learning what came since",
    ) -> Fitted:
        from pyrec.behavior.fit import fit

        fitted = fit(
            streams,
            content,
            len(words),
            judged,
            config,
            lambda done: self._progress(what, done),
            checkpoint=self._file(name),
            start=start,
            share=self._share,
        )
        seconds = self.report.seconds + fitted.seconds
        self.report = replace(
            self.report, n_events=len(streams.item), seconds=seconds, device=fitted.device
        )
        return fitted

    def _state(
        self,
        fitted: Fitted,
        told: Told,
        content: Content,
        words: U32,
        center: F32,
        steps: int,
    ) -> BehaviorState:
        from pyrec.behavior.export import export

        network = fitted.network
        rows, scales = quantize(network.raw_rows().detach().numpy())
        bias = network.bias.detach().numpy()
        counts = np.bincount(told.streams.item, minlength=len(told.item_ids))
        rare = bias[: len(counts)][counts <= np.quantile(counts, 0.1)]
        table = ContentTable(
            words,
            network.words.detach().numpy(),
            center,
            network.projection.detach().numpy(),
            float(rare.mean()),
        )
        state = BehaviorState(
            export(network),
            told.item_ids,
            told.actions,
            rows,
            scales,
            bias,
            table,
            self._embedding if len(center) else "",
            self._config,
            int(self._log.event_id.max()),
            steps + fitted.steps,
        )
        self.report = replace(self.report, n_items=len(told.item_ids), steps=state.steps)
        return state

    def _rows(self, told: Told) -> I32:
        rows = self._catalog.idxs(told.item_ids).astype(np.int32)
        rows[rows >= self._index.n_items] = -1
        return rows

    def _content(self, told: Told, words: U32, center: F32) -> Content:
        return content_of(self._terms, self._index, self._rows(told), words, center)

    def _file(self, name: str) -> Path | None:
        path = self._checkpoint
        return path.with_name(f"{path.name}-{name}") if path else None


def as_it_began(log: Log, checkpoint: Path | None) -> int | None:
    """Return the newest event that an interrupted training knows, None where there is none.

    Args:
        log: as it is now.
        checkpoint: the path of a training; the file with this very name says what it began with,
            and says it of a new one from now on.

    Raises:
        StoreError: that file cannot be written.
    """
    if checkpoint is None or not len(log.event_id):
        return None
    if checkpoint.exists() and checkpoint.with_name(f"{checkpoint.name}-first").exists():
        text = checkpoint.read_text("ascii", "replace")
        if text.isdecimal() and float((log.event_id > int(text)).mean()) <= STALE:
            return int(text)
    try:
        checkpoint.write_text(str(int(log.event_id.max())), "ascii")
    except OSError as error:
        raise StoreError(
            f"{checkpoint} cannot be written ({error}); nothing was changed"
        ) from error
    return None


def tell(log: Log, kept: Flags, old: BehaviorState | None = None) -> Told:
    """Return what is kept of a log as streams.

    Args:
        log: the log.
        kept: (n_events,) bool.
        old: a model whose items and actions keep their numbers; what is new comes after them.
    """
    part = log.without(~kept)
    ptr, order = part.by_user()
    counts = np.bincount(part.item, minlength=len(log.item_ids))
    item_ids = [log.item_ids[n] for n in np.flatnonzero(counts).tolist()]
    counts = np.bincount(part.action, minlength=len(log.actions))
    usual = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    actions = [log.actions[n] for n in usual.tolist()]
    if old is not None:
        item_ids = list(dict.fromkeys([*old.item_ids, *item_ids]))
        # A log that had one action and has two now needs a model that reads actions: a new one.
        actions = list(dict.fromkeys([*old.actions, *actions])) if old.has_actions else actions[:1]
    number = _numbers(log.item_ids, item_ids)
    action = _numbers(log.actions, actions)
    streams = Streams(
        ptr,
        number[part.item[order]],
        np.maximum(action[part.action[order]], 0),
        len(item_ids),
        len(actions),
    )
    return Told(streams, tuple(item_ids), tuple(actions), number)


def _numbers(names: Sequence[str], of: Sequence[str]) -> I32:
    place = {name: n for n, name in enumerate(of)}
    return np.array([place.get(name, -1) for name in names], np.int32)


def _judged(log: Log, hidden: Flags, told: Told) -> Judged:
    """Return the histories of users from whom something was hidden, with it."""
    from pyrec.behavior.fit import Judged

    ptr, order = log.by_user()
    users, answers = [], []
    for user in np.unique(log.user[hidden]).tolist():
        places = order[ptr[user] : ptr[user + 1]]
        wanted = np.unique(told.number[log.item[places[hidden[places]]]])
        taken = told.streams.item[told.streams.ptr[user] : told.streams.ptr[user + 1]]
        wanted = wanted[(wanted >= 0) & ~np.isin(wanted, taken)]
        if len(taken) and len(wanted):
            users.append(user)
            answers.append(wanted)
    return Judged(_of_users(told.streams, np.array(users, np.int64)), answers)


def _of_users(streams: Streams, users: npt.NDArray[np.integer]) -> Streams:
    """Return the streams of some users alone, in this order."""
    parts = [np.arange(streams.ptr[u], streams.ptr[u + 1]) for u in users.tolist()]
    places = np.concatenate([np.empty(0, np.int64), *parts])
    ptr = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    return replace(streams, ptr=ptr, item=streams.item[places], action=streams.action[places])
