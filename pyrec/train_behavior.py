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

from pyrec.asking import Asked
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
from pyrec.behavior.streams import Judged, Streams
from pyrec.catalog import Catalog
from pyrec.errors import ModelError, ModelFileError, StoreError
from pyrec.events import EventLog
from pyrec.metrics import ndcg
from pyrec.questions import Questions
from pyrec.replay import Flags, Log, read_log
from pyrec.telling import Told, judged_of, of_users, tell
from pyrec.train_config import BehaviorAsked, TrainConfig
from pyrec.vectors import quantize

if TYPE_CHECKING:
    from pyrec.behavior.fit import Fitted

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


class BehaviorTraining:
    """Trains on one log.

    Attributes:
        log: what is read, as it was when a training that was interrupted began.
        known_to: up to which event the evidence knows the log; None where it is trained for that.

    Args:
        now: the log.
        events: where it was read.
        catalog: the items.
        questions: for the catalog's arrays and the model in use.
        asked: what is wanted.
        progress: told how far it is.
        config: the recipe.

    Raises:
        ModelError: PyTorch is not installed.
        StoreError: the files that a training is kept in cannot be written.
    """

    def __init__(
        self,
        now: Log,
        events: EventLog,
        catalog: Catalog,
        questions: Questions,
        asked: BehaviorAsked,
        progress: Progress,
        config: TrainConfig,
    ) -> None:
        if find_spec("torch") is None:
            raise ModelError(
                "the behavior model is trained with PyTorch, which is not installed: "
                "pip install 'pyrec[train]'. Plain `pyrec train` goes without it"
            )
        self._catalog, self._index = catalog, questions.current()
        self._embedding, self._progress = asked.embedding, progress
        self._checkpoint, self._config = asked.checkpoint, config.behavior
        self._updates = asked.update
        self._in_use, self._old = _in_use(questions)
        until = None if asked.update else as_it_began(now, asked.checkpoint)
        self.log = now if until is None else read_log(events, until)
        self.known_to = self._old.reached if asked.update and self._old else None
        self._terms = read_terms(catalog, self._index.n_items)
        self._share = 1.0
        self.report = BehaviorReport()

    def evidence(self, asked: Asked) -> Behavior | None:
        """Return a model that has not seen the answers."""
        return self._in_use if self._updates else self._first(asked.hidden | asked.judged)

    def finish(self, asked: Asked, why: str) -> tuple[BehaviorState | None, BehaviorReport]:
        """Train the model that stays, and let those judge whose answers it does not know.

        Args:
            asked: who they are.
            why: what speaks against a model that gave evidence; empty for nothing.

        Returns:
            What is to be kept, None for nothing, and what was done.
        """
        if self._updates:
            if self._old is None:
                return None, BehaviorReport(why="there is none to go on from; train one first")
            if not ((self.log.event_id > self._old.reached) & ~asked.judged).any():
                return None, BehaviorReport(why="nothing came since it was trained")
            state = self._update(self._old, asked.judged)
        elif why:
            return None, BehaviorReport(why=why)
        else:
            state = self._final(asked.judged)
        fresh = Behavior(state, self._catalog, self._embedding)
        before = self._judge(self._in_use, asked.judged) if self._in_use else np.nan
        after = self._judge(fresh, asked.judged)
        used = not after < before
        report = replace(
            self.report,
            n_bytes=len(state.pack()),
            before=before,
            after=after,
            used=used,
            why="" if used else "users who judge found it worse than the one in use",
        )
        return state if used else None, report

    def _first(self, hidden: Flags) -> Behavior:
        """Train a model that does not know some events, as long as foretelling them improves."""
        told = tell(self.log, ~hidden)
        judged = judged_of(self.log, hidden, told)
        state, fitted = self._new(told, judged, "first", "learning from histories")
        self._share = fitted.share
        return Behavior(state, self._catalog, self._embedding)

    def _final(self, hidden: Flags) -> BehaviorState:
        """Train a model on all but some events, as long as the first was."""
        told = tell(self.log, ~hidden)
        return self._new(told, None, "second", "learning from all histories")[0]

    def _update(self, old: BehaviorState, hidden: Flags) -> BehaviorState:
        """Continue a model with the histories that went on since, less some events."""
        from pyrec.behavior.export import start_from

        told = tell(self.log, ~hidden, old)
        went_on = np.unique(self.log.user[(self.log.event_id > old.reached) & ~hidden])
        streams = of_users(told.streams, went_on)
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

    def _judge(self, behavior: Behavior, hidden: Flags) -> float:
        """Return the mean nDCG@10 of users from whom some events were hidden, as it will answer."""
        ptr, order = self.log.by_user()
        users = np.unique(self.log.user[hidden])
        found = []
        for n, user in enumerate(users.tolist()):
            places = order[ptr[user] : ptr[user + 1]]
            past, answers = places[~hidden[places]], places[hidden[places]]
            stream = self.log.stream(past)
            logits = behavior.logits(stream, self._index)
            wanted = {self.log.item_ids[i]: 1.0 for i in self.log.item[answers].tolist()}
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
            int(self.log.event_id.max()),
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


def _in_use(questions: Questions) -> tuple[Behavior | None, BehaviorState | None]:
    """Return the model in use; a damaged one is none, so that a training can replace it."""
    try:
        behavior = questions.behavior()
    except ModelFileError:
        return None, None
    return behavior, behavior.state if behavior else None


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
