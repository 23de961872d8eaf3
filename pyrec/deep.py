"""What signals say together: a small network beside the mixer's sum, learned by back-propagation.

    log P(y | x) = theta . phi(x, y) + outer . max(0, inner . phi(x, y) + bias) - log sum over y'

The sum is the wide part, in which each signal counts for itself. The network is the deep one (Cheng
et al., 2016, "Wide & Deep Learning for Recommender Systems"): it learns that what follows the
newest thing tells more where two signals agree, or where many took it. `train.py` fits it to what
the wide part leaves, with theta held; the signal `deep` gives it its say, so everything that holds
for signals holds for it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec import _core

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

MIN_POOLS = 500
"""With fewer to learn from signals are added up and no more."""
N_MEASURED = 500
"""From about how many pools the means and deviations of the features are taken."""
LEAST = 0.05
"""No feature counts as spread less: one that hardly ever spoke would be blown up when it does."""
BLOCK = 64
"""Rows that are read at once: so few that no second thread is called, which on a busy machine may
be waited for longer than all of it takes."""
_BETAS, _TINY = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class DeepConfig:
    """How the network is fitted.

    Attributes:
        n_networks: networks that begin elsewhere and are averaged, which are one of as many units:
            of one the beginning decides a third of what it is worth.
        width: units of the one layer of each.
        epochs: how often all pools are seen.
        batch: pools a step.
        rate: the learning rate of Adam, which falls to zero.
        decay: what a step takes off each weight, times the rate.
        seed: where it begins, and the order of pools.
    """

    n_networks: int = 2
    width: int = 32
    epochs: int = 16
    batch: int = 32
    rate: float = 3e-3
    decay: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class DeepState:
    """A fitted network over the features of some signals.

    Attributes:
        names: the signals, in the order of their features.
        inner: (n_signals * 4, width) float32.
        bias: (width,) float32.
        outer: (width,) float32.
        held_out, salt: whom it did not learn from, as `asking.is_judge` tells.
    """

    names: tuple[str, ...]
    inner: F32
    bias: F32
    outer: F32
    held_out: float = 0.0
    salt: str = ""

    def logits(self, phi: F32) -> F32:
        """Return what it adds to log P of each row of features, (n,) float32 in nats."""
        found = np.empty(len(phi), np.float32)
        for begin in range(0, len(phi), BLOCK):
            rows = slice(begin, begin + BLOCK)
            found[rows] = np.maximum(phi[rows] @ self.inner + self.bias, 0.0) @ self.outer
        return found

    def pack(self) -> bytes:
        """Write it for `unpack`."""
        packed = io.BytesIO()
        said = json.dumps([self.names, self.held_out, self.salt])
        about = np.frombuffer(said.encode("utf-8"), np.uint8)
        np.savez(packed, about=about, inner=self.inner, bias=self.bias, outer=self.outer)
        return packed.getvalue()

    @classmethod
    def unpack(cls, packed: bytes) -> DeepState:
        """Read what `pack` wrote."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as data:
            names, held_out, salt = json.loads(bytes(data["about"]))
            arrays = (data["inner"], data["bias"], data["outer"])
            return cls(tuple(names), *arrays, held_out, salt)


@dataclass(frozen=True)
class Taught:
    """One pool to learn from: values (n, n_signals), target (n,) that sums to 1, depth 0 to 1."""

    values: F32
    target: F32
    depth: float


