"""A task of your own: which shelf does a question belong to?

X is a question, Y the values of the column `category`; what speaks for a shelf is the share of the
likeliest items that stand on it, and how many items it holds at all. A package offers it by

    [project.entry-points."pyrec.tasks"]
    shelf = "which_shelf:WhichShelf"

and then `pyrec ask shelf running shoes` and `rec.ask("shelf", "running shoes")` answer. Run this
file to see it on `shop.jsonl`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import pyrec
from pyrec.mixer import Mixed, Mixer
from pyrec.signals.base import Question
from pyrec.tasks.base import Answers, Ask, Task

COLUMN = "category"
THETA = {"items": (4.0, 1.0), "size": (0.5, 0.0)}
"""By hand; with answers at hand, `pyrec.mixer.fit` finds them."""


@dataclass(frozen=True)
class Shelf:
    """A shelf with its probability."""

    name: str
    probability: float


class WhichShelf(Task[Question, list[Shelf]]):
    """P(shelf | question)."""

    name = "shelf"
    signals = ("items", "size")

    def encode(self, ask: Ask) -> Question:
        """Encode the question as recommending does."""
        return self.context.questions.ask(
            ask.text, ask.user, (), ask.where, include_seen=True, asks=lambda signal: False
        )

    def answers(self, x: Question) -> Answers:
        """List the shelves of the likeliest items, and say how much of both signals each has."""
        ranker = self.context.weights.ranker
        pool = ranker.answers(x)
        shares = np.exp(ranker.mix(x, ranker.values(x, pool)).logprob)
        found: dict[str, float] = defaultdict(float)
        for item, share in zip(self.context.catalog.items(pool), shares.tolist(), strict=True):
            if shelf := item.attributes.get(COLUMN):
                found[str(shelf)] += share
        sizes = self.context.catalog.values(COLUMN)
        most = max(sizes.values())
        values = [[share, sizes[shelf] / most] for shelf, share in found.items()]
        return Answers(list(found), np.array(values, np.float32).reshape(-1, 2))

    def mix(self, x: Question, answers: Answers) -> Mixed:
        """Weigh by the weights above: none were learned for this task."""
        return Mixer(self.signals, THETA).mix(answers.values)

    def parse(self, x: Question, answers: Answers, mixed: Mixed) -> list[Shelf]:
        """Put the likeliest shelf first."""
        shares = np.exp(mixed.logprob).tolist()
        shelves = [Shelf(name, p) for name, p in zip(answers.choices, shares, strict=True)]
        return sorted(shelves, key=lambda shelf: -shelf.probability)


if __name__ == "__main__":
    rows = (Path(__file__).parent / "shop.jsonl").read_text(encoding="utf-8").splitlines()
    with pyrec.open(":memory:", text_model=None, embedding_model=None) as rec:
        rec.add_items(json.loads(row) for row in rows)
        for question in ("running shoes", "something to cook with", "不粘锅"):
            best = rec.ask(WhichShelf, question)[:3]
            print(question, [f"{shelf.name} {shelf.probability:.2f}" for shelf in best])
