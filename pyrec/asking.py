"""Whom training asks for what, so that nothing that gives evidence has seen the answers.

A fifth of the users judge, chosen by their names: the same ones in every training. The behavior
model, which is large enough to remember, never learns their answers, so that it can be judged by
them later. `train.py` and `evaluate.py` call this.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pyrec.replay import Flags, Log
from pyrec.train_config import TrainConfig


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
    log: Log, config: TrainConfig, known_to: int | None = None, *, newer: bool = False
) -> Asked:
    """Choose whom to ask.

    Args:
        log: the histories.
        config: how many, and who can be asked.
        known_to: up to which event the behavior model that gives evidence knows the log, less the
            answers of those who judge; None where it is trained without the answers, or there is
            none.
        newer: ask for what came after that event, instead of asking those who judge.
    """
    able = np.bincount(log.user, minlength=len(log.user_ids)) >= config.min_events
    judged = kept_back(log, config)
    judges, answers = partial(is_judge, share=config.held_out), np.ones(len(log.user), bool)
    why = "too few users"
    if known_to is not None and newer:
        answers = log.event_id > known_to
        able &= np.bincount(log.user[answers], minlength=len(able)) > 0
        why = "too few users of whom anything is new"
    elif known_to is not None:
        able &= _judging(log, config)
        judges = partial(is_judge, share=config.held_out, salt="among those")
        why = "too few users whose answers the behavior model does not know"
    users = _chosen(able, config)
    hidden = answers_of(log, users, config) & answers
    return Asked(users, hidden, judged, judges, why if len(users) < config.min_users else "")


def kept_back(log: Log, config: TrainConfig | None = None) -> Flags:
    """Mark the answers of those who judge, which no behavior model learns, (n_events,) bool."""
    config = config or TrainConfig()
    able = np.bincount(log.user, minlength=len(log.user_ids)) >= config.min_events
    return answers_of(log, np.flatnonzero(able & _judging(log, config)).tolist(), config)


def _judging(log: Log, config: TrainConfig) -> Flags:
    return np.array([is_judge(user_id, config.held_out) for user_id in log.user_ids], bool)


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


def is_judge(user_id: str, share: float, salt: str = "") -> bool:
    """Tell whether a user judges instead of teaching: by name, so that it is so in every training.

    Weights that have learned from who judges later would be hard to beat.
    """
    return _draw(salt + user_id) < share


def _draw(name: str) -> float:
    """Return a number from 0 to 1 that is always the same for a name."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) / 2**32