def fit(
    names: Sequence[str],
    pools: Sequence[Taught],
    theta: F32,
    progress: Callable[[float], None],
    config: DeepConfig | None = None,
) -> DeepState:
    """Fit a network to pools: the mean loss falls by stochastic gradients, theta held.

    The same to the bit on the same machine with as many threads.

    Args:
        names: the signals, in the order of the columns of values.
        pools: what is learned from.
        theta: (n_signals * 4,) float32, the wide part.
        progress: told the share that is done.
        config: how to fit.
    """
    config = config or DeepConfig()
    measured = _Batch.of(pools[:: -(-len(pools) // N_MEASURED)], theta).phi
    mean, spread = measured.mean(axis=0), np.maximum(measured.std(axis=0), np.float32(LEAST))
    found = []
    for n in range(config.n_networks):
        rng = np.random.default_rng([config.seed, n])

        def told(share: float, done: int = n) -> None:
            progress((done + share) / config.n_networks)

        found.append(_network(pools, theta, mean, spread, rng, told, config))
    inner, bias, outer = (np.concatenate(part, axis=-1) for part in zip(*found, strict=True))
    scaled = inner / spread[:, None]
    return DeepState(tuple(names), scaled, bias - mean @ scaled, outer / np.float32(len(found)))


def _network(
    pools: Sequence[Taught],
    theta: F32,
    mean: F32,
    spread: F32,
    rng: np.random.Generator,
    progress: Callable[[float], None],
    config: DeepConfig,
) -> list[F32]:
    """Fit one network; return inner, bias and outer by standardized features."""
    n, width = len(theta), config.width
    inner = rng.standard_normal((n, width), np.float32) / np.float32(np.sqrt(n))
    weights = [inner, np.zeros(width, np.float32), np.zeros(width, np.float32)]
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    n_steps = config.epochs * -(-len(pools) // config.batch)
    step = 0
    for _ in range(config.epochs):
        order = rng.permutation(len(pools))
        for begin in range(0, len(pools), config.batch):
            batch = _Batch.of([pools[i] for i in order[begin : begin + config.batch]], theta)
            gradients = batch.gradients(weights, mean, spread)
            step += 1
            rate = config.rate * (1.0 - (step - 1) / n_steps)
            for w, gradient, (first, second) in zip(weights, gradients, moments, strict=True):
                _adam(w, gradient, first, second, step, rate, config.decay)
            progress(step / n_steps)
    return weights


@dataclass(frozen=True)
class _Batch:
    """Pools one after the other: features, targets, what the wide part says, where each begins."""

    phi: F32
    target: F32
    wide: F32
    begins: I64

    @classmethod
    def of(cls, pools: Sequence[Taught], theta: F32) -> _Batch:
        values = np.ascontiguousarray(np.concatenate([pool.values for pool in pools]))
        groups = np.cumsum([0, *(len(pool.target) for pool in pools)]).astype(np.int64)
        depth = np.array([pool.depth for pool in pools], np.float32)
        phi = _core.features(values, groups, depth)
        target = np.concatenate([pool.target for pool in pools])
        return cls(phi, target, phi @ theta, groups[:-1])

    def gradients(self, weights: Sequence[F32], mean: F32, spread: F32) -> tuple[F32, F32, F32]:
        """Return the gradient of the mean loss by inner, bias and outer: back-propagation."""
        inner, bias, outer = weights
        x = (self.phi - mean) / spread
        hidden = np.maximum(x @ inner + bias, 0.0)
        logits = self.wide + hidden @ outer
        lengths = np.diff(np.append(self.begins, len(logits)))
        logits -= np.repeat(np.maximum.reduceat(logits, self.begins), lengths)
        p = np.exp(logits)
        p /= np.repeat(np.add.reduceat(p, self.begins), lengths)
        of_logits = (p - self.target) / np.float32(len(self.begins))
        of_hidden = np.where(hidden > 0.0, of_logits[:, None] * outer, np.float32(0.0))
        return x.T @ of_hidden, of_hidden.sum(axis=0), hidden.T @ of_logits


def _adam(
    w: F32, gradient: F32, first: F32, second: F32, step: int, rate: float, decay: float
) -> None:
    """Take one step in place (Kingma and Ba, 2015; decay as Loshchilov and Hutter, 2019)."""
    one, two = _BETAS
    first += np.float32(1.0 - one) * (gradient - first)
    second += np.float32(1.0 - two) * (gradient * gradient - second)
    size = np.sqrt(second / np.float32(1.0 - two**step)) + np.float32(_TINY)
    w -= np.float32(rate) * (first / np.float32(1.0 - one**step) / size + np.float32(decay) * w)
