"""Training: histories become questions and answers, and theta the most likely for them.

What many users took is hidden in part and asked for from the rest; the mixer is
fitted to convergence by maximum likelihood, near the theta that comes with pyrec. The result is
used only if users who were kept out of the fit find it no less likely. The linear item model is
fitted on the way. Called by `Recommender.train`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyrec import mixer
from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.learned import Learned, Theta
from pyrec.mixer import RANKING, Mixer, depth_of, shipped_theta
from pyrec.opinions import read_opinions
from pyrec.questions import Questions
from pyrec.ranking import HISTORY, Ranker
from pyrec.replay import Flags, Log, Replay, fit_linear, read_log
from pyrec.signals.base import F32, Signal
from pyrec.train_opinions import TASKS, teaches, train_opinions

LEARNED = (*sorted(HISTORY), "taken", "lately", "popular_unasked")
"""The signals whose weights are learned from histories."""

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        n_users: how many users are asked at most; on the data sets of `bench/quality.py` twice as
            many raise nDCG@10 by less than 1%.
        min_users: with fewer, the weights that come with pyrec stay.
        min_events: what a user must have taken to be asked.
        long: where the middle one of the histories has so many events, they say who somebody is
            rather than where they are going: a random part of each is hidden, where otherwise the
            last event is.
        share: how much of long histories is hidden.
        held_out: share of the users that judge the result.
        pull: how strongly the weights stay near those that come with pyrec, in users: the squared
            distance counts as half so many users' losses, so that few users move little. Ten times
            as much costs up to 2% of nDCG@10 on the data sets of `bench/quality.py`.
        seed: who is asked.
    """

    n_users: int = 8000
    min_users: int = 50
    min_events: int = 3
    long: int = 20
    share: float = 0.2
    held_out: float = 0.2
    pull: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class TrainReport:
    """What training did.

    Attributes:
        n_users: users chosen to be asked; of some nothing is known that the catalog holds.
        before: mean loss of the held-out users with the old weights, in nats; NaN without any.
        after: the same with the fitted ones.
        used: whether the fitted weights are used from now on.
        why: what speaks against them, empty if nothing.
        n_opinions: what click and rating were fitted to; 0 where there are too few of both kinds.
        tasks: which of the two use fitted weights from now on; the other keeps those it had.
    """

    n_users: int
    before: float
    after: float
    used: bool
    why: str
    n_opinions: int = 0
    tasks: tuple[str, ...] = ()


