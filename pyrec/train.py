"""Training: histories become questions and answers, and theta the most likely for them.

What many users took is hidden in part and asked for from the rest; the mixer is
fitted to convergence by maximum likelihood, near the theta that comes with pyrec. The result is
used only if users who were kept out of the fit find it no less likely. The linear item model is
fitted on the way. Called by `Recommender.train`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from pyrec import mixer
from pyrec.behavior.config import BehaviorConfig
from pyrec.behavior.running import Behavior
from pyrec.behavior.state import BehaviorState
from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.learned import Learned, Theta
from pyrec.mixer import RANKING, Mixer, depth_of, shipped_theta
from pyrec.opinions import read_opinions
from pyrec.questions import Questions
from pyrec.ranking import HISTORY, Ranker
from pyrec.replay import Flags, Log, Replay, fit_linear, read_log
from pyrec.signals.base import F32, Signal
from pyrec.train_behavior import BehaviorReport, BehaviorTraining, as_it_began
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
        behavior: how the behavior model is made, where one is asked for.
    """

    n_users: int = 8000
    min_users: int = 50
    min_events: int = 3
    long: int = 20
    share: float = 0.2
    held_out: float = 0.2
    pull: float = 0.3
    seed: int = 0
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)


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
        behavior: what it did for the behavior model; None where it was not asked to.
    """

    n_users: int
    before: float
    after: float
    used: bool
    why: str
    n_opinions: int = 0
    tasks: tuple[str, ...] = ()
    behavior: BehaviorReport | None = None


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
    behavior: BehaviorAsked | None = None,
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
        behavior: how to train the behavior model as well; None to leave it as it is.
    """
    log = now = read_log(events)
    old = learned.behavior()
    if behavior is not None and not behavior.update:
        until = as_it_began(now, behavior.checkpoint)
        log = now if until is None else read_log(events, until)
    asked = whom_to_ask(log, old, behavior, config)
    report, fitted = TrainReport(len(asked.users), np.nan, np.nan, False, asked.why), None
    training, state = None, None
    if behavior is not None:
        training = BehaviorTraining(
            log,
            catalog,
            questions.current(),
            behavior.embedding,
            progress,
            behavior.checkpoint,
            config.behavior,
        )
    if not asked.why:
        evidence = questions.behavior()
        if training is not None and not (behavior and behavior.update):
            evidence = training.first(asked.hidden | asked.judged)
        names, pools = collect(log, catalog, questions, signals, progress, asked, evidence)
        used, near = Mixer(names, theta), Mixer(names, prior)
        report, fitted = _fit(len(asked.users), pools, used, near, config, asked.judges)
    if training is not None and behavior is not None:
        state, found = _behavior(training, old, questions, asked, report, behavior)
        report = replace(report, behavior=found)
        if state is None and not behavior.update:
            fitted = None  # these weights are for a model that is not kept
            report = replace(report, used=False, why=report.why or found.why)
    by_task: dict[str, Theta | None] = {RANKING: fitted}
    of_all, opinions = None, read_opinions(events, catalog)
    if teaches(opinions):
        judges = [_judges(user_id, config.held_out) for user_id in opinions.user_ids]
        in_use = {task: theta_of(task) for task in TASKS}
        shipped: dict[str, Theta] = {task: shipped_theta(task) for task in TASKS}
        of_all, of_opinions = train_opinions(
            opinions, catalog, questions, in_use, shipped, judges, progress, config.seed
        )
        by_task.update(of_opinions)
        fitted_tasks = tuple(task for task, theta in of_opinions.items() if theta is not None)
        report = replace(report, n_opinions=len(opinions.value), tasks=fitted_tasks)
    progress("fitting the linear model", 0.0)
    learned.keep(by_task, fit_linear(now), now.item_ids, of_all, state)
    if training is not None:
        training.done()
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
    asked_for: Asked,
    behavior: Behavior | None,
) -> tuple[list[str], list[Pool]]:
    """Ask users for what was hidden from them.

    Returns:
        The names of the signals whose weights are learned, and the questions in whose pool an
        answer is; the others teach nothing.
    """
    used = [s for s in signals if s.name in LEARNED]
    names = [s.name for s in used]
    progress("fitting the linear model without the answers", 0.0)
    replay = Replay(log, asked_for.hidden, catalog, questions.current(), behavior=behavior)
    asked = replay.asked(asked_for.users, include_seen=False)
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


@dataclass(frozen=True)
class BehaviorAsked:
    """How to train the behavior model.

    Attributes:
        update: continue the one in use with what came since.
        embedding: the embedding model whose vectors are used; empty for none.
        checkpoint: where an interrupted training goes on from; None to keep nothing.
    """

    update: bool = False
    embedding: str = ""
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Asked:
    """Who is asked for what.

    Attributes:
        users: their numbers.
        hidden: (n_events,) bool, their answers.
        judged: (n_events,) bool, the answers of all who judge; no behavior model learns them.
        judges: tells by a user's id whether it judges the fit.
        why: why nobody can be asked; empty if some can.
    """

    users: Sequence[int]
    hidden: Flags
    judged: Flags
    judges: Callable[[str], bool]
    why: str


