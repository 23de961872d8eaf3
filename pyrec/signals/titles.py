"""The text model's own word: titles that it generates for the question.

It acts in two places. Over the best of a mixed pool a beam walks the trie of their titles, with
the mix as bonus (`rerank`, called by `tasks/recommend.py`). Over all titles of the catalog a beam
names candidates from what the model knows of the world: the signal `titles`, which is asked for
and never a default, as it takes the model some tenths of a second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyrec.answer_trie import AnswerTrie
from pyrec.decoding import Answer, BeamConfig, beam_search
from pyrec.errors import EmptyAnswerSpaceError
from pyrec.lm import TextModel, Tokens
from pyrec.signals.base import F32, I32, Question
from pyrec.types import Item

CATALOG_BEAMS = 8
N_GENERATED = 100
SLACK, STRIDE = 0.08, 6
"""A branch may be wrong by .08 of the surprise that is ahead (the root of the sum of its squares),
and goes on by 6 tokens: titles of a shop have some 20. On recorded readings of the pools of
`bench/beams.py` .1 reads 5% more and finds no more, .06 finds less; 5 and 8 tokens are alike.
Encoder-decoder models, which read no neutral prompt, were not measured."""


class Titles:
    """P(title | question) of the titles that a beam over the whole catalog finds."""

    name = "titles"

    def __init__(self) -> None:
        self._trie: tuple[object, AnswerTrie, I32] | None = None

    def admit(self, question: Question, n: int) -> I32:
        """Name the items whose titles the model generates; none without a model or words."""
        found = self._generate(question)
        idx = np.array(sorted(found, key=lambda i: (-found[i], i)), np.int32)
        allowed: I32 = idx[question.mask[idx] != 0]
        return allowed[:n]

    def score(self, question: Question, pool: I32) -> F32:
        """Give the probability among the generated titles, 0 to others, NaN without any."""
        found = self._generate(question)
        if not found:
            return np.full(len(pool), np.nan, np.float32)
        return np.array([found.get(int(idx), 0.0) for idx in pool], np.float32)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Say that the model named it."""
        return "named by the text model"

    def _generate(self, question: Question) -> dict[int, float]:
        if question.generated is None:
            question.generated = self._run(question)
        return question.generated

    def _run(self, question: Question) -> dict[int, float]:
        model = question.model
        if model is None or question.need is None or not question.need.text:
            return {}
        try:
            trie, rows = self._catalog_trie(question, model)
        except EmptyAnswerSpaceError:
            return {}
        config = BeamConfig(num_beams=CATALOG_BEAMS)
        start, _ = ask(question, model)
        answers = beam_search(model, trie, start, N_GENERATED, config)
        if not answers:
            return {}
        weights = np.exp(np.array([a.score for a in answers]) - answers[0].score)
        shares = weights / weights.sum()
        return {int(rows[a.index]): float(w) for a, w in zip(answers, shares, strict=True)}

    def _catalog_trie(self, question: Question, model: TextModel) -> tuple[AnswerTrie, I32]:
        key = (question.index.version, id(model))
        if self._trie is None or self._trie[0] != key:
            rows = np.flatnonzero(question.index.live).astype(np.int32)
            lead = question.prompts.load(question.index.language, "titles").lead
            sequences = [model.tokenize(lead + title) for title in question.titles(rows)]
            self._trie = (key, AnswerTrie(sequences), rows)
        return self._trie[1], self._trie[2]


def rerank(
    question: Question, titles: Sequence[str], mix: F32, theta: float, num_beams: int, k: int
) -> list[Answer]:
    """Generate the best k of some titles: theta * PMI of the title plus its mix score.

    Args:
        question: with a text model and words.
        titles: those of the pool's best.
        mix: (len(titles),) float32, their log-probabilities from the mixer.
        theta: the weight of the text model.
        num_beams: branches alive.
        k: how many to generate.

    Returns:
        Answers whose `index` counts in `titles`, best first; what was pruned is missing.
    """
    assert question.model is not None, "the caller asks only where there is a model"
    model = question.model
    lead = question.prompts.load(question.index.language, "titles").lead
    trie = AnswerTrie([model.tokenize(lead + title) for title in titles])
    trie.set_bonus(mix)
    start, neutral = ask(question, model)
    alpha = 1.0 if neutral is not None else 0.0
    config = BeamConfig(max(num_beams, 1), alpha, theta, SLACK, STRIDE)
    return beam_search(model, trie, start, k, config, neutral)


def ask(question: Question, model: TextModel) -> tuple[Tokens, Tokens | None]:
    """Return the prompt for the question's title, and the neutral one where the model reads two."""
    wording = question.prompts.load(question.index.language, "titles")
    text = question.need.text if question.need else ""
    start = model.tokenize(wording.ask(text[:300]), start=True)
    if not model.reads_two:
        return start, None
    return start, model.tokenize(wording.ask(wording.neutral[0]), start=True)