def train(
    catalog: Catalog,
    events: EventLog,
    questions: Questions,
    learned: Learned,
    signals: Sequence[Signal],
    theta: Theta,
    prior: Theta,
    theta_of: Callable[[str], Theta],
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
        theta_of: gives the weights in use of another task.
        progress: told how far it is.
        config: how to train.
    """
    log = read_log(events)
    n_users = len(_chosen(log, config))
    report, fitted = TrainReport(n_users, np.nan, np.nan, False, "too few users"), None
    if n_users >= config.min_users:
        names, pools = collect(log, catalog, questions, signals, progress, config)
        old, near = Mixer(names, theta), Mixer(names, prior)
        report, fitted = _fit(n_users, pools, old, near, config)
    found: dict[str, Theta | None] = {RANKING: fitted}
    state, opinions = None, read_opinions(events, catalog)
    if teaches(opinions):
        judges = [_judges(user_id, config) for user_id in opinions.user_ids]
        used = {task: theta_of(task) for task in TASKS}
        shipped: dict[str, Theta] = {task: shipped_theta(task) for task in TASKS}
        state, of_opinions = train_opinions(
            opinions, catalog, questions, used, shipped, judges, progress, config.seed
        )
        found.update(of_opinions)
        fitted_tasks = tuple(task for task, theta in of_opinions.items() if theta is not None)
        report = replace(report, n_opinions=len(opinions.value), tasks=fitted_tasks)
    progress("fitting the linear model", 0.0)
    learned.keep(found, fit_linear(log), log.item_ids, state)
    return report


@dataclass(frozen=True)
class Pool:
    """One question with its answer.

    Attributes:
        user_id: who was asked.
        values: (n, n_signals) float32, what the signals say of each candidate.
        target: (n,) float32, the share of each in the answer; sums to 1.
        depth: of the user's history, 0 to 1.
    """

    user_id: str
    values: F32
    target: F32
    depth: float


def collect(
    log: Log,
    catalog: Catalog,
    questions: Questions,
    signals: Sequence[Signal],
    progress: Progress,
    config: TrainConfig,
) -> tuple[list[str], list[Pool]]:
    """Ask users for what was hidden from them.

    Returns:
        The names of the signals whose weights are learned, and the questions in whose pool an
        answer is; the others teach nothing.
    """
    used = [s for s in signals if s.name in LEARNED]
    names = [s.name for s in used]
    users = _chosen(log, config)
    progress("fitting the linear model without the answers", 0.0)
    replay = Replay(log, answers_of(log, users, config), catalog, questions.current())
    asked = replay.asked(users, include_seen=False)
    pools = []
    task = Ranker(used, Mixer(names, {}))
    walk = replay.evidence(questions, task, asked, include_seen=False)
    for n, (each, (pool, values)) in enumerate(zip(asked, walk, strict=True), 1):
        right = np.isin(pool, replay.crowd.row_of[each.answers])
        if right.any():
            target = (right / right.sum()).astype(np.float32)
            user_id = log.user_ids[each.user]
            pools.append(Pool(user_id, values, target, depth_of(len(each.taken))))
        if n % 50 == 0:
            progress("asking", n / len(asked))
    return names, pools


def answers_of(log: Log, users: Sequence[int], config: TrainConfig) -> Flags:
    """Mark the events of some users that are to be found, (n_events,) bool."""
    ptr, order = log.by_user()
    hidden = np.zeros(len(log.user), bool)
    rng = np.random.default_rng(config.seed)
    short = np.median(np.diff(ptr)[list(users)]) < config.long
    for user in users:
        places = order[ptr[user] : ptr[user + 1]]
        if short:
            hidden[places[-1]] = True
        else:
            n = max(1, round(config.share * len(places)))
            hidden[rng.choice(places, n, replace=False)] = True
    return hidden


def _chosen(log: Log, config: TrainConfig) -> list[int]:
    counts = np.bincount(log.user, minlength=len(log.user_ids))
    enough = np.flatnonzero(counts >= config.min_events)
    rng = np.random.default_rng(config.seed)
    return sorted(rng.permutation(enough)[: config.n_users].tolist())


def _fit(
    n_users: int, pools: Sequence[Pool], old: Mixer, prior: Mixer, config: TrainConfig
) -> tuple[TrainReport, dict[str, tuple[float, ...]] | None]:
    """Fit on most pools, and judge by the others."""
    judged = [pool for pool in pools if _judges(pool.user_id, config)]
    learnt = [pool for pool in pools if not _judges(pool.user_id, config)]
    if len(learnt) < config.min_users // 2 or not judged:
        why = "too few users whose answer any signal names"
        return TrainReport(n_users, np.nan, np.nan, False, why), None
    fitted = fit(learnt, prior, l2=config.pull / len(learnt))
    before, after = loss(old, judged), loss(fitted, judged)
    used = after <= before
    why = "" if used else "held-out users find it less likely"
    return TrainReport(n_users, before, after, used, why), fitted.as_dict() if used else None


def _judges(user_id: str, config: TrainConfig) -> bool:
    """Tell whether a user judges instead of teaching: by name, so that it is so in every training.

    Weights that have learned from who judges later would be hard to beat.
    """
    return zlib.crc32(user_id.encode("utf-8", "surrogatepass")) / 2**32 < config.held_out


def fit(pools: Sequence[Pool], prior: Mixer, *, l2: float) -> Mixer:
    """Fit theta to pools, near a prior; see `mixer.fit`."""
    values = np.concatenate([pool.values for pool in pools])
    target = np.concatenate([pool.target for pool in pools])
    groups = np.cumsum([0, *(len(pool.target) for pool in pools)]).astype(np.int64)
    depth = np.array([pool.depth for pool in pools], np.float32)
    return mixer.fit(values, target, groups, prior, context=depth, l2=l2)[0]


def loss(theta: Mixer, pools: Sequence[Pool]) -> float:
    """Return the mean cross-entropy of pools, in nats."""
    each = [-float(p.target @ theta.mix(p.values, p.depth).logprob) for p in pools]
    return float(np.mean(each))
