"""Maximum likelihood for the behavior model: which token follows, over all histories.

    loss = cross-entropy of the next item + action_weight . cross-entropy of the next action

A share of each answer goes to items that stand near it in other histories (`streams.neighbors`): by
chance, a step at a time. Every step has random numbers of its own, so that training that was
interrupted and goes on from a checkpoint ends with the very model of one that was not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pyrec.behavior.config import BehaviorConfig
from pyrec.behavior.content import Content
from pyrec.behavior.network import Network
from pyrec.behavior.streams import (
    N_JUDGED,
    Judged,
    Streams,
    Window,
    epoch,
    neighbors,
    window_start,
    windows,
)
from pyrec.checkpoint import Checkpoint
from pyrec.errors import EventError

CLIP = 5.0
WARMUP = 100
"""Steps in which the learning rate rises, at most a tenth of all."""
CHECKPOINT_S = 30.0
"""How often what training stands at is kept."""
_AT_ONCE = 256

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: as it was at its best validation.
        steps: how many steps led there.
        share: of all that there would have been.
        seconds: of training, from the last checkpoint on.
        device: where it was trained.
    """

    network: Network
    steps: int
    share: float
    seconds: float
    device: str


def fit(
    streams: Streams,
    content: Content,
    n_words: int,
    judged: Judged | None,
    config: BehaviorConfig,
    progress: Progress,
    *,
    checkpoint: Path | None = None,
    start: dict[str, npt.NDArray[np.float32]] | None = None,
    share: float = 1.0,
) -> Fitted:
    """Train a model on streams.

    Args:
        streams: the histories.
        content: what is known of their items.
        n_words: rows of the vocabulary.
        judged: what tells when to stop; None to go through all steps.
        config: the recipe.
        progress: told the share that is done.
        checkpoint: a file that training is kept in and goes on from; removed by the caller.
        start: weights to start from, by the names of `Network.state_dict`; None for random ones.
        share: how much of the steps to take.

    Raises:
        StoreError: the checkpoint is damaged, or cannot be written, say on a full disk.
        EventError: no history holds two events.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    network = Network(streams.n_items, streams.n_actions, content, n_words, config)
    if start is not None:
        network.load_state_dict({name: torch.from_numpy(a) for name, a in start.items()})
    network.to(device)
    training = _Training(network, streams, config)
    kept = Checkpoint(checkpoint, _digest(streams, content, config, start, share))
    if (state := kept.load(training.device)) is not None:
        training.load(state)
    last = max(1, round(share * training.n_steps))
    began = saved = time.monotonic()
    network.train()
    while training.step < last and not training.is_over:
        training.advance()
        if judged is not None and (training.step % training.every == 0 or training.step == last):
            training.judge(_gain(network, judged))
        if time.monotonic() - saved > CHECKPOINT_S:
            kept.save(training.state())
            saved = time.monotonic()
        progress(training.step / last)
    kept.save(training.state())
    if training.best is not None:
        network.load_state_dict(training.best)
    network.to("cpu").eval()
    steps = training.best_step if training.best is not None else training.step
    seconds = time.monotonic() - began
    return Fitted(network, steps, steps / training.n_steps, seconds, device.type)


class _Training:
    """Where a training stands; all of it goes into a checkpoint."""

    def __init__(self, network: Network, streams: Streams, config: BehaviorConfig) -> None:
        self.network, self.streams, self.config = network, streams, config
        self.device = network.bias.device
        near, share = neighbors(streams, config.n_neighbors)
        self._near = torch.from_numpy(near.astype(np.int64)).to(self.device)
        self._share = torch.from_numpy(share).to(self.device)
        counts = np.bincount(streams.item, minlength=streams.n_items)
        share_of = torch.from_numpy(counts / max(len(streams.item), 1))
        self._popularity = share_of.float().to(self.device)
        self._cut = windows(streams, config.length)
        if not self._cut:
            raise EventError("no history holds two events: there is nothing to foretell")
        self._epoch, self._first = 0, 0
        self._batches = self._batches_of(0)
        per_epoch = len(self._batches)
        self.n_steps = max(config.epochs * per_epoch, config.min_steps)
        self.warmup = min(WARMUP, self.n_steps // 10)
        self.every = max(1, self.n_steps // config.epochs)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
        )
        self.step = self.best_step = self.bad = 0
        self.best_score = -1.0
        self.best: dict[str, Tensor] | None = None

    @property
    def is_over(self) -> bool:
        """Whether enough validations brought nothing better."""
        return self.bad >= self.config.patience

    def _batches_of(self, number: int) -> list[list[Window]]:
        rng = np.random.default_rng((self.config.seed, number))
        return list(epoch(self.streams, self._cut, self.config.batch_events, rng))

    def advance(self) -> None:
        """Take one step."""
        while self.step >= self._first + len(self._batches):  # epochs may differ by a batch
            self._first += len(self._batches)
            self._epoch += 1
            self._batches = self._batches_of(self._epoch)
        torch.manual_seed(hash((self.config.seed, self.step)) & 0x7FFFFFFF)
        rise, fall = (self.step + 1) / (self.warmup + 1), 1.0 - self.step / self.n_steps
        rate = min(1.0, rise) * fall
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * rate
        loss = self._loss(self._batches[self.step - self._first])
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1

    def judge(self, score: float) -> None:
        """Keep the weights if they are the best so far."""
        if score > self.best_score:
            self.best_score, self.best_step, self.bad = score, self.step, 0
            state = self.network.state_dict()
            self.best = {name: value.detach().cpu().clone() for name, value in state.items()}
        else:
            self.bad += 1

    def _loss(self, batch: Sequence[Window]) -> Tensor:
        n_items = self.streams.n_items
        tokens, targets = _encode(self.streams, batch)
        x, y = torch.from_numpy(tokens).to(self.device), torch.from_numpy(targets).to(self.device)
        asked = y >= 0
        is_item = y[asked] < n_items
        answers = y[asked].clone()
        answers[is_item] = self._smoothed(answers[is_item])
        used = self._used(x, answers)
        rows = self.network.rows(used)
        place = x if used is None else torch.searchsorted(used, x)
        hidden = self.network(F.embedding(place, rows))[asked]
        bias = self.network.bias if used is None else self.network.bias[used]
        temperature = self.config.temperature
        n_used = n_items if used is None else int((used < n_items).sum())
        wanted = answers if used is None else torch.searchsorted(used, answers)
        scores = temperature * hidden[is_item] @ rows[:n_used].T + bias[:n_used]
        if used is not None:
            scores = scores - self._chance(used[:n_used], int(is_item.sum()))
        loss = F.cross_entropy(scores, wanted[is_item])
        if self.streams.has_actions:
            scores = temperature * hidden[~is_item] @ rows[n_used:].T + bias[n_used:]
            of_actions = F.cross_entropy(scores, wanted[~is_item] - n_used)
            loss = loss + self.config.action_weight * of_actions
        return loss

    def _smoothed(self, answers: Tensor) -> Tensor:
        """Put neighbors in the place of some answers."""
        moved = torch.rand(len(answers), device=self.device) < self.config.smoothing
        place = torch.multinomial(self._share[answers], 1)
        near = self._near[answers].gather(1, place)[:, 0]
        return torch.where(moved, near, answers)

    def _used(self, x: Tensor, answers: Tensor) -> Tensor | None:
        """Choose the tokens whose rows a step computes, ascending; None for all."""
        n_items, most = self.streams.n_items, self.config.max_full
        if n_items <= most:
            return None
        some = torch.randint(n_items, (most,), device=self.device)
        actions = torch.arange(n_items, n_items + self.streams.n_actions, device=self.device)
        used: Tensor = torch.unique(torch.cat([x.flatten(), answers, some, actions]))
        return used

    def _chance(self, items: Tensor, n_answers: int) -> Tensor:
        """Return the log of the chance that items are compared in a step.

        Taken off their scores, so that the loss is that of all items on average (Bengio and
        Senecal, 2008, "Adaptive Importance Sampling").
        """
        absent = (1.0 - 1.0 / self.streams.n_items) ** self.config.max_full
        here = 1.0 - absent * (1.0 - self._popularity[items]) ** (2 * n_answers)
        return torch.log(here)

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint needs."""
        names = ("step", "best_step", "bad", "best_score", "best")
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **{name: getattr(self, name) for name in names},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.network.load_state_dict(state.pop("network"))
        self.optimizer.load_state_dict(state.pop("optimizer"))
        for name, value in state.items():
            setattr(self, name, value)


