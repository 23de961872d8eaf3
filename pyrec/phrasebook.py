"""The catalog's own phrases: values of its attributes and frequent phrases of its titles.

They are the answers of the need task. Mined after an import and kept in the store, where the
priors of each text model, what a phrase is worth without a question, are kept beside them.
`recommender.py` keeps one per store, `tasks/need.py` searches it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np

from pyrec.answer_trie import AnswerTrie
from pyrec.catalog import Catalog
from pyrec.decoding import node_logprobs
from pyrec.index import Index
from pyrec.lm import TextModel
from pyrec.phrases import mine
from pyrec.prompts import Prompt
from pyrec.store import Store
from pyrec.survey import Survey, survey
from pyrec.text import SPACELESS, analyze, fold, hash_terms, term_hash, words

MAX_VALUES = 2000
MAX_MINED = 2000
MAX_WORDS = 4
"""Longer values ("Contains nuts and traces of ...") are sentences, not phrases."""
MAX_RUN, MAX_TITLE = 8, 200
"""Characters of a phrase without spaces, and of a title that is looked through."""
MIN_ITEMS = 2
"""A value of one item names that item: its words find it without a phrase."""
GROWTH = 0.1
"""Phrases are mined again once so many items, as a share of all, came, changed or went."""


class Phrasebook:
    """The phrases of one catalog, as written there, attribute values first.

    Attributes:
        survey: the catalog's columns, as questions name them; see `load`.
    """

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._phrases: tuple[str, ...] = ()
        self._values: dict[str, str] = {}
        self._columns: dict[str, str] = {}
        self.survey = Survey({}, {})
        self._version = self._surveyed = -1
        self._tries: dict[str, tuple[int, AnswerTrie]] = {}
        self._mined: tuple[int, dict[str, str]] | None = None
        self._weighed: tuple[AnswerTrie, int, float] | None = None

    @property
    def phrases(self) -> tuple[str, ...]:
        """The phrases, most frequent first within values and within titles."""
        self.load()
        return self._phrases

    def value(self, text: str) -> str | None:
        """Return the attribute value that a text is, case and accents aside; None if it is none."""
        self.load()
        return self._values.get(fold(text).strip())

    def column(self, phrase: str) -> str:
        """Return the attribute that a phrase is a value of, "" for a phrase of titles."""
        self.load()
        return self._columns.get(phrase, "")

    def phrases_in(self, title: str) -> list[str]:
        """Return the phrases of titles that stand in one, as the catalog mostly writes them."""
        self.load()
        if self._mined is None or self._mined[0] != self._version:
            mined = {fold(p): p for p in self._phrases if p not in self._columns}
            self._mined = (self._version, mined)
        known, folded = self._mined[1], fold(title)[:MAX_TITLE]
        found: dict[str, None] = {}
        tokens = folded.split()
        for first in range(len(tokens)):
            for last in range(first + 1, min(first + MAX_WORDS, len(tokens)) + 1):
                if phrase := known.get(" ".join(tokens[first:last])):
                    found[phrase] = None
        for run in re.findall(f"[{SPACELESS}]+", folded):
            for first in range(len(run)):
                for last in range(first + 2, min(first + MAX_RUN, len(run)) + 1):
                    if phrase := known.get(run[first:last]):
                        found[phrase] = None
        return list(found)

    def refresh(self) -> bool:
        """Mine the phrases again where the catalog changed enough; tell whether it was done."""
        kept = self._store.derived("phrases")
        version = self._catalog.version
        if kept is not None:
            n_changed = self._catalog.n_changed(kept[0])
            if n_changed == 0 or n_changed < GROWTH * self._catalog.count:
                return False
        columns = self._frequent_values()
        values = list(columns)
        known = {fold(v) for v in values}
        titles = (title for _, title in self._catalog.titles())
        mined = [p for p in mine(titles, max_phrases=MAX_MINED) if fold(p) not in known]
        book = {"columns": columns, "mined": mined}
        data = json.dumps(book, ensure_ascii=False)
        self._store.keep_derived("phrases", version, data.encode("utf-8"))
        told = json.dumps(survey(self._catalog).as_json(), ensure_ascii=False)
        self._store.keep_derived("survey", version, told.encode("utf-8"))
        return True

    def trie(self, model: TextModel, name: str, prompt: Prompt) -> AnswerTrie:
        """Return the phrases as tokens of a model, with their priors where these are known.

        Raises:
            EmptyAnswerSpaceError: the catalog has no phrases.
        """
        self.load()
        stamp = self._stamp(prompt)
        if name not in self._tries or self._tries[name][0] != stamp:
            tokens = [model.tokenize(prompt.lead + phrase) for phrase in self._phrases]
            trie = AnswerTrie(tokens)
            kept = self._store.derived(f"prior:{name}")
            if kept is not None and kept[0] == stamp and len(kept[1]) == 4 * len(trie):
                trie.set_prior(np.frombuffer(kept[1], np.float32))
            # Put in place when whole: other threads may be asking.
            self._tries[name] = (stamp, trie)
        return self._tries[name][1]

    def put_bonus(self, trie: AnswerTrie, index: Index, beta: float) -> None:
        """Give each phrase beta * log of about how many items hold it: those with its rarest word.

        Done once for a trie and a state of the catalog; hold the model's lock meanwhile.
        """
        weighed = self._weighed
        if weighed is not None and weighed[0] is trie and weighed[1:] == (index.version, beta):
            return
        terms = [hash_terms(list(dict.fromkeys(analyze(p, index.language)))) for p in self._phrases]
        starts = np.cumsum([0, *(len(t) for t in terms)])[:-1]
        df = index.text.df(np.concatenate(terms)).astype(np.float32)
        held = np.minimum.reduceat(df, starts)
        trie.set_bonus(np.float32(beta) * np.log(np.maximum(held, 1.0)))
        self._weighed = (trie, index.version, beta)

    def compute_priors(self, model: TextModel, name: str, prompt: Prompt) -> Iterator[float]:
        """Read what each phrase is worth without a question, and keep it; some seconds.

        Yields:
            The share done, up to 1.
        """
        trie = self.trie(model, name, prompt)
        if trie.has_prior:
            return
        total = np.zeros(len(trie), np.float32)
        for n, question in enumerate(prompt.neutral):
            start = model.tokenize(prompt.ask(question), start=True)
            read = total
            for share, read in node_logprobs(model, trie, start):  # noqa: B007 - the last one counts
                yield (n + share) / len(prompt.neutral)
            total += read
        prior = total / np.float32(len(prompt.neutral))
        self._store.keep_derived(f"prior:{name}", self._stamp(prompt), prior.tobytes())
        # Not set in the trie, which other threads may be searching: the next call makes a new one.
        self._tries.pop(name, None)

    def _frequent_values(self) -> dict[str, str]:
        """Return the values with their columns, the most frequent first."""
        counts: dict[str, tuple[int, str]] = {}
        for column in self._catalog.columns():
            if column.kind != "text":
                continue
            for value, n in self._catalog.values(column.name).items():
                if n >= MIN_ITEMS and 0 < len(words(value)) <= MAX_WORDS and not value.isdigit():
                    counts[value] = max((n, column.name), counts.get(value, (0, "")))
        frequent = sorted(counts, key=lambda v: (-counts[v][0], v))[:MAX_VALUES]
        return {value: counts[value][1] for value in frequent}

    def _stamp(self, prompt: Prompt) -> int:
        """Return a number that changes with the phrases or the prompt."""
        return term_hash("\n".join((prompt.text, *prompt.neutral, *self._phrases)))

    def load(self) -> None:
        """Read what the last mining kept, and what came since, where it was not read yet."""
        kept = self._store.derived("phrases")
        if kept is not None and kept[0] != self._version:
            book = json.loads(kept[1])
            self._columns = book["columns"]
            self._phrases = (*self._columns, *book["mined"])
            self._values = {fold(v).strip(): v for v in reversed(list(self._columns))}
            self._version = kept[0]
        if (version := self._catalog.version) != self._surveyed:
            self.survey = self._follow(version)
            self._surveyed = version

    def _follow(self, version: int) -> Survey:
        """Return the survey that was kept with what came since; what went is nobody's loss."""
        told = self._store.derived("survey")
        if told is None or told[0] > version:
            return survey(self._catalog)  # a store of an older pyrec has none
        kept = Survey.from_json(json.loads(told[1]))
        return kept if told[0] == version else kept.adding(self._catalog.since(told[0]))
