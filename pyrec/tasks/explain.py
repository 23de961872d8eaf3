"""The explain task: why does an item stand where it does for a user and a question?

X is the question with the item among its candidates, Y what could have moved it: items of the
user's history, values, words of the question, one for each signal that speaks for it. Each has a
share by its theta . phi, and a sentence is made of the strongest, of names from the store alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyrec.mixer import Mixed
from pyrec.ranking import HISTORY
from pyrec.sentences import say_reasons
from pyrec.signals.base import Question
from pyrec.tasks.base import Answers, Ask, Task
from pyrec.tasks.language import language_of
from pyrec.types import Explanation, Item, Reason

K = 3


@dataclass(frozen=True)
class Asked:
    """X: the question, the item and its row, and the language to answer in."""

    question: Question
    item: Item
    row: int
    language: str
    k: int


class ExplainTask(Task[Asked, Explanation]):
    """What moved an item most."""

    name = "explain"

    def encode(self, ask: Ask) -> Asked:
        """Encode the question; the item counts though it was seen."""
        context = self.context
        item = context.catalog.item(ask.items[0])
        question = context.questions.ask(
            ask.text,
            ask.user,
            ask.history,
            (),
            include_seen=True,
            embeds=context.weights.asks("dense"),
        )
        row = context.catalog.idx(item.item_id)
        # What is explained is never one of its own reasons.
        question.history = [past for past in question.history if past.item_idx != row]
        language = str(
            ask.options.get("language") or language_of(ask.text, question.index.language)
        )
        return Asked(question, item, row, str(language), ask.k or K)

    def answers(self, x: Asked) -> Answers:
        """Take what each signal says for the item, beside the other candidates."""
        ranker = self.context.weights.ranker
        others = ranker.answers(x.question)
        pool = np.concatenate([[x.row], others[others != x.row]]).astype(np.int32)
        mixed = ranker.mix(x.question, ranker.values(x.question, pool))
        place = int((mixed.logprob > mixed.logprob[0]).sum())
        reasons = []
        for n in np.argsort(-mixed.contributions[0], kind="stable"):
            weight = float(mixed.contributions[0, n])
            text = ranker.signals[n].why(x.question, x.row, x.item) if weight > 0.0 else ""
            if text:
                reasons.append(Reason(ranker.signals[n].name, weight, text))
        weights = np.array([[r.contribution] for r in reasons], np.float32).reshape(-1, 1)
        return Answers([*reasons, place], weights)

    def mix(self, x: Asked, answers: Answers) -> Mixed:
        """Give each reason its share of all that speaks for the item: the mixer has weighed it."""
        weights = answers.values[:, 0]
        share = weights / max(float(weights.sum()), 1e-9)
        return Mixed(np.log(np.maximum(share, 1e-12)).astype(np.float32), answers.values)

    def parse(self, x: Asked, answers: Answers, mixed: Mixed) -> Explanation:
        """Keep the strongest reasons with different words, and say them."""
        *reasons, place = answers.choices
        kept: dict[str, Reason] = {}
        for reason in reasons:
            kept.setdefault(reason.text, reason)
        strongest = tuple(list(kept.values())[: x.k])
        wording = self.context.prompts.table(x.language, "sentences")
        sentence = say_reasons(x.item.title or x.item.item_id, strongest, tuple(HISTORY), wording)
        path = (f"place {place + 1} of its candidates",)
        return Explanation(x.item, strongest, sentence, path)
