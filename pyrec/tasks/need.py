"""The need task: what a question means, in the catalog's own words.

Numbers, order, exclusions and names are read by rule (`numbers.py`, `prices.py`, `wishes.py`,
`exclusions.py`, `names.py`). For the rest X is the words and Y a phrase of the catalog; the text
model writes Y by a beam over the trie of all phrases. A phrase scores log P(phrase | question)
- alpha * its prior, the mean over neutral questions, so that phrases which are always likely
("clothes") do not always win, + beta * the logarithm of how many items hold it. Where the question
is a title or a value already, no model is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyrec.answer_trie import AnswerTrie
from pyrec.decoding import Answer, BeamConfig, beam_search
from pyrec.index import Index
from pyrec.lm import TextModel
from pyrec.mixer import Mixed
from pyrec.prompts import Prompt
from pyrec.survey import Named, Survey
from pyrec.tasks.base import Answers, Ask, Context, Task
from pyrec.tasks.exclusions import read_exclusions
from pyrec.tasks.foreign import ForeignNames
from pyrec.tasks.language import language_of
from pyrec.tasks.named_language import named_language
from pyrec.tasks.names import Names, is_other_role
from pyrec.tasks.numbers import read_numbers
from pyrec.tasks.prices import read_prices
from pyrec.tasks.spans import cut, without_courtesy
from pyrec.tasks.wishes import read_count, read_order
from pyrec.text import analyze, fold
from pyrec.types import Filter, Need, Phrase

EXCLUDED = 0.95
"""How likely a thing that the question excludes, and that is no value, is really meant."""
MAX_CHARACTERS = 300
"""A question is cut here for the text model, and longer ones hold no wish that a rule could read:
all of it is searched for by its words."""


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
        slack: how far below the worst of twice so many phrases a branch may stand and go on, in
            nats for each root of the tokens ahead. At 0 the text model reads 7.7 tokens of branches
            on product queries where without a bound it reads 12.8, and the words that prompts were
            chosen with find as much.
    """

    num_beams: int = 4
    alpha: float = 0.5
    beta: float = 0.25
    n_phrases: int = 5
    slack: float = 0.0


@dataclass(frozen=True)
class Understood:
    """X: what rules read, and the words that are left for the text model.

    Attributes:
        known: `title` or `value` where the question is one as it stands.
    """

    text: str
    index: Index
    known: str = ""
    filters: tuple[Filter, ...] = ()
    avoid: tuple[Phrase, ...] = ()
    order: str = ""
    n: int | None = None
    want: tuple[Phrase, ...] = ()


