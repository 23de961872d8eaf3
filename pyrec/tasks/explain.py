"""The explain task: why does an item stand where it does for a user and a question?

X is the question with the item among its candidates, Y what could have moved it: items of the
user's history, values, words of the question, one for each signal that speaks for it. Each has a
share by its theta . phi, and a sentence is made of the strongest, of names from the store alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyrec.mixer import Mixed
from pyrec.prompts import fill, one_line
from pyrec.questions import conditions
from pyrec.ranking import HISTORY
from pyrec.sentences import say_reasons
from pyrec.signals.base import Question
from pyrec.tasks.base import Answers, Ask, Task
from pyrec.tasks.language import language_of
from pyrec.types import Explanation, Item, Reason

K = 3
DISLIKED = "dislike"
LEAST = 0.01
"""What moves an item by less is no reason."""


@dataclass(frozen=True)
class Asked:
    """X: the question, the item and its row, what speaks for it, and the language to answer in.

    Attributes:
        mixed: the item first, then the other candidates.
        excluded: what keeps the item out of the list, for people to read; empty for nothing.
    """

    question: Question
    item: Item
    row: int
    mixed: Mixed
    excluded: str
    language: str
    k: int


class ExplainTask(Task[Asked, Explanation]):
    """What moved an item most."""

    name = "explain"
    signals = ("share",)
    options = frozenset(("language",))

    def encode(self, ask: Ask) -> Asked:
        """Encode the question with the item among its candidates, though it was seen."""
        if len(ask.items) != 1:
            raise ValueError(f"explain is asked about {len(ask.items)} items; give one")
        context = self.context
        item = context.catalog.item(ask.items[0])
        question = context.questions.ask(
            ask.text, ask.user, ask.history, ask.where, include_seen=True, asks=context.weights.asks
        )
        row = context.catalog.idx(item.item_id)
        # What is explained is never one of its own reasons.
        question.history = [past for past in question.history if past.item_idx != row]
        ranker = context.weights.ranker
        others = ranker.answers(question)
        pool = np.concatenate([[row], others[others != row]]).astype(np.int32)
        mixed = ranker.mix(question, ranker.values(question, pool))
        language = ask.options.get("language") or language_of(ask.text, question.index.language)
        excluded = self._excluded(ask, question, row)
        return Asked(question, item, row, mixed, excluded, language, ask.k or K)

    def answers(self, x: Asked) -> Answers:
        """List what each signal says for the item, with its share of all that speaks for it."""
        ranker, weights = self.context.weights.ranker, x.mixed.contributions[0]
        reasons = []
        for n in np.argsort(-weights, kind="stable"):
            told = weights[n] > LEAST and not x.excluded
            text = ranker.signals[n].why(x.question, x.row, x.item) if told else ""
            if text:
                reasons.append(Reason(ranker.signals[n].name, float(weights[n]), text))
        total = sum(r.contribution for r in reasons)
        shares = np.array([[r.contribution / total] for r in reasons], np.float32)
        return Answers(reasons, shares.reshape(-1, 1))

    def mix(self, x: Asked, answers: Answers) -> Mixed:
        """Take the shares as they are: the mixer has weighed the signals already."""
        return Mixed(np.log(answers.values[:, 0]), answers.values)

    def parse(self, x: Asked, answers: Answers, mixed: Mixed) -> Explanation:
        """Keep the strongest reasons with different words, and say them."""
        kept: dict[str, Reason] = {}
        for reason in answers.choices:
            kept.setdefault(reason.text, reason)
        strongest = tuple(list(kept.values())[: x.k])
        wording = self.context.prompts.table(x.language, "sentences")
        title = x.item.title or x.item.item_id
        if x.excluded:
            sentence = fill(
                wording["excluded"],
                title=one_line(title),
                what=wording["disliked"] if x.excluded == DISLIKED else x.excluded,
            )
            return Explanation(x.item, (), sentence, ("not among the candidates",))
        sentence = say_reasons(title, strongest, tuple(HISTORY), wording)
        place = int((x.mixed.logprob > x.mixed.logprob[0]).sum())
        return Explanation(x.item, strongest, sentence, (f"place {place + 1} of its candidates",))

    def _excluded(self, ask: Ask, question: Question, row: int) -> str:
        """Return the conditions that the item does not meet, or that it was disliked."""
        if question.mask[row]:
            return ""
        filters = [*conditions(ask.where), *(question.need.filters if question.need else ())]
        broken = [str(f) for f in filters if not self.context.catalog.mask([f])[row]]
        return ", ".join(broken) or DISLIKED
