"""The need task: what a question means, in the catalog's own words.

X is the question, Y a phrase of the catalog; the text model writes Y by a beam over the trie of
all phrases. A phrase scores log P(phrase | question) - alpha * its prior, the mean over neutral
questions, so that phrases which are always likely ("clothes") do not always win, + beta * the
logarithm of how many items hold it. Price bounds are
read by rule (`prices.py`). Where the question is a phrase already, no model is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyrec import prompts
from pyrec.decoding import Answer, BeamConfig, beam_search
from pyrec.index import Index
from pyrec.lm import TextModel
from pyrec.phrasebook import Phrasebook
from pyrec.tasks.prices import read_prices
from pyrec.text import analyze
from pyrec.types import Filter, Need, Phrase

MAX_CHARACTERS = 300
"""A question is cut here for the text model; all of it is searched for by its words."""


@dataclass(frozen=True)
class NeedConfig:
    """How to look for phrases.

    Attributes:
        num_beams: branches alive. A beam of 20 was seen to find nothing more than 5, and llama.cpp
            multiplies four rows at a time, so that a fifth costs as much as the first four.
        alpha: how much of a phrase's prior is taken off; ½ beat 0 and 1 clearly.
        beta: what the logarithm of the number of items that hold a phrase adds: of two names for
            a thing ("jewellery", "jewelry") the catalog mostly means the one it uses. 0.15 to 0.35
            found more than 0 and 0.5 on the words that prompts were chosen with (precision@5 .81
            to .84 against .79).
        n_phrases: how many phrases a need has at most.
        slack: how far below the worst of twice so many phrases a branch may stand and go on. At 0
            the text model reads 7.7 tokens of branches on product queries where without a bound it
            reads 12.8, and the words that prompts were chosen with find as much.
    """

    num_beams: int = 4
    alpha: float = 0.5
    beta: float = 0.25
    n_phrases: int = 5
    slack: float = 0.0


class NeedTask:
    """Turns a question into a `Need` with one catalog's phrases.

    Args:
        book: the catalog's phrases.
        index: the catalog's arrays; the answer is written in its language.
        has_prices: whether items have prices, so that "under 300" can mean one.
    """

    def __init__(
        self,
        book: Phrasebook,
        index: Index,
        has_prices: bool,
        config: NeedConfig | None = None,
    ) -> None:
        self._book = book
        self._index = index
        self._language = index.language
        self._has_prices = has_prices
        self._config = config or NeedConfig()

    def __call__(
        self, text: str, is_title: bool, model: Callable[[], TextModel | None], model_name: str
    ) -> Need:
        """Understand a question.

        Args:
            text: the user's words.
            is_title: whether they are the title of an item.
            model: gives the text model, None to go without; only called where it is needed.
            model_name: what its priors are kept under.
        """
        rest, filters = self._encode(text)
        terms = tuple(dict.fromkeys(analyze(rest, self._language)))
        phrases, step = self._answers(rest, is_title, model, model_name)
        path = (*(f"filter {f}" for f in filters), *((step,) if step else ()))
        return Need(rest, terms, phrases, filters, path)

    def _encode(self, text: str) -> tuple[str, tuple[Filter, ...]]:
        return read_prices(text.strip()) if self._has_prices else (text.strip(), ())

    def _answers(
        self,
        text: str,
        is_title: bool,
        load_model: Callable[[], TextModel | None],
        model_name: str,
    ) -> tuple[tuple[Phrase, ...], str]:
        if not text:
            return (), ""
        exact = self._book.value(text)
        if exact is not None:
            return (Phrase(exact, 1.0, self._book.column(exact)),), "exact value of the catalog"
        if is_title:
            return (), "exact title"
        if not self._book.phrases:
            return (), "words only: the catalog has no phrases"
        model = load_model()
        if model is None:
            return (), "words only: no text model"
        prompt = prompts.load(self._language, "need")
        trie = self._book.trie(model, model_name, prompt)
        alpha = self._config.alpha if trie.has_prior else 0.0
        config = BeamConfig(self._config.num_beams, alpha, slack=self._config.slack)
        start = model.tokenize(prompt.ask(text[:MAX_CHARACTERS]), start=True)
        with model.lock:  # the trie is shared, and its bonus set for this state of the catalog
            self._book.put_bonus(trie, self._index, self._config.beta)
            # Some to spare, for those that only repeat the question.
            answers = beam_search(model, trie, start, 2 * self._config.n_phrases, config)
        how = "" if trie.has_prior else " without priors (run `pyrec index`)"
        return self._parse(text, answers), f"phrases by {model_name}{how}"

    def _parse(self, text: str, answers: Sequence[Answer]) -> tuple[Phrase, ...]:
        """Turn scores into probabilities over the phrases found.

        A phrase of some of the question's own words ("air" for "air conditioner") is left out:
        they are searched for anyway, and a model that repeats a part has understood nothing.
        """
        own = set(analyze(text, self._language))
        told = [a for a in answers if not self._terms(a) < own]
        answers = told[: self._config.n_phrases]
        if not answers:
            return ()
        best = answers[0].score
        weights = [math.exp(a.score - best) for a in answers]
        texts = [self._book.phrases[a.index] for a in answers]
        return tuple(Phrase(text, w / sum(weights)) for text, w in zip(texts, weights, strict=True))

    def _terms(self, answer: Answer) -> set[str]:
        return set(analyze(self._book.phrases[answer.index], self._language))
