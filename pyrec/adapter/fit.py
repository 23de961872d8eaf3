"""Maximum likelihood for an adapter: which tokens answer, over all examples of a store.

Every step has examples and a learning rate of its own number, and nothing is random within one, so
that training that was interrupted and goes on from a checkpoint ends with the very adapter of one
that was not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyrec.adapter.compared import Compared
from pyrec.adapter.config import AdapterConfig
from pyrec.adapter.draws import LEARN, STOP
from pyrec.adapter.examples import Example, batches
from pyrec.adapter.export import Learned
from pyrec.adapter.network import Network, load_network
from pyrec.adapter.packing import pack, token_logprobs
from pyrec.checkpoint import Checkpoint, State
from pyrec.errors import EventError

CLIP = 1.0
CHECKPOINT_S = 30.0
"""How often what training stands at is kept."""

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Fitted:
    """What was learned.

    Attributes:
        learned: at its best validation, by the names of `Network.state_dict`.
        architecture: of the text model.
        steps: how many steps led there.
        n_steps: how many were taken.
        before: nats an answer of those that tell when to stop, without what was learned.
        after: the same with it.
        seconds: of training, those before an interruption included.
        device: where it was trained.
        why_ended: what ended it: `all steps`, `no better` or `out of time`.
    """

    learned: Learned
    architecture: str
    steps: int
    n_steps: int
    before: float
    after: float
    seconds: float
    device: str
    why_ended: str


def fit(
    path: Path,
    examples: Sequence[Example],
    config: AdapterConfig,
    progress: Progress,
    *,
    checkpoint: Path | None = None,
) -> Fitted:
    """Learn an adapter of a text model.

    Args:
        path: the model's GGUF.
        examples: to learn from, and to tell when to stop; those that judge are not looked at.
        config: the recipe.
        progress: told the share that is done.
        checkpoint: a file that training is kept in and goes on from; removed by the caller.

    Raises:
        ModelFileError: the model cannot be adapted.
        EventError: there is nothing to learn from, or nothing that tells when to stop.
        StoreError: the checkpoint is damaged, or cannot be written.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    network = load_network(
        path,
        rank=config.rank,
        alpha=config.alpha,
        targets=config.targets,
        dtype=_fast_type(device),
    ).to(device)
    training = _Training(network, examples, config)
    kept = Checkpoint(checkpoint, _digest(path, examples, config))
    if (state := kept.load(device)) is not None:
        training.load(state)
    began = saved = time.monotonic()
    spent = training.seconds
    if training.step == 0:
        training.judge()
    while not training.why_ended:
        training.advance()
        training.seconds = spent + time.monotonic() - began
        if training.step % training.every == 0 or training.step == training.n_steps:
            training.judge()
        if time.monotonic() - saved > CHECKPOINT_S:
            kept.save(training.state())
            saved = time.monotonic()
        progress(training.share)
    if training.why_ended == "out of time" and training.judged_at < training.step:
        training.judge()
    kept.save(training.state())
    return training.result(device.type)


