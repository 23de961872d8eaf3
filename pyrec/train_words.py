"""What answers to words teach: the weights of the signals that are asked by words.

Every list that was shown for words, and of which something was taken, is a question with its
answer among what was shown. The weights are the most likely ones for all of them together, near
those that ship, and are used only if lists that were kept out of the fit find them no less likely.
Called by `train.py`; histories teach the other signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyrec import mixer
from pyrec.asking import is_judge
from pyrec.learned import Theta
from pyrec.mixer import FEATURES, Mixer
from pyrec.ranking import LEARNED, shares_of
from pyrec.shown import PLACE, PLACE_PRIOR, Shown
from pyrec.signals.base import F32
from pyrec.signals.titles import Titles
from pyrec.train_config import TrainConfig


@dataclass(frozen=True)
class WordsReport:
    """What answers to words did.

    Attributes:
        n_lists: lists shown for words of which something was taken, the newest.
        before: mean loss of the held-out lists with the old weights, in nats; NaN without any.
        after: the same with the fitted ones.
        used: whether the fitted weights are used from now on.
        why: what speaks against them, empty if nothing.
    """

    n_lists: int
    before: float = np.nan
    after: float = np.nan
    used: bool = False
    why: str = ""


NO_WORDS = WordsReport(0)


@dataclass(frozen=True)
class Answered:
    """A list and which of its items were taken.

    Attributes:
        x: (n_shown, n_signals * 4) float32, the features of what was shown.
        target: (n_shown,) float32, the share of each in the answer; sums to 1.
        judges: whether it judges instead of teaching.
    """

    x: F32
    target: F32
    judges: bool


def train_words(
    lists: Sequence[Shown],
    taken: Sequence[frozenset[str]],
    theta: Theta,
    prior: Theta,
    config: TrainConfig,
) -> tuple[WordsReport, dict[str, tuple[float, ...]] | None]:
    """Fit the weights of the signals that words ask.

    Args:
        lists: that were shown, the oldest first.
        taken: which items of each were taken.
        theta: the weights of all signals in use.
        prior: the weights to stay near.
        config: of training; lists count as users do.

    Returns:
        What was done, and the weights by signal; None where those in use stay.
    """
    some = [(s, t) for s, t in zip(lists, taken, strict=True) if s.words and t]
    some = some[-config.n_users :]
    if len(some) < config.min_users:
        return WordsReport(len(some), why="too few lists of which something was taken"), None
    names = (*dict.fromkeys(name for shown, _ in some for name in shown.names), PLACE)
    pools = [_answered(shown, chosen, names, config) for shown, chosen in some]
    judged, learnt = ([p for p in pools if p.judges is side] for side in (True, False))
    if not judged:
        return WordsReport(len(some), why="no list among them to judge by"), None
    # What histories taught may move as well, so that words are not blamed for it, but stays as is.
    asked = [n for n in names if n not in LEARNED and n not in (PLACE, Titles.name)]
    place = {PLACE: PLACE_PRIOR}
    near = Mixer(names, {**theta, **{n: prior.get(n, ()) for n in asked}, **place})
    fitted = mixer.fit_features(
        np.concatenate([p.x for p in learnt]),
        np.concatenate([p.target for p in learnt]),
        np.cumsum([0, *(len(p.target) for p in learnt)]).astype(np.int64),
        near,
        l2=config.pull / len(learnt),
    )[0].as_dict()
    found = {name: fitted[name] for name in asked}
    before = _loss(Mixer(names, {**theta, **place}), judged)
    after = _loss(Mixer(names, {**theta, **found, **place}), judged)
    used = after <= before
    why = "" if used else "held-out lists find them less likely"
    return WordsReport(len(some), before, after, used, why), found if used else None


def _answered(
    shown: Shown, taken: frozenset[str], names: Sequence[str], config: TrainConfig
) -> Answered:
    n, width = shown.n_shown, len(FEATURES)
    # Titles would cost the text model's time in every question, so clicks never give them weight.
    weighs = shares_of(shown.names, words=True) * [name != Titles.name for name in shown.names]
    x = np.zeros((n, len(names), width), np.float32)
    at = [names.index(name) for name in shown.names]
    x[:, at] = shown.x(weighs.astype(np.float32))[:n].reshape(n, len(at), width)
    x[:, names.index(PLACE), FEATURES.index("log")] = -np.log1p(np.arange(n))
    right = np.array([item in taken for item in shown.items[:n]], np.float32)
    judges = is_judge(f"{shown.slate_id}", config.held_out, salt="list ")
    return Answered(x.reshape(n, -1), right / right.sum(), judges)


def _loss(theta: Mixer, pools: Sequence[Answered]) -> float:
    """Return the mean cross-entropy, in nats."""
    scores = [(p.x @ theta.theta, p.target) for p in pools]
    return float(np.mean([np.logaddexp.reduce(s) - t @ s for s, t in scores]))