def _encode(
    streams: Streams, batch: Sequence[Window]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the tokens of windows and what follows each, (n, length) int64, -1 for no question."""
    each = 2 if streams.has_actions else 1
    length = each * max(w.end - w.begin for w in batch) - 1
    tokens = np.zeros((len(batch), length), np.int64)
    targets = np.full((len(batch), length), -1, np.int64)
    for row, window in enumerate(batch):
        stream = streams.tokens(window.begin, window.end)
        begin = each * (window.first - window.begin) - 1
        tokens[row, : len(stream) - 1] = stream[:-1]
        targets[row, begin : len(stream) - 1] = stream[begin + 1 :]
    return tokens, targets


@torch.no_grad()
def _gain(network: Network, judged: Judged) -> float:
    """Return the mean discount of what judged users took, wherever it stands.

    That is nDCG without a cut: with one, most users say nothing, and chance stops a training.
    """
    network.eval()
    streams, config = judged.streams, network.config
    device = network.bias.device
    rows = network.rows()
    n_items = streams.n_items
    total = 0.0
    users = range(min(streams.n_users, N_JUDGED))
    for first in range(0, len(users), _AT_ONCE):
        some = users[first : first + _AT_ONCE]
        read = []
        for user in some:
            begin, end = int(streams.ptr[user]), int(streams.ptr[user + 1])
            begin += window_start(end - begin, config.length)
            read.append(streams.tokens(begin, end))
        tokens = np.zeros((len(some), max(map(len, read))), np.int64)
        for row, stream in zip(tokens, read, strict=True):
            row[: len(stream)] = stream
        last = torch.tensor([len(stream) - 1 for stream in read], device=device)
        hidden = network(F.embedding(torch.from_numpy(tokens).to(device), rows))
        hidden = hidden[torch.arange(len(some), device=device), last]
        scores = config.temperature * hidden @ rows[:n_items].T + network.bias[:n_items]
        for user, of_user in zip(some, scores, strict=True):
            taken = streams.item[streams.ptr[user] : streams.ptr[user + 1]]
            of_user[torch.from_numpy(taken.astype(np.int64)).to(device)] = -torch.inf
            answers = torch.from_numpy(judged.answers[user].astype(np.int64)).to(device)
            ranks = (of_user[None] > of_user[answers, None]).sum(dim=1)
            total += float((1.0 / torch.log2(2.0 + ranks)).mean())
    network.train()
    return total / max(len(users), 1)


def _digest(streams: Streams, content: Content, config: BehaviorConfig, *more: object) -> str:
    """Name a training by all that it depends on."""
    found = hashlib.sha256(repr((sorted(asdict(config).items()), torch.__version__)).encode())
    for array in (streams.ptr, streams.item, streams.action, content.word, content.vectors):
        found.update(np.ascontiguousarray(array).tobytes())
    for other in more:
        if isinstance(other, dict):
            for tensor in other.values():
                found.update(np.ascontiguousarray(tensor).tobytes())
        else:
            found.update(repr(other).encode())
    return found.hexdigest()
