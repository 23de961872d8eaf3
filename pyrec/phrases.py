"""The catalog's own frequent phrases, mined from its titles: what a question may mean.

`phrasebook.py` mines them after an import; the need task lets a text model choose among them.
Words with spaces between them give runs of one to three words; scripts without spaces give the
words found by `segmentation.py`. No dictionary of any language is needed.
"""

from __future__ import annotations

import random
import re
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pyrec import grams as ngrams
from pyrec.grams import BREAK, F64, I64, Corpus, Grams
from pyrec.segmentation import expected_counts, gain
from pyrec.stopwords import STOP_WORDS
from pyrec.text import SPACELESS, WORD, analyze, fold, main_script

MAX_TITLES = 20_000
"""Titles read closely; of more, a sample. What 4,000 phrases hold is frequent in it as well."""
MAX_CHARACTERS = 300  # of a title; what is longer is a description
MAX_WORDS = 3
MAX_RUN = 5  # characters of a word in a spaceless script
MAX_SPELLED_RUN = 8  # where a character is a sound and not a word

_WORD = re.compile(rf"{WORD}(?:['’.&-]{WORD})*")
_RUN_ATOM = re.compile(rf"[{SPACELESS}]|{WORD}")
_SPACELESS = re.compile(f"[{SPACELESS}]")
_SPELLED = frozenset(["ja", "ko", "th"])

# A phrase's place is log(titles) + what follows; weights chosen so that on 6,000 annotated Chinese
# titles the first 1,500 phrases hold most categories, and read by eye on English ones.
_COHESION_WEIGHT, _MAX_COHESION = 0.15, 6.0
_END_WEIGHT, _END_FLOOR = 0.5, 0.05
_MIN_PMI = 1.0  # nats, for several words with spaces
_MIN_GAIN = 3.0  # nats, for a spaceless word; two characters that just meet gain less
_MIN_WORD_SHARE = 0.1  # of its titles in which a gram stands uncut
_MIN_BRANCHING = 0.6  # nats; what has one neighbor is a piece of something longer
_MAX_INSIDE = 0.8  # of its titles in which a phrase may stand within one longer phrase


