"""Training: histories become questions and answers, and theta the most likely for them.

The last things of many users are hidden and asked for from what they took before; the mixer is
fitted to convergence by maximum likelihood, near the theta that comes with pyrec. The result is
used only if users who were kept out of the fit find it no less likely. The linear item model is
fitted on the way. Called by `Recommender.train`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyrec import mixer
from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.learned import Learned
from pyrec.mixer import Mixer
from pyrec.questions import Questions
from pyrec.replay import Asked, Flags, Log, Replay, fit_linear, read_log
from pyrec.signals.base import F32, Signal
from pyrec.tasks.recommend import HISTORY, RecommendTask

LEARNED = (*sorted(HISTORY), "taken", "popular_unasked")
"""The signals whose weights are learned from histories."""

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        n_users: how many users are asked at most; more would hardly move so few weights.
        min_users: with fewer, the weights that come with pyrec stay.
        min_events: what a user must have taken to be asked.
        share: how much of a history is hidden, at least one and at most `max_answers` events.
        held_out: share of the users that judge the result.
        l2: pull toward the weights that come with pyrec, see `mixer.fit`.
        seed: who is asked.
    """

    n_users: int = 5000
    min_users: int = 50
    min_events: int = 3
    share: float = 0.2
    max_answers: int = 20
    held_out: float = 0.2
    l2: float = 1e-4
    seed: int = 0


@dataclass(frozen=True)
class TrainReport:
    """What training did.

    Attributes:
        n_users: users asked.
        before: mean loss of the held-out users with the old weights, in nats; NaN without any.
        after: the same with the fitted ones.
        used: whether the fitted weights are used from now on.
        why: what speaks against them, empty if nothing.
    """

    n_users: int
    before: float
    after: float
    used: bool
    why: str


def train(
    catalog: Catalog,
    events: EventLog,
    questions: Questions,
    learned: Learned,
    signals: Sequence[Signal],
    theta: Mapping[str, Sequence[float]],
    prior: Mapping[str, Sequence[float]],
    progress: Progress,
    config: TrainConfig,
) -> TrainReport:
    """Fit theta and the linear model to a store's log, and keep them.

    Args:
        catalog: the items.
        events: the log.
        questions: encodes questions.
        learned: where the result is kept.
        signals: all that there are.
        theta: the weights in use.
        prior: the weights to stay near.
        progress: told how far it is.
        config: how to train.
    """
    log = read_log(events)
    users = _chosen(log, config)
    used = [s for s in signals if s.name in LEARNED]
    report, fitted = TrainReport(len(users), np.nan, np.nan, False, "too few users"), None
    if len(users) >= config.min_users:
        progress("fitting the linear model without the answers", 0.0)
        replay = Replay(log, last_of(log, users, config), catalog, questions.current())
        asked = replay.asked(users, include_seen=False)
        names = [s.name for s in used]
        task = RecommendTask(used, Mixer(names, theta))
        pools = []
        walk = replay.evidence(questions, task, asked, include_seen=False)
        for n, (pool, values) in enumerate(walk, 1):
            pools.append((values, _target(replay, asked[n - 1], pool)))
            if n % 50 == 0:
                progress("asking", n / len(asked))
        report, fitted = _fit(pools, task.mixer, Mixer(names, prior), config)
    progress("fitting the linear model", 0.0)
    linear = fit_linear(log)
    learned.keep(fitted, linear, log.item_ids)
    return report


def last_of(log: Log, users: Sequence[int], config: TrainConfig) -> Flags:
    """Mark the last events of some users, (n_events,) bool."""
    ptr, order = log.by_user()
    hidden = np.zeros(len(log.user), bool)
    for user in users:
        n = ptr[user + 1] - ptr[user]
        n_hidden = min(max(1, round(config.share * n)), config.max_answers)
        hidden[order[ptr[user + 1] - n_hidden : ptr[user + 1]]] = True
    return hidden


def _chosen(log: Log, config: TrainConfig) -> np.ndarray:
    counts = np.bincount(log.user, minlength=len(log.user_ids))
    enough = np.flatnonzero(counts >= config.min_events)
    rng = np.random.default_rng(config.seed)
    return np.sort(rng.permutation(enough)[: config.n_users])


def _target(replay: Replay, asked: Asked, pool: np.ndarray) -> F32:
    right = np.isin(pool, replay.crowd.row_of[asked.answers]).astype(np.float32)
    total = right.sum()
    share: F32 = right / total if total > 0.0 else right
    return share


def _fit(
    pools: Sequence[tuple[F32, F32]], old: Mixer, prior: Mixer, config: TrainConfig
) -> tuple[TrainReport, dict[str, tuple[float, ...]] | None]:
    """Fit on most pools, and judge by the others."""
    useful = [pool for pool in pools if pool[1].any()]
    rng = np.random.default_rng(config.seed)
    held = rng.permutation(len(useful)) < config.held_out * len(useful)
    judged = [pool for pool, out in zip(useful, held, strict=True) if out]
    learnt = [pool for pool, out in zip(useful, held, strict=True) if not out]
    if len(learnt) < config.min_users // 2 or not judged:
        why = "too few users whose answer any signal names"
        return TrainReport(len(pools), np.nan, np.nan, False, why), None
    values = np.concatenate([v for v, _ in learnt])
    target = np.concatenate([t for _, t in learnt])
    groups = np.cumsum([0, *(len(t) for _, t in learnt)]).astype(np.int64)
    fitted, _ = mixer.fit(values, target, groups, prior, l2=config.l2)
    before, after = loss(old, judged), loss(fitted, judged)
    used = after <= before
    why = "" if used else "held-out users find it less likely"
    return TrainReport(len(pools), before, after, used, why), fitted.as_dict() if used else None


def loss(theta: Mixer, pools: Sequence[tuple[F32, F32]]) -> float:
    """Return the mean cross-entropy of pools, in nats."""
    each = [-float(target @ theta.mix(values).logprob) for values, target in pools]
    return float(np.mean(each))
