"""Whom training asks for what, so that nothing that gives evidence has seen the answers.

A fifth of the users judge, chosen by their names: the same ones in every training. The behavior
model, which is large enough to remember, never learns their answers, so that it can be judged by
them later. `train.py` and `evaluate.py` call this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from pyrec.behavior.state import BehaviorState
from pyrec.replay import Flags, Log
from pyrec.train_config import TrainConfig


@dataclass(frozen=True)
class Asked:
    """Who is asked for what.

    Attributes:
        users: their numbers.
        hidden: (n_events,) bool, their answers.
        judged: (n_events,) bool, the answers of all who judge; no behavior model learns them.
        newest: (n_events,) bool, the event before each answer, where the last ones are asked for.
            Questions tell it; what is trained to give evidence must not know it, as it will not
            know what users took since it was trained.
        salt: what decides beside their names which of them judge the fit.
        why: why nobody can be asked; empty if some can.
    """

    users: Sequence[int]
    hidden: Flags
    judged: Flags
    newest: Flags
    salt: str
    why: str


def whom_to_ask(
    log: Log,
    config: TrainConfig,
    evidence: BehaviorState | None = None,
    *,
    newer: bool = False,
) -> Asked:
    """Choose whom to ask.

    Args:
        log: the histories.
        config: how many, and who can be asked.
        evidence: the behavior model that gives evidence; None where one is trained without the
            answers, or there is none.
        newer: ask for what came since it was trained, instead of asking those who judge.
    """
    able = np.bincount(log.user, minlength=len(log.user_ids)) >= config.min_events
    judged = kept_back(log, config)
    salt, answers = "", np.ones(len(log.user), bool)
    why = "too few users"
    if evidence is not None:
        answers = log.event_id > evidence.reached if newer else unknown_to(evidence, log)
        salt = "" if newer else "among those"
        which = "of whom anything is new" if newer else "whose answers the behavior model knows not"
        why = f"too few users {which}"
        hidden = answers_of(log, np.flatnonzero(able).tolist(), config) & answers
        able &= np.bincount(log.user[hidden], minlength=len(able)) > 0
    users = _chosen(able, config)
    hidden = answers_of(log, users, config) & answers
    newest = np.zeros_like(hidden)
    if _are_short(log, config):
        left = np.bincount(log.user[~hidden], minlength=len(able))
        newest = last_of(log, [user for user in users if left[user] > 2], ~hidden)
    why = why if len(users) < config.min_users else ""
    return Asked(users, hidden, judged, newest, salt, why)


def unknown_to(model: BehaviorState, log: Log) -> Flags:
    """Mark the events that a behavior model was not trained on, (n_events,) bool."""
    return (log.event_id > model.reached) | np.isin(log.event_id, model.kept_back)


def kept_back(log: Log, config: TrainConfig) -> Flags:
    """Mark the answers of those who judge, which no behavior model learns, (n_events,) bool."""
    able = np.bincount(log.user, minlength=len(log.user_ids)) >= config.min_events
    return answers_of(log, np.flatnonzero(able & _judging(log, config)).tolist(), config)


def _judging(log: Log, config: TrainConfig) -> Flags:
    return np.array([is_judge(user_id, config.held_out) for user_id in log.user_ids], bool)


def answers_of(log: Log, users: Sequence[int], config: TrainConfig) -> Flags:
    """Mark the events of some users that are to be found, (n_events,) bool.

    The same events whenever they are asked for: where a part of long histories is hidden, an
    event's user and number say whether it is.
    """
    if _are_short(log, config):
        return last_of(log, users, np.ones(len(log.user), bool))
    ptr, order = log.by_user()
    hidden = np.zeros(len(log.user), bool)
    for user in users:
        places = order[ptr[user] : ptr[user + 1]]
        numbers = log.event_id[places].tolist()
        drawn = np.array([_draw(f"{log.user_ids[user]}\n{e}") for e in numbers])
        hidden[places[(drawn < config.share) | (drawn == drawn.min())]] = True
    return hidden


def last_of(log: Log, users: Sequence[int], among: Flags) -> Flags:
    """Mark the last of some events of each of some users, (n_events,) bool."""
    ptr, order = log.by_user()
    marked = np.zeros(len(log.user), bool)
    for user in users:
        places = order[ptr[user] : ptr[user + 1]]
        marked[places[among[places]][-1:]] = True
    return marked


def _are_short(log: Log, config: TrainConfig) -> bool:
    lengths = np.bincount(log.user)
    able = lengths[lengths >= config.min_events]
    return not len(able) or float(np.median(able)) < config.long


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
    # Not a checksum: those of names that differ alike differ alike.
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2.0**64
