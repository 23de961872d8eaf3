"""What answers to words teach: the weights of the signals that are asked by words.

Every list that was shown for words, and of which something was taken, is a question with its
answer among what was shown. The weights are the most likely ones for all of them together, near
those that ship, and are used only if lists find those no less likely that are fitted to the others.
Titles of the catalog are asked for along (`asked_titles.py`), so that they are found as before.
Called by `train.py`; histories teach the other signals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyrec import _core, mixer
from pyrec.asked_titles import AskedTitle
from pyrec.learned import Theta
from pyrec.lessons import weighs_of
from pyrec.mixer import FEATURES, Mixer
from pyrec.ranking import ASKED
from pyrec.shown import PLACE, PLACE_PRIOR, Shown
from pyrec.signals.base import F32
from pyrec.train_config import TrainConfig


@dataclass(frozen=True)
class WordsReport:
    """What answers to words did.

    Attributes:
        n_lists: lists shown for words of which something was taken, but not all.
        before: mean loss of the lists with the weights that ship for what words ask, in nats; NaN
            with too few lists. Those in use may have learned from these very lists.
        after: the same, of each list with weights that are fitted to the others (in `FOLDS` parts).
        used: whether the fitted weights are used from now on.
        why: what speaks against them, empty if nothing.
    """

    n_lists: int
    before: float = np.nan
    after: float = np.nan
    used: bool = False
    why: str = ""


NO_WORDS = WordsReport(0)
MIN_LISTS, FOLDS = 20, 5
MAX_LISTS, MAX_ROWS = 300, 200_000
"""How many lists, and items of these, are learned from at most, the newest ones. As many titles are
asked for as there are lists; a text model takes some 40 ms for each. Fitted to viewers' words
alone, weights find halves of titles with an nDCG@10 of .06, where shipped ones have .90
(`bench/words_or_titles.py`)."""


@dataclass(frozen=True)
class Answered:
    """A list and which of its items were taken.

    Attributes:
        x: (n_shown, n_signals * 4) float32, the features of what was shown.
        target: (n_shown,) float32, the share of each in the answer; sums to 1.
        fold: by which weights it judges; -1 for none.
    """

    x: F32
    target: F32
    fold: int


def train_words(
    lists: Sequence[Shown],
    taken: Sequence[frozenset[str]],
    titles: Callable[[int], Sequence[AskedTitle]],
    theta: Theta,
    prior: Theta,
    config: TrainConfig,
) -> tuple[WordsReport, dict[str, tuple[float, ...]] | None]:
    """Fit the weights of the signals that words ask.

    Args:
        lists: that were shown, the oldest first.
        taken: which items of each were taken.
        titles: asks for so many titles of the catalog.
        theta: the weights of all signals in use.
        prior: the weights to stay near.
        config: of training: how strongly weights stay near those that ship.

    Returns:
        What was done, and the weights by signal; None where there are no new ones.
    """
    some = [
        (shown, chosen)
        for shown, chosen in zip(lists, taken, strict=True)
        if shown.words and 0 < len(chosen) < shown.n_shown
    ][-MAX_LISTS:]
    rows = np.cumsum([shown.n_shown for shown, _ in reversed(some)])
    some = some[len(some) - int(np.searchsorted(rows, MAX_ROWS, "right")) :]
    if len(some) < MIN_LISTS:
        return WordsReport(len(some), why="too few lists of which something was taken"), None
    names = (*dict.fromkeys(name for shown, _ in some for name in shown.names), PLACE)
    pools = [_answered(*each, names, n % FOLDS) for n, each in enumerate(some)]
    beside = [_titled(each, names) for each in titles(len(some))]
    # What histories taught may move as well, so that words are not blamed for it, but stays as is.
    asked = [name for name in names if name in ASKED]
    shipped = {name: prior.get(name, ()) for name in asked}
    near = Mixer(names, {**theta, **shipped, PLACE: PLACE_PRIOR})

    def fitted(learnt: Sequence[Answered]) -> dict[str, tuple[float, ...]]:
        whole = [*learnt, *beside]
        found = mixer.fit_features(
            np.concatenate([p.x for p in whole]),
            np.concatenate([p.target for p in whole]),
            np.cumsum([0, *(len(p.target) for p in whole)]).astype(np.int64),
            near,
            l2=config.pull / len(whole),
        )[0].as_dict()
        return {name: found[name] for name in asked}

    def losses(of: Theta, judged: Sequence[Answered]) -> list[float]:
        weights = Mixer(names, {**near.as_dict(), **of}).theta
        scores = [(p.x @ weights, p.target) for p in judged]
        return [float(np.logaddexp.reduce(s) - t @ s) for s, t in scores]

    after: list[float] = []
    for fold in range(FOLDS):
        others = [p for p in pools if p.fold != fold]
        after += losses(fitted(others), [p for p in pools if p.fold == fold])
    report = WordsReport(len(some), float(np.mean(losses({}, pools))), float(np.mean(after)))
    if report.after > report.before:
        return replace(report, why="lists find weights of the other lists less likely"), None
    return replace(report, used=True), fitted(pools)


def _answered(shown: Shown, taken: frozenset[str], names: Sequence[str], fold: int) -> Answered:
    n, width = shown.n_shown, len(FEATURES)
    right = np.array([item in taken for item in shown.items[:n]], np.float32)
    # The features are the same whichever of its items was chosen.
    choice = shown.choice(shown.items[int(right.argmax())], range(n), weighs_of(shown))
    x = np.zeros((n, len(names), width), np.float32)
    at = [names.index(name) for name in choice.names]
    x[:, at] = choice.x.reshape(n, len(at), width)
    return Answered(x.reshape(n, -1), right / right.sum(), fold)


def _titled(asked: AskedTitle, names: Sequence[str]) -> Answered:
    n, width = len(asked.target), len(FEATURES)
    features = _core.features(asked.values, np.array([0, n], np.int64), np.zeros(1, np.float32))
    x = np.zeros((n, len(names), width), np.float32)
    for column, name in enumerate(asked.names):
        if name in names:
            x[:, names.index(name)] = features[:, column * width : (column + 1) * width]
    return Answered(x.reshape(n, -1), asked.target, -1)