def whom_to_ask(
    log: Log, old: BehaviorState | None, behavior: BehaviorAsked | None, config: TrainConfig
) -> Asked:
    """Choose whom to ask, so that nothing that gives evidence has seen the answers."""
    counts = np.bincount(log.user, minlength=len(log.user_ids))
    able = counts >= config.min_events
    of_judges = np.array([_judges(u, config.held_out) for u in log.user_ids], bool)
    judged = answers_of(log, np.flatnonzero(able & of_judges).tolist(), config)
    judges, answers = partial(_judges, share=config.held_out), np.ones(len(log.user), bool)
    why = "too few users"
    if old is not None and behavior is None:
        # The model in use knows the answers of all others.
        able, judges = able & of_judges, partial(_judges, share=config.held_out, salt="among")
        why = "too few users whose answers the behavior model does not know"
    elif old is not None and behavior is not None and behavior.update:
        answers = log.event_id > old.reached
        able &= np.bincount(log.user[answers], minlength=len(able)) > 0
        why = "too few users of whom anything is new"
    users = _chosen(able, config)
    hidden = answers_of(log, users, config) & answers
    return Asked(users, hidden, judged, judges, why if len(users) < config.min_users else "")


def answers_of(log: Log, users: Sequence[int], config: TrainConfig) -> Flags:
    """Mark the events of some users that are to be found, (n_events,) bool.

    The same events whenever they are asked for: where a part of long histories is hidden, an
    event's user and number say whether it is.
    """
    ptr, order = log.by_user()
    hidden = np.zeros(len(log.user), bool)
    lengths = np.diff(ptr)
    short = np.median(lengths[lengths >= config.min_events]) < config.long if len(users) else True
    for user in users:
        places = order[ptr[user] : ptr[user + 1]]
        if short:
            hidden[places[-1]] = True
        else:
            numbers = log.event_id[places].tolist()
            drawn = np.array([_draw(f"{log.user_ids[user]}\n{e}") for e in numbers])
            hidden[places[(drawn < config.share) | (drawn == drawn.min())]] = True
    return hidden


def _chosen(able: Flags, config: TrainConfig) -> list[int]:
    rng = np.random.default_rng(config.seed)
    return sorted(rng.permutation(np.flatnonzero(able))[: config.n_users].tolist())


def _behavior(
    training: BehaviorTraining,
    old: BehaviorState | None,
    questions: Questions,
    asked: Asked,
    report: TrainReport,
    behavior: BehaviorAsked,
) -> tuple[BehaviorState | None, BehaviorReport]:
    """Train the model that stays; None where nothing speaks for it."""
    if behavior.update:
        if old is None:
            return None, BehaviorReport(why="there is none to go on from; train one first")
        if not training.went_on(old, asked.judged):
            return None, BehaviorReport(why="nothing came since it was trained")
        state = training.update(old, asked.judged)
    elif asked.why or not report.used:
        return None, BehaviorReport(why=report.why)
    else:
        state = training.final(asked.judged)
    fresh = Behavior(state, questions.catalog, behavior.embedding)
    in_use = questions.behavior()
    before = training.judge(in_use, asked.judged) if in_use is not None else np.nan
    after = training.judge(fresh, asked.judged)
    used = not after < before
    found = replace(
        training.report,
        n_bytes=len(state.pack()),
        before=before,
        after=after,
        used=used,
        why="" if used else "users who judge found it worse than the one in use",
    )
    return state if used else None, found


def _fit(
    n_users: int,
    pools: Sequence[Pool],
    old: Mixer,
    prior: Mixer,
    config: TrainConfig,
    judges: Callable[[str], bool],
) -> tuple[TrainReport, dict[str, tuple[float, ...]] | None]:
    """Fit on most pools, and judge by the others."""
    judged = [pool for pool in pools if judges(pool.user_id)]
    learnt = [pool for pool in pools if not judges(pool.user_id)]
    if len(learnt) < config.min_users // 2 or not judged:
        why = "too few users whose answer any signal names"
        return TrainReport(n_users, np.nan, np.nan, False, why), None
    fitted = fit(learnt, prior, l2=config.pull / len(learnt))
    before, after = loss(old, judged), loss(fitted, judged)
    used = after <= before
    why = "" if used else "held-out users find it less likely"
    return TrainReport(n_users, before, after, used, why), fitted.as_dict() if used else None


def _judges(user_id: str, share: float, salt: str = "") -> bool:
    """Tell whether a user judges instead of teaching: by name, so that it is so in every training.

    Weights that have learned from who judges later would be hard to beat.
    """
    return _draw(salt + user_id) < share


def _draw(name: str) -> float:
    """Return a number from 0 to 1 that is always the same for a name."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) / 2**32


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
