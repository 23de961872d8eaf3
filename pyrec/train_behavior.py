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
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.asking import Asked, unknown_to
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
from pyrec.behavior.streams import N_JUDGED, Judged, Streams
from pyrec.catalog import Catalog
from pyrec.errors import ModelError, ModelFileError
from pyrec.events import EventLog
from pyrec.metrics import ndcg
from pyrec.questions import Questions
from pyrec.replay import Flags, Log, read_log
from pyrec.telling import Told, judged_of, of_users, tell
from pyrec.train_config import BehaviorAsked, TrainConfig
from pyrec.training_files import TrainingFiles
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
UPDATE_OTHERS = 5000
"""How many users at least, beside those of whom anything is new, it reads again: of a few new
histories alone a model forgets the others."""

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
        old: the model in use, where it is to be continued; None else.

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
        StoreBusyError: another process trains this store's behavior model.
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
        self._config, self._updates = config.behavior, asked.update
        self._in_use, _ = in_use(questions)
        self.old = self._in_use.state if self._in_use and asked.update else None
        self._terms = read_terms(catalog, self._index.n_items)
        self._share = 1.0
        self.report = BehaviorReport()
        self._files = TrainingFiles(asked.checkpoint, "update" if asked.update else "train")
        reached = self._in_use.state.reached if self._in_use else -1
        until = self._files.began(now, reached) if len(now.event_id) else None
        self.log = now if until is None else read_log(events, until)

    def __enter__(self) -> BehaviorTraining:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let others train."""
        self._files.close()

    def evidence(self, asked: Asked) -> Behavior | None:
        """Return a model that has not seen the answers."""
        return self._in_use if self._updates else self._first(asked)

    def finish(self, asked: Asked, why: str) -> tuple[BehaviorState | None, BehaviorReport]:
        """Train the model that stays, and let those judge whose answers it does not know.

        Args:
            asked: who they are.
            why: what speaks against a model that gave evidence; empty for nothing.

        Returns:
            What is to be kept, None for nothing, and what was done.
        """
        why = self._why_no_update(asked) if self._updates else why
        if why:
            return None, replace(self.report, why=why)
        state = self._update(self.old, asked.judged) if self.old else self._final(asked.judged)
        fresh = Behavior(state, self._catalog, self._embedding)
        answers, before = asked.judged, np.nan
        if self._in_use is not None:
            answers = answers & unknown_to(self._in_use.state, self.log)
            before = self._judge(self._in_use, asked.judged, answers)
        after = self._judge(fresh, asked.judged, answers)
        if self._in_use is not None and not after >= before:
            worse = "users who judge found it worse than the one in use"
            why = "nobody could judge it" if np.isnan(after) else worse
        report = replace(
            self.report,
            n_bytes=len(state.pack()),
            before=before,
            after=after,
            used=not why,
            why=why,
        )
        return None if why else state, report

    def done(self) -> None:
        """Remove what an interrupted training would go on from."""
        self._files.done()

    def _why_no_update(self, asked: Asked) -> str:
        """Say why nothing can be continued; empty if something can."""
        if self.old is None:
            return "there is none to go on from; train one first"
        if self.old.embedding and self.old.embedding != self._embedding:
            return (
                f"it reads vectors of {self.old.embedding}, which is not the embedding model in "
                "use; train anew, or go on with that one"
            )
        fresh = (self.log.event_id > self.old.reached) & ~asked.judged
        left = np.bincount(self.log.user[~asked.judged], minlength=len(self.log.user_ids))
        if not (left[self.log.user[fresh]] >= 2).any():
            return "nothing came since it was trained"
        return ""

    def _first(self, asked: Asked) -> Behavior:
        """Train a model that does not know the answers, as long as foretelling them improves.

        Those of the users who judge the mixer do not count for that.
        """
        hidden = asked.hidden | asked.judged
        told = tell(self.log, ~(hidden | asked.newest))
        judged = judged_of(self.log, told, asked.hidden & ~asked.judged, ~hidden)
        state, fitted = self._new(told, judged, "first", "learning from histories")
        self._share = fitted.share
        return Behavior(state, self._catalog, self._embedding)

    def _final(self, hidden: Flags) -> BehaviorState:
        """Train a model on all but some events, as long as the first was."""
        told = tell(self.log, ~hidden)
        return self._new(told, None, "second", "learning from all histories")[0]

    def _update(self, old: BehaviorState, hidden: Flags) -> BehaviorState:
        """Continue a model with the histories that went on since, and others, less some events."""
        from pyrec.behavior.export import start_from

        told = tell(self.log, ~hidden, old)
        went_on = np.unique(self.log.user[(self.log.event_id > old.reached) & ~hidden])
        others = np.setdiff1d(np.arange(told.streams.n_users), went_on)
        drawn = np.random.default_rng(old.config.seed).permutation(others)
        again = drawn[: max(UPDATE_OTHERS, len(went_on))]
        streams = of_users(told.streams, np.concatenate([went_on, again]))
        center = old.table.center
        content = self._content(told, old.table.words, center)
        config = replace(old.config, epochs=UPDATE_EPOCHS, min_steps=UPDATE_STEPS)
        start = start_from(old, content, streams.n_items, streams.n_actions)
        fitted = self._fit(streams, content, old.table.words, None, config, start, "update")
        state = self._state(fitted, told, content, old.table.words, center)
        unknown = self.log.event_id[hidden & unknown_to(old, self.log)]
        return replace(
            state,
            config=old.config,
            embedding=old.embedding,
            kept_back=np.unique(unknown),
            steps=old.steps + fitted.steps,
        )

    def _judge(self, behavior: Behavior, hidden: Flags, answers: Flags) -> float:
        """Return the mean nDCG@10 of users, as the model will answer them.

        Args:
            behavior: the model.
            hidden: (n_events,) bool, what is not told of them.
            answers: (n_events,) bool, the part of that which is asked for.
        """
        ptr, order = self.log.by_user()
        users = np.random.default_rng(0).permutation(np.unique(self.log.user[answers]))[:N_JUDGED]
        found = []
        for n, user in enumerate(users.tolist()):
            places = order[ptr[user] : ptr[user + 1]]
            stream = self.log.stream(places[~hidden[places]])
            seen = dict.fromkeys(item_id for item_id, _ in stream)
            wanted = [self.log.item_ids[i] for i in self.log.item[places[answers[places]]].tolist()]
            gains = {item_id: 1.0 for item_id in wanted if item_id not in seen}
            if gains:
                logits = behavior.logits(stream, self._index)
                ranked = [] if logits is None else self._best(logits, list(seen))
                found.append(ndcg(ranked, gains, 10))
            if n % 100 == 0:
                self._progress("judging", n / len(users))
        return float(np.mean(found)) if found else np.nan

    def _best(self, logits: F32, seen: Sequence[str]) -> list[str]:
        mask = self._index.live.copy()
        rows = self._catalog.idxs(seen)
        mask[rows[(rows >= 0) & (rows < len(mask))]] = 0
        ranked = _core.topk(logits, 10, mask)[0].tolist()
        ids = self._catalog.ids(ranked)
        return [ids[row] for row in ranked if row in ids]

    def _new(
        self, told: Told, judged: Judged | None, name: str, what: str
    ) -> tuple[BehaviorState, Fitted]:
        rows = self._rows(told)
        words = choose_words(self._terms, rows[rows >= 0], self._config.n_words)
        center = center_of(self._index) if self._embedding else np.empty(0, np.float32)
        content = self._content(told, words, center)
        fitted = self._fit(told.streams, content, words, judged, self._config, None, name, what)
        state = self._state(fitted, told, content, words, center)
        kept_back = np.setdiff1d(self.log.event_id, told.event_id)
        return replace(state, kept_back=kept_back), fitted

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
            checkpoint=self._files.stage(name),
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
            np.empty(0, np.int64),
            fitted.steps,
        )
        self.report = replace(self.report, n_items=len(told.item_ids), steps=fitted.steps)
        return state

    def _rows(self, told: Told) -> I32:
        rows = self._catalog.idxs(told.item_ids).astype(np.int32)
        rows[rows >= self._index.n_items] = -1
        return rows

    def _content(self, told: Told, words: U32, center: F32) -> Content:
        return content_of(self._terms, self._index, self._rows(told), words, center)


def in_use(questions: Questions) -> tuple[Behavior | None, str]:
    """Return the behavior model in use, None without one, and what is wrong with it."""
    try:
        return questions.behavior(), ""
    except ModelFileError as error:
        return None, str(error)