def mine(titles: Iterable[str], max_phrases: int = 4000) -> list[str]:
    """Find the phrases that titles share, most useful first.

    One pass over the titles, which may be any number; memory is bounded. The same titles in the
    same order give the same phrases.

    Args:
        titles: any strings.
        max_phrases: at most this many.

    Returns:
        Different phrases as most titles write them; few or none for a handful of titles.
    """
    sample = _sample(titles)
    min_df = min(5, 2 + len(sample) // 1500)
    language = main_script(sample)
    scored = _mine_words(sample, min_df, language)
    scored += _mine_runs(sample, min_df, MAX_SPELLED_RUN if language in _SPELLED else MAX_RUN)
    best: dict[str, str] = {}
    for _, phrase in sorted(scored, key=lambda pair: (-pair[0], pair[1])):
        best.setdefault(fold(phrase), phrase)
    return list(best.values())[:max_phrases]


def _sample(titles: Iterable[str]) -> list[str]:
    """Keep at most MAX_TITLES, each as likely as the others (reservoir), in a fixed way."""
    rng = random.Random(0)
    kept: list[str] = []
    for n, title in enumerate(titles):
        if n < MAX_TITLES:
            kept.append(title[:MAX_CHARACTERS])
        elif (place := rng.randrange(n + 1)) < MAX_TITLES:
            kept[place] = title[:MAX_CHARACTERS]
    return kept


@dataclass
class _Atoms:
    """Collects the atoms of titles: their ids, and where in its title each one stands."""

    ids: dict[str, int] = field(default_factory=dict)
    atom: array[int] = field(default_factory=lambda: array("i"))
    title: array[int] = field(default_factory=lambda: array("i"))
    begin: array[int] = field(default_factory=lambda: array("i"))
    end: array[int] = field(default_factory=lambda: array("i"))

    def add(self, title: int, key: str, begin: int, end: int) -> None:
        self._append(self.ids.setdefault(key, len(self.ids)), title, begin, end)

    def pause(self, title: int) -> None:
        if self.atom and self.atom[-1] != BREAK:
            self._append(BREAK, title, 0, 0)

    def _append(self, atom: int, title: int, begin: int, end: int) -> None:
        self.atom.append(atom)
        self.title.append(title)
        self.begin.append(begin)
        self.end.append(end)

    def corpus(self) -> Corpus:
        return Corpus(np.array(self.atom), np.array(self.title), len(self.ids))

    def surfaces(self, sample: list[str], grams: Grams, chosen: I64) -> list[str]:
        """Return how titles write each chosen gram most often; a tie goes to the first."""
        written: dict[int, Counter[str]] = {int(gram): Counter() for gram in chosen}
        wanted = np.zeros(len(grams) + 1, bool)
        wanted[chosen] = True
        for length, at in enumerate(grams.at, 1):
            for place in np.flatnonzero(wanted[at]).tolist():
                title = sample[self.title[place]]
                text = title[self.begin[place] : self.end[place + length - 1]]
                written[int(at[place])][" ".join(text.split())] += 1
        return [written[int(gram)].most_common(1)[0][0] for gram in chosen]


class _Stems(dict[str, str]):
    """The terms of each word of the sample, as one string."""

    def __init__(self, language: str) -> None:
        self._language = language

    def __missing__(self, word: str) -> str:
        self[word] = key = " ".join(analyze(word, self._language))
        return key


def _mine_words(sample: list[str], min_df: int, language: str) -> list[tuple[float, str]]:
    """Score runs of one to three words; words of one stem are one."""
    atoms = _Atoms()
    stems = _Stems(language)
    for number, title in enumerate(sample):
        last = 0
        for match in _WORD.finditer(title):
            if title[last : match.start()].strip():
                atoms.pause(number)
            atoms.add(number, stems[match[0]], match.start(), match.end())
            last = match.end()
        atoms.pause(number)
    if not atoms.ids:
        return []
    corpus = atoms.corpus()
    grams = ngrams.find_frequent(corpus, MAX_WORDS, min_df)
    keys = list(atoms.ids)
    stop_words = {stems[w] for code in ("en", language) for w in STOP_WORDS.get(code, ())}
    weak = np.array([_is_number(key) or key in stop_words for key in keys])
    weak |= _units(corpus, np.array([key.replace(" ", "").isdigit() for key in keys]))
    too_short = weak | np.array([len(key) < 2 for key in keys])
    cohesion = _pmi(grams, len(sample))
    last_atom = corpus.atom[grams.place + grams.length - 1]
    good = (grams.df >= min_df) & ~too_short[corpus.atom[grams.place]] & ~weak[last_atom]
    several = _share_as_word(corpus, grams) >= _MIN_WORD_SHARE
    several &= (cohesion >= _MIN_PMI) & _is_whole(corpus, grams, weak)
    good &= several | (grams.length == 1)
    good &= _inside(grams, good) < _MAX_INSIDE * grams.df
    share = ngrams.end_share(corpus, grams, weak)
    return _score(atoms, sample, grams, np.flatnonzero(good), grams.df, cohesion, share)


def _mine_runs(sample: list[str], min_df: int, max_length: int) -> list[tuple[float, str]]:
    """Score the words of spaceless scripts; a Latin word beside one may be its part (T恤)."""
    atoms = _Atoms()
    for number, title in enumerate(sample):
        if not _SPACELESS.search(title):
            continue
        last = 0
        for match in _RUN_ATOM.finditer(title):
            is_number = _is_number(match[0])
            if match.start() > last or is_number:
                atoms.pause(number)
            if not is_number:
                atoms.add(number, match[0].casefold(), match.start(), match.end())
            last = match.end()
        atoms.pause(number)
    if not atoms.ids:
        return []
    corpus = atoms.corpus()
    grams = ngrams.find_frequent(corpus, max_length, min_df)
    counts = expected_counts(corpus, grams)
    cohesion = gain(grams, counts)
    good = (grams.length > 1) & (counts >= _MIN_WORD_SHARE * grams.df) & (counts >= 2)
    no_ends = np.zeros(corpus.n_atoms, bool)
    good &= (cohesion >= _MIN_GAIN) & _is_whole(corpus, grams, no_ends)
    share = ngrams.end_share(corpus, grams, no_ends)
    return _score(atoms, sample, grams, np.flatnonzero(good), counts, cohesion, share)


def _score(
    atoms: _Atoms,
    sample: list[str],
    grams: Grams,
    chosen: I64,
    counts: npt.NDArray[np.float64] | I64,
    cohesion: F64,
    share: F64,
) -> list[tuple[float, str]]:
    score = np.log(counts[chosen])
    score += _COHESION_WEIGHT * np.minimum(cohesion[chosen], _MAX_COHESION)
    score += _END_WEIGHT * np.log(share[chosen] + _END_FLOOR)
    return list(zip(score.tolist(), atoms.surfaces(sample, grams, chosen), strict=True))


def _share_as_word(corpus: Corpus, grams: Grams) -> F64:
    """Return the share of its titles in which each gram stands uncut: (n_grams,) float64.

    Grams of m words compete with those of up to m only: "patch cable" against "cat6 patch", and
    not against "cat6 patch cable", which it is a phrase inside of.
    """
    share = np.ones(len(grams))
    for length in range(2, len(grams.at) + 1):
        few = grams.up_to(length)
        these: I64 = np.flatnonzero(few.length == length)
        share[these] = expected_counts(corpus, few)[these] / few.df[these]
    return share


def _is_whole(corpus: Corpus, grams: Grams, ends: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell the grams that have various neighbors on both sides: (n_grams,) bool."""
    left, right = (ngrams.branching(corpus, grams, ends, left=side) for side in (True, False))
    return np.minimum(left, right) >= _MIN_BRANCHING


def _units(corpus: Corpus, is_number: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell the atoms that mostly follow a number: pcs, ounces, pages. (n_atoms,) bool."""
    here: I64 = np.flatnonzero(corpus.atom >= 0)
    follows = np.append(is_number, False)[corpus.atom[here - 1]]
    n = np.bincount(corpus.atom[here], minlength=corpus.n_atoms)
    n_following = np.bincount(corpus.atom[here], weights=follows, minlength=corpus.n_atoms)
    return np.asarray(n_following > n / 2)


def _pmi(grams: Grams, n_titles: int) -> F64:
    """Return the least pointwise mutual information over the cuts in two: nats, 0 for atoms."""
    pmi = np.zeros(len(grams))
    for length in range(2, len(grams.at) + 1):
        these: I64 = np.flatnonzero(grams.length == length)
        together = np.log(grams.df[these] * n_titles)
        apart = [
            np.log(grams.df[grams.part(these, 0, cut)])
            + np.log(grams.df[grams.part(these, cut, length - cut)])
            for cut in range(1, length)
        ]
        pmi[these] = together - np.max(apart, axis=0)
    return pmi


def _inside(grams: Grams, good: npt.NDArray[np.bool_]) -> I64:
    """Return the titles of the most frequent good gram that holds each gram: (n_grams,) int64."""
    most = np.zeros(len(grams), np.int64)
    for length in range(2, len(grams.at) + 1):
        these: I64 = np.flatnonzero(good & (grams.length == length))
        for size in range(1, length):
            for begin in range(length - size + 1):
                np.maximum.at(most, grams.part(these, begin, size), grams.df[these])
    return most


def _is_number(word: str) -> bool:
    """Tell numbers, measures and codes: at least as many digits as letters."""
    if word.isalpha():  # nearly all are; counting digits costs ten times more
        return False
    n_digits = sum(character.isdigit() for character in word)
    return 2 * n_digits >= len(word.replace(" ", ""))