class NeedTask(Task[Understood, Need]):
    """Turns a question into a `Need`, in the language of the catalog."""

    name = "need"
    signals = ("score",)

    def __init__(self, context: Context, config: NeedConfig | None = None) -> None:
        super().__init__(context)
        self._config = config or NeedConfig()
        self._foreign: tuple[Survey, ForeignNames] | None = None

    def encode(self, ask: Ask) -> Understood:
        """Read numbers, order, exclusions and names by rule."""
        return self._encode(ask.text, ask.user, self.context.questions.current())

    def understand(self, text: str, user: str | None, index: Index) -> Need:
        """Understand words in one state of the catalog; `questions.py` calls this."""
        x = self._encode(text, user, index)
        answers = self.answers(x)
        return self.parse(x, answers, self.mix(x, answers))

    def survey(self) -> Survey:
        """Return what the catalog's columns hold."""
        self.context.book.load()
        return self.context.book.survey

    def value(self, words: str, index: Index) -> Named | None:
        """Return the value that words as a whole are, in any script; None where they are none."""
        exact = Names(self.context.catalog, self.survey(), index).exactly(words)
        foreign = self._foreign_names(index)
        if exact is None and foreign.segments(words):
            wrote = self._write(foreign, words, index)
            exact = wrote[0] if wrote else None
        if exact is None:
            phrases = self.context.book.phrases_in(words)
            exact = next((Named("", p, 0) for p in phrases if fold(p) == fold(words)), None)
        return exact

    def answers(self, x: Understood) -> Answers:
        """Let the text model write phrases of the catalog, with their scores as values (n, 1)."""
        found = [] if x.known or not x.text else self._beam(x)
        # A phrase of some of the question's own words ("air" for "air conditioner") is left out:
        # they are searched for anyway, and a model that repeats a part has understood nothing.
        own = set(analyze(x.text, x.index.language))
        phrases = [(self.context.book.phrases[a.index], a.score) for a in found]
        told = [each for each in phrases if not set(analyze(each[0], x.index.language)) < own]
        told = told[: self._config.n_phrases]
        values = np.array([[score] for _, score in told], np.float32).reshape(-1, 1)
        return Answers([phrase for phrase, _ in told], values)

    def mix(self, x: Understood, answers: Answers) -> Mixed:
        """Normalize: the beam has weighed already, a score is log-likelihood, prior and size."""
        scores = answers.values[:, 0]
        best = scores.max(initial=-np.inf)
        logprob = scores - best - np.log(np.exp(scores - best).sum()) if len(scores) else scores
        return Mixed(logprob.astype(np.float32), answers.values)

    def parse(self, x: Understood, answers: Answers, mixed: Mixed) -> Need:
        """Put what rules read and what the model wrote together."""
        index, book = x.index, self.context.book
        terms = tuple(dict.fromkeys(analyze(x.text, index.language)))
        if x.known == "value":
            exact = book.value(x.text) or x.text
            phrases: tuple[Phrase, ...] = (Phrase(exact, 1.0, book.column(exact)),)
        else:
            shares = np.exp(mixed.logprob).tolist()
            phrases = tuple(Phrase(p, s) for p, s in zip(answers.choices, shares, strict=True))
        path = [f"filter {f}" for f in x.filters]
        path += [f"avoid {p.text}" for p in x.avoid]
        if step := self._step(x):
            path.append(step)
        path += [f"want {p.text}" for p in x.want]
        return Need(x.text, terms, phrases, x.filters, tuple(path), x.avoid, x.order, x.n, x.want)

    def _encode(self, text: str, user: str | None, index: Index) -> Understood:
        """Read what rules can read, and add what the user likes and dislikes."""
        x = self._read(" ".join(text.split()), index)
        if user is None:
            return x
        want, disliked = self.context.questions.stance(user)
        return replace(x, avoid=(*x.avoid, *_unasked(disliked, x)), want=want)

    def _read(self, text: str, index: Index) -> Understood:
        book = self.context.book
        book.load()
        if text and self.context.questions.is_title(text, index):
            return Understood(text, index, "title")
        if text and book.value(text) is not None:
            return Understood(text, index, "value")
        if len(text) > MAX_CHARACTERS:
            return Understood(text, index)
        survey = book.survey
        read = read_numbers(text, survey)
        text, filters = read.text, [*read.filters]
        if "price" in survey.numbers:
            text, prices = read_prices(text)
            filters += prices

        def stands(words: str) -> bool:
            return self.context.questions.stands_in_title(words, index)

        text, n = read_count(text, stands)
        text, order = read_order(text, survey)
        if language := named_language(text, survey):
            text = cut(text, language[0])
            filters.append(Filter(language[1].column, "=", language[1].value))
        names, foreign = Names(self.context.catalog, survey, index), self._foreign_names(index)

        def write(words: str) -> Named | None:
            wrote = self._write(foreign, words, index) if foreign.segments(words) else None
            return wrote[0] if wrote else None

        text, excluded = read_exclusions(text, names.at_start, write, stands)
        avoid = tuple(Phrase(thing.text, EXCLUDED) for thing in excluded if thing.named is None)
        filters += [Filter(t.named.column, "!=", t.named.value) for t in excluded if t.named]
        text = without_courtesy(text)
        for mention in names.mentions(text):
            named = mention.named
            filters.append(Filter(named.column, "=", named.value, mention.probability))
        for segment in foreign.segments(text):
            if not is_other_role(segment) and (found := self._write(foreign, segment, index)):
                filters.append(Filter(found[0].column, "=", found[0].value, found[1]))
        filters = self._possible(list(dict.fromkeys(filters)))
        known = "value" if text and book.value(text) is not None else ""
        return Understood(text, index, known, tuple(filters), avoid, order, n)

    def _possible(self, filters: list[Filter]) -> list[Filter]:
        """Leave values of a column out that no item has together: "Nike or Puma" is either."""
        named: dict[str, list[Filter]] = {}
        for each in filters:
            if each.op == "=" and isinstance(each.value, str):
                named.setdefault(each.column, []).append(each)
        for several in named.values():
            if len(several) > 1 and not self.context.catalog.mask(several).any():
                filters = [each for each in filters if each not in several]
        return filters

    def _foreign_names(self, index: Index) -> ForeignNames:
        survey = self.context.book.survey
        if self._foreign is None or self._foreign[0] is not survey:
            self._foreign = (survey, ForeignNames(survey, index.language))
        return self._foreign[1]

    def _write(self, names: ForeignNames, words: str, index: Index) -> tuple[Named, float] | None:
        models, prompts = self.context.models, self.context.prompts
        prompt = prompts.load(index.language, "need")
        back = prompts.load(language_of(words, index.language), "need")
        return names.write(words, models.text, models.text_name, prompt, back)

    def _step(self, x: Understood) -> str:
        """Say how the phrases were found."""
        if not x.text:
            return ""
        if x.known:
            return "exact title" if x.known == "title" else "exact value of the catalog"
        if not self.context.book.phrases:
            return "words only: the catalog has no phrases"
        model = self.context.models.text()
        if model is None:
            return "words only: no text model"
        how = "" if self._trie(x, model).has_prior else " without priors (run `pyrec index`)"
        return f"phrases by {self.context.models.text_name}{how}"

    def _beam(self, x: Understood) -> list[Answer]:
        model = self.context.models.text() if self.context.book.phrases else None
        if model is None:
            return []
        trie = self._trie(x, model)
        alpha = self._config.alpha if trie.has_prior else 0.0
        config = BeamConfig(self._config.num_beams, alpha, slack=self._config.slack)
        prompt = self._prompt(x)
        start = model.tokenize(prompt.ask(x.text[:MAX_CHARACTERS]), start=True)
        with model.lock:  # the trie is shared, and its bonus set for this state of the catalog
            self.context.book.put_bonus(trie, x.index, self._config.beta)
            # Some to spare, for those that only repeat the question.
            return beam_search(model, trie, start, 2 * self._config.n_phrases, config)

    def _prompt(self, x: Understood) -> Prompt:
        return self.context.prompts.load(x.index.language, "need")

    def _trie(self, x: Understood, model: TextModel) -> AnswerTrie:
        return self.context.book.trie(model, self.context.models.text_name, self._prompt(x))


def _unasked(disliked: Sequence[Phrase], x: Understood) -> tuple[Phrase, ...]:
    """Return what a user clearly dislikes, but for what they ask for here."""
    asked = {(f.column, f.value) for f in x.filters if f.op == "="}
    words = set(analyze(x.text, "auto"))
    return tuple(
        phrase
        for phrase in disliked
        if (phrase.column, phrase.text) not in asked
        and not set(analyze(phrase.text, "auto")) <= words
    )
