"""Training: histories become questions and answers, and theta the most likely for them.

What many users took is hidden in part and asked for from the rest; the mixer is
fitted to convergence by maximum likelihood, near the theta that comes with pyrec. The result is
used only if users who were kept out of the fit find it no less likely. Where there are many, a
network learns what signals say together (`deep.py`). Lists that were shown for words teach what
words ask (`train_words.py`). The linear item model is fitted on the way. Called by
`Recommender.train`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pyrec import deep, mixer
from pyrec.asked_titles import ask_titles
from pyrec.asking import Asked, is_judge, whom_to_ask
from pyrec.behavior.running import Behavior
from pyrec.catalog import Catalog
from pyrec.deep import DeepConfig, DeepState
from pyrec.events import EventLog
from pyrec.learned import Learned, Theta
from pyrec.logged import taken_of
from pyrec.mixer import F64, RANKING, Mixer, depth_of, shipped_theta
from pyrec.opinions import read_opinions
from pyrec.questions import Questions
from pyrec.ranking import LEARNED, Ranker
from pyrec.replay import Log, Replay, fit_linear, read_log
from pyrec.shown import ShownLog
from pyrec.signals.base import F32, Signal
from pyrec.signals.deep import WEIGHTS, Deep, said
from pyrec.train_behavior import BehaviorReport, BehaviorTraining, in_use
from pyrec.train_config import BehaviorAsked, TrainConfig
from pyrec.train_opinions import TASKS, teaches, train_opinions
from pyrec.train_words import NO_WORDS, WordsReport, train_words

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


@dataclass(frozen=True)
class TrainReport:
    """What training did.

    Attributes:
        n_users: users chosen to be asked; of some nothing is known that the catalog holds.
        before: mean loss of the held-out users with the old weights, in nats; NaN without any.
        after: the same with the fitted ones.
        used: whether the fitted weights are used from now on.
        why: what speaks against them, empty if nothing.
        deep: whether a network over the signals goes with them.
        n_opinions: what click and rating were fitted to; 0 where there are too few of both kinds.
        tasks: which of the two use fitted weights from now on; the other keeps those it had.
        words: what lists that were shown for words did for the signals that words ask.
        behavior: what it did for the behavior model; None where it was not asked to.
    """

    n_users: int
    before: float
    after: float
    used: bool
    why: str
    deep: bool = False
    n_opinions: int = 0
    tasks: tuple[str, ...] = ()
    words: WordsReport = NO_WORDS
    behavior: BehaviorReport | None = None


def train(
    catalog: Catalog,
    events: EventLog,
    shown: ShownLog,
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
        shown: the lists that users saw.
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
    removals = events.state()[1]
    log = now = read_log(events)
    with ExitStack() as stack:
        training, trouble = None, ""
        if behavior is not None:
            training = stack.enter_context(
                BehaviorTraining(now, events, catalog, questions, behavior, progress, config)
            )
            log, evidence, known = training.log, None, training.old
        else:
            evidence, trouble = in_use(questions)
            known = evidence.state if evidence else None
        newer = behavior is not None and behavior.update
        asked = whom_to_ask(log, config, known, newer=newer)
        report = TrainReport(len(asked.users), np.nan, np.nan, False, asked.why)
        fitted: Theta | None = None
        state, network = None, None
        if not asked.why:
            if training is not None:
                evidence = training.evidence(asked)
            names, pools = collect(log, catalog, questions, signals, progress, asked, evidence)
            used, near = Mixer(names, theta), Mixer(names, prior)
            report, fitted, network = _fit(
                len(asked.users), pools, used, near, config, asked.salt, progress
            )
        if training is not None:
            state, found = training.finish(asked, "" if report.used else report.why)
            report = replace(report, behavior=found)
            if state is None and not newer:
                fitted = network = None  # these weights are for a model that is not kept
                report = replace(report, used=False, deep=False, why=report.why or found.why)
        elif trouble:
            report = replace(report, behavior=BehaviorReport(why=trouble))
        learning = partial(progress, "learning from answers to words")
        learning(0.0)
        chosen = taken_of(shown.walk(), events)
        lists = [each for each in shown.walk() if each.words and chosen[each.slate_id or 0]]
        taken = [chosen[each.slate_id or 0] for each in lists]
        with_new = {**theta, **(fitted or {})}
        titles = partial(
            ask_titles, catalog, questions, signals, seed=config.seed, progress=learning
        )
        words, of_words = train_words(lists, taken, titles, with_new, prior, config)
        report = replace(report, words=words)
        opinions = read_opinions(events, catalog)
        by_task: dict[str, Theta | None] = {RANKING: fitted}
        of_all = None
        if teaches(opinions):
            judges = [is_judge(user_id, config.held_out) for user_id in opinions.user_ids]
            in_force = {task: theta_of(task) for task in TASKS}
            shipped: dict[str, Theta] = {task: shipped_theta(task) for task in TASKS}
            of_all, of_opinions = train_opinions(
                opinions, catalog, questions, in_force, shipped, judges, progress, config.seed
            )
            by_task.update(of_opinions)
            fitted_tasks = tuple(task for task, theta in of_opinions.items() if theta is not None)
            report = replace(report, n_opinions=len(opinions.value), tasks=fitted_tasks)
        progress("fitting the linear model", 0.0)
        linear = fit_linear(now)
        learned.keep(by_task, linear, now.item_ids, of_all, state, removals, of_words, network)
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
    replay = Replay(
        log,
        asked_for.hidden,
        catalog,
        questions.current(),
        behavior=behavior,
        newest=asked_for.newest,
    )
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


def _fit(
    n_users: int,
    pools: Sequence[Pool],
    old: Mixer,
    prior: Mixer,
    config: TrainConfig,
    salt: str,
    progress: Progress,
) -> tuple[TrainReport, Theta | None, DeepState | None]:
    """Fit on most pools, and judge by the others."""
    judges = [is_judge(pool.user_id, config.held_out, salt) for pool in pools]
    judged = [pool for pool, judge in zip(pools, judges, strict=True) if judge]
    learnt = [pool for pool, judge in zip(pools, judges, strict=True) if not judge]
    if len(learnt) < config.min_users // 2 or not judged:
        why = "too few users whose answer any signal names"
        return TrainReport(n_users, np.nan, np.nan, False, why), None, None
    before = loss(old, judged)
    for pool in pools:  # the network of before is not part of what is fitted
        pool.values[:, old.names.index(Deep.name)] = np.nan
    fitted = fit(learnt, prior, l2=config.pull / len(learnt))
    after, network = loss(fitted, judged), None
    if len(learnt) >= deep.MIN_POOLS:
        network, fitted, after = _deepened(fitted, learnt, judged, after, progress, config.seed)
    used = after <= before
    why = "" if used else "held-out users find it less likely"
    report = TrainReport(n_users, before, after, used, why, used and network is not None)
    if network is not None:
        network = replace(network, held_out=config.held_out, salt=salt)
    return report, fitted.as_dict() if used else None, network if used else None


def _deepened(
    wide: Mixer,
    learnt: Sequence[Pool],
    judged: Sequence[Pool],
    before: float,
    progress: Progress,
    seed: int,
) -> tuple[DeepState | None, Mixer, float]:
    """Fit a network beside the weights; None, with these and their loss, if it is no better.

    Better by more than the standard error: it has thousands of weights, and few users who judge
    find some use in any.
    """
    # Only what spoke: of a signal that speaks for the first time later it would know nothing.
    spoke = np.any([(pool.values > 0.0).any(axis=0) for pool in learnt], axis=0)
    columns = np.flatnonzero(spoke)
    names = [wide.names[n] for n in columns]
    rows = wide.theta.astype(np.float32).reshape(len(wide.names), -1)[columns].reshape(-1)
    taught = [deep.Taught(p.values[:, columns], p.target, p.depth) for p in learnt]
    step = partial(progress, "learning what signals say together")
    state = deep.fit(names, taught, rows, step, DeepConfig(seed=seed))
    both = Mixer(wide.names, {**wide.as_dict(), Deep.name: WEIGHTS})
    told = []
    for pool in judged:
        values = pool.values.copy()
        values[:, wide.names.index(Deep.name)] = said(state, wide.names, values, pool.depth)
        told.append(replace(pool, values=values))
    gains = losses(wide, judged) - losses(both, told)
    gain, error = gains.mean(), gains.std() / np.sqrt(len(gains))
    return (state, both, before - float(gain)) if gain > error else (None, wide, before)


def fit(pools: Sequence[Pool], prior: Mixer, *, l2: float) -> Mixer:
    """Fit theta to pools, near a prior; see `mixer.fit`."""
    values = np.concatenate([pool.values for pool in pools])
    target = np.concatenate([pool.target for pool in pools])
    groups = np.cumsum([0, *(len(pool.target) for pool in pools)]).astype(np.int64)
    depth = np.array([pool.depth for pool in pools], np.float32)
    return mixer.fit(values, target, groups, prior, context=depth, l2=l2)[0]


def loss(theta: Mixer, pools: Sequence[Pool]) -> float:
    """Return the mean cross-entropy of pools, in nats."""
    return float(losses(theta, pools).mean())


def losses(theta: Mixer, pools: Sequence[Pool]) -> F64:
    """Return the cross-entropy of each pool, (n,) float64 in nats."""
    return np.array([-float(p.target @ theta.mix(p.values, p.depth).logprob) for p in pools])
