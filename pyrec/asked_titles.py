"""The catalog's own titles as questions, asked by their first half.

Whoever types the beginning of a title wants that item. Answers to other words say nothing of this,
and weights that were fitted to them alone forget it: `train_words.py` fits these questions along.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pyrec.catalog import Catalog
from pyrec.errors import UnknownItemError
from pyrec.mixer import Mixer
from pyrec.questions import Questions
from pyrec.ranking import ASKED, Ranker
from pyrec.signals.base import F32, Signal
from pyrec.text import SPACELESS

_SPACELESS = re.compile(f"[{SPACELESS}]")


@dataclass(frozen=True)
class AskedTitle:
    """One of these questions with its answer.

    Attributes:
        names: the signals that words ask, the columns of `values`.
        values: (n, n_signals) float32, what they say of each candidate.
        target: (n,) float32, 1 for the item, 0 for the others.
    """

    names: tuple[str, ...]
    values: F32
    target: F32


def ask_titles(
    catalog: Catalog,
    questions: Questions,
    signals: Sequence[Signal],
    n: int,
    seed: int,
    progress: Callable[[float], None],
) -> list[AskedTitle]:
    """Ask for some items that are drawn at random; those that no signal names are left out.

    Args:
        catalog: the items.
        questions: encodes questions.
        signals: all that there are.
        n: how many items are asked for.
        seed: which.
        progress: told the share that is done.
    """
    used = [signal for signal in signals if signal.name in ASKED]
    names = tuple(signal.name for signal in used)
    task = Ranker(used, Mixer(names, {}))
    live = np.flatnonzero(catalog.live())
    drawn = np.random.default_rng(seed).permutation(live)[:n]
    found = []
    for number, row in enumerate(drawn.tolist()):
        progress(number / len(drawn))
        try:
            (item,) = catalog.items([row])
        except UnknownItemError:  # another process removed it since
            continue
        half = first_half(item.title)
        if not half:
            continue
        question = questions.ask(
            half, None, (), (), include_seen=True, asks=lambda name: name in ASKED
        )
        pool = np.sort(task.answers(question))
        target = (pool == row).astype(np.float32)
        if target.any():
            found.append(AskedTitle(names, task.values(question, pool), target))
    return found


def first_half(title: str) -> str:
    """Return the first half of a title's words; of its characters in scripts without spaces."""
    words = title.split()
    if len(words) == 1 and _SPACELESS.search(title):
        return title[: (len(title) + 1) // 2]
    return " ".join(words[: (len(words) + 1) // 2])