class _Training:
    """Where a training stands; all of it goes into a checkpoint."""

    def __init__(
        self, network: Network, examples: Sequence[Example], config: AdapterConfig
    ) -> None:
        self.network, self.config = network, config
        self._learn = [e for e in examples if e.held_out == LEARN]
        self._stop = _some([e for e in examples if e.held_out == STOP], config.n_judged)
        if not self._learn or not self._stop:
            raise EventError(
                "there are too few items and histories to adapt a text model to; import more"
            )
        self._compared = Compared(examples, network.shape.n_vocab, config, network.rows.device)
        self._epoch, self._first = 0, 0
        self._batches = self._batches_of(0)
        self.n_steps = min(config.max_steps, config.epochs * len(self._batches))
        self.every = max(1, self.n_steps // config.n_validations)
        self.optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
        )
        self.step = self.best_step = self.bad = 0
        self.judged_at = -1
        self.seconds = 0.0
        self.before = self.best_score = -float("inf")
        self.best: dict[str, Tensor] = {}

    @property
    def why_ended(self) -> str:
        """What ends the training here, empty if nothing does."""
        if self.step >= self.n_steps:
            return "all steps"
        if self.bad >= self.config.patience:
            return "no better"
        return "out of time" if self.seconds > 60.0 * self.config.minutes else ""

    @property
    def share(self) -> float:
        """How much is done."""
        of_time = self.seconds / (60.0 * self.config.minutes)
        return min(1.0, max(of_time, self.step / self.n_steps))

    def _batches_of(self, number: int) -> list[list[int]]:
        rng = np.random.default_rng((self.config.seed, number))
        return batches(self._learn, self.config.batch_tokens, rng)

    def advance(self) -> None:
        """Take one step."""
        while self.step >= self._first + len(self._batches):  # epochs may differ by a batch
            self._first += len(self._batches)
            self._epoch += 1
            self._batches = self._batches_of(self._epoch)
        warmup = self.n_steps // 10 + 1
        rate = min(1.0, (self.step + 1) / warmup) * (1.0 - self.step / self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * rate
        batch = [self._learn[n] for n in self._batches[self.step - self._first]]
        packed = pack(batch, self.network.rows.device)
        loss = -token_logprobs(self.network, packed, self._compared.at(self.step)).mean()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1

    def judge(self) -> None:
        """Keep what was learned if it is the best so far."""
        score = mean_logprob(self.network, self._stop, self.config.batch_tokens)
        self.judged_at = self.step
        if self.step == 0:
            self.before = score
        if score > self.best_score:
            self.best_score, self.best_step, self.bad = score, self.step, 0
            state = self.network.state_dict()
            self.best = {name: value.detach().cpu().clone() for name, value in state.items()}
        else:
            self.bad += 1

    def state(self) -> State:
        """Return all that a checkpoint needs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **{name: getattr(self, name) for name in _KEPT},
        }

    def load(self, state: State) -> None:
        """Go on from a checkpoint."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in _KEPT:
            setattr(self, name, state[name])

    def result(self, device: str) -> Fitted:
        """Return what was best."""
        return Fitted(
            {name: value.cpu().float().numpy() for name, value in self.best.items()},
            self.network.shape.architecture,
            self.best_step,
            self.step,
            self.before,
            self.best_score,
            self.seconds,
            device,
            self.why_ended,
        )


_KEPT = ("step", "best_step", "bad", "judged_at", "seconds", "before", "best_score", "best")


@torch.no_grad()
def mean_logprob(network: Network, examples: Sequence[Example], n_tokens: int) -> float:
    """Return log P of an answer on average over kinds of questions, in nats."""
    total: dict[str, float] = {}
    n_answers: dict[str, int] = {}
    for batch in batches(examples, n_tokens, np.random.default_rng(0)):
        some = [examples[n] for n in batch]
        kind = some[0].kind
        logprobs = token_logprobs(network, pack(some, network.rows.device))
        total[kind] = total.get(kind, 0.0) + float(logprobs.double().sum())
        n_answers[kind] = n_answers.get(kind, 0) + sum(e.n_answers for e in some)
    return float(np.mean([total[kind] / n_answers[kind] for kind in total]))


def _some(examples: Sequence[Example], n: int) -> list[Example]:
    """Return about n answers of each kind, drawn in a fixed way."""
    kept: list[Example] = []
    for kind in sorted({e.kind for e in examples}):
        of_kind = [e for e in examples if e.kind == kind]
        held = 0
        for number in np.random.default_rng(0).permutation(len(of_kind)).tolist():
            if held < n:
                kept.append(of_kind[number])
                held += of_kind[number].n_answers
    return kept


def _fast_type(device: torch.device) -> torch.dtype:
    """Return the type that the machine multiplies fastest in; sums are of float32 in any case."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    # Other processors emulate it, slower than float32.
    tells = (
        getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")
    )
    return torch.bfloat16 if any(tell is not None and tell() for tell in tells) else torch.float32


def _digest(path: Path, examples: Sequence[Example], config: AdapterConfig) -> str:
    """Name a training by all that it depends on."""
    # Its time budget is not among that: who has more time goes on.
    recipe = {name: value for name, value in asdict(config).items() if name != "minutes"}
    found = hashlib.sha256(repr((sorted(recipe.items()), torch.__version__)).encode())
    found.update(repr((path.name, path.stat().st_size)).encode())
    for example in examples:
        told = (example.kind, example.first, example.n_answers, example.held_out)
        found.update(repr(told).encode())
        found.update(example.tokens.tobytes())
    return found.hexdigest()
