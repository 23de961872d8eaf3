"""Text analysis: folding, tokens, stems and term hashes, for any script.

The catalog (what it indexes), the lexical signals and the need task (what they look for) call the
same functions, so that a title and a question agree on their terms. Stemming is Snowball's
(https://snowballstem.org); scripts written without spaces become single characters plus overlapping
bigrams, which needs no dictionary and finds words of any length.
"""

from __future__ import annotations

import re
import threading
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt
import snowballstemmer

from pyrec.stopwords import STOP_WORDS

# Scripts that put no (or few) spaces between words: Thai, Lao, Burmese, Hangul, Khmer, kana,
# Bopomofo, Han. Written for the inside of a regular expression's [...].
SPACELESS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ecd\u0edc-\u0edf\u1000-\u103f\u1050-\u109f"
    "\u1100-\u11ff\u1780-\u17d3\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U00020000-\U000323af"
)
# Vowel signs and other marks inside the words of scripts with spaces (Devanagari, Tamil, ...),
# which `\w` leaves out. Above U+2E00 only the spaceless scripts have them.
_MARKS = "".join(
    chr(c) for c in range(0x300, 0x2E00) if unicodedata.category(chr(c)) in ("Mn", "Mc")
)
_LETTER = rf"[^\W_{SPACELESS}]"
WORD = rf"{_LETTER}+(?:[{_MARKS}]+{_LETTER}*)*"
_TOKEN = re.compile(rf"([{SPACELESS}]+)|({WORD})")
_ASCII_TOKEN = re.compile(r"[a-z0-9]+")
_INNER_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_DIGIT = re.compile(r"\d")

_MAX_WORD = 40  # characters; longer "words" are keys and codes, and would only fill the caches
_MAX_CACHED = 1 << 16  # entries in a cache, some 10 MB; a full one starts over

_LATIN = {
    "en": "english",
    "de": "german",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
    "pt": "portuguese",
    "nl": "dutch",
    "sv": "swedish",
    "da": "danish",
    "no": "norwegian",
    "fi": "finnish",
    "hu": "hungarian",
    "ro": "romanian",
    "tr": "turkish",
}
_ELIDING = frozenset(["fr", "it"])  # l'eau is two words, women's is one

# First word of a letter's Unicode name: language code, Snowball algorithm (None: left as it is).
_SCRIPTS: dict[str, tuple[str, str | None]] = {
    "CYRILLIC": ("ru", "russian"),
    "GREEK": ("el", "greek"),
    "ARABIC": ("ar", "arabic"),
    "ARMENIAN": ("hy", "armenian"),
    "DEVANAGARI": ("hi", "hindi"),
    "TAMIL": ("ta", "tamil"),
    "HEBREW": ("he", None),
    "THAI": ("th", None),
    "CJK": ("zh", None),
    "HIRAGANA": ("ja", None),
    "KATAKANA": ("ja", None),
    "HANGUL": ("ko", None),
}
LANGUAGES = frozenset(["auto", *_LATIN, *(code for code, _ in _SCRIPTS.values())])


def _plain_letters() -> dict[str, str]:
    """List what folding replaces: accented letters, marks, quotes, characters nobody sees."""
    plain: dict[str, str] = {}
    for code in (*range(0xC0, 0x250), *range(0x370, 0x400), *range(0x1E00, 0x2000)):
        plain[chr(code)] = unicodedata.normalize("NFD", chr(code))[0]
    # Joined letters and those with a stroke do not decompose; people type them plainly.
    plain |= {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "ŀ": "l"}
    plain |= {"æ": "ae", "œ": "oe", "þ": "th", "ё": "е"}
    plain |= dict.fromkeys("\u2019\u2018\u02bc\u00b4", "'")
    # Accents over any letter, Hebrew points, Arabic vowels: optional in writing. Kana voicing and
    # the vowel signs of India and Thailand are not, and stay.
    for first, last in ((0x300, 0x36F), (0x591, 0x5C7), (0x610, 0x61A), (0x64B, 0x65F)):
        marks = (chr(c) for c in range(first, last + 1))
        plain |= dict.fromkeys((m for m in marks if unicodedata.category(m) == "Mn"), "")
    plain |= {"\u0640": "", "\u0670": ""}
    hidden = {"Cc": " ", "Cs": " ", "Cf": ""}
    for code in (*range(0xA1), 0xAD, 0x61C, *range(0x180B, 0x180F), *range(0x200B, 0x2070)):
        if (kind := unicodedata.category(chr(code))) in hidden:
            plain[chr(code)] = hidden[kind]
    plain |= {"\u200b": " ", "\ufeff": ""}
    return {old: new for old, new in plain.items() if old != new}


_PLAIN = _plain_letters()
_NOT_PLAIN = re.compile("[" + "".join(map(re.escape, _PLAIN)) + "\ud800-\udfff]")
_ASCII_CONTROLS = dict.fromkeys((*range(32), 127), " ")


def fold(text: str) -> str:
    """Reduce a text to what a search should not distinguish.

    NFKC, case folded, accents off (not where they carry meaning: kana voicing, Hangul, Indic vowel
    signs), control characters and lone surrogates to spaces, runs of spaces to one, none outside.
    Folding twice changes nothing.
    """
    if text.isascii():
        if not text.isprintable():
            text = text.translate(_ASCII_CONTROLS)
        return " ".join(text.lower().split())
    while True:  # composing, folding and dropping marks make work for each other, twice at most
        plain = _NOT_PLAIN.sub(lambda match: _PLAIN.get(match[0], " "), text)
        plain = unicodedata.normalize("NFKC", plain).casefold()
        if plain == text:
            return " ".join(plain.split())
        text = plain


def words(text: str) -> list[str]:
    """Split a text into folded words, in order and not stemmed.

    A run of a spaceless script is one word; an apostrophe between letters is left out ("mens").
    """
    return [run or word for run, word in _tokens(fold(text), elide=False)]


def analyze(text: str, language: str = "auto") -> list[str]:
    """Turn a text into the terms of an index, in order, repeated ones repeated.

    Words are stemmed, codes (anything with a digit) stay whole, runs of a spaceless script become
    each character followed by the bigram that begins there.

    Args:
        text: any string.
        language: a code of `LANGUAGES`; it chooses the stemmer of Latin letters, every other script
            has its own. "auto" means English there, whatever the words: guessing from each string
            would stem a title and a question about it differently. A catalog passes what
            `main_script` said of its titles.

    Raises:
        ValueError: `language` is not one of `LANGUAGES`.
    """
    stems = _stems(language)
    folded = fold(text)
    if folded.isascii() and "'" not in folded:
        return [stems[word] for word in _ASCII_TOKEN.findall(folded)]
    terms: list[str] = []
    for run, word in _tokens(folded, elide=language in _ELIDING):
        if word:
            terms.append(stems[word])
            continue
        for first, second in pairwise(run):
            terms += (first, first + second)
        terms.append(run[-1])
    return terms


def term_hash(term: str) -> int:
    """Return the term's uint32 key: CRC-32 of its UTF-8, equal on every platform."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


def hash_terms(terms: Sequence[str]) -> npt.NDArray[np.uint32]:
    """Return the keys of terms, in their order: (len(terms),) uint32."""
    return np.fromiter(map(_HASHES.__getitem__, terms), dtype=np.uint32, count=len(terms))


def main_script(samples: Iterable[str]) -> str:
    """Guess the language most of these titles are written in.

    Each of the first 5,000 titles votes for the script of most of its words (two characters of a
    spaceless script count as a word); Latin titles are then told apart by their stop words.

    Returns:
        A language code of `LANGUAGES`; "en" when nothing can be told.
    """
    votes: Counter[str] = Counter()
    function_words: Counter[str] = Counter()
    for title in islice(samples, 5000):
        weight: Counter[str] = Counter()
        for run, word in _tokens(fold(title), elide=False):
            if word and not word[0].isdigit():
                weight[_script(word[0])] += 2
            for character in run:
                weight[_script(character)] += 1
        if not weight:
            continue
        if weight["HIRAGANA"] + weight["KATAKANA"]:  # Chinese has no kana, Japanese has Han
            weight["HIRAGANA"] += weight.pop("CJK", 0) + weight.pop("KATAKANA", 0)
        script = max(weight, key=lambda name: (weight[name], name))
        votes[_SCRIPTS[script][0] if script in _SCRIPTS else "en"] += 1
        if script not in _SCRIPTS:
            found = set(words(title))
            function_words.update(
                {code: len(found & plain_words) for code, plain_words in _PLAIN_STOP_WORDS.items()}
            )
    language = max(votes, key=lambda code: (votes[code], code), default="en")
    if language != "en":
        return language
    # English is the fallback, so another language needs a clear lead: brand names such as "La" and
    # "de" are everywhere.
    best = max(function_words, key=lambda code: (function_words[code], code), default="en")
    return best if function_words[best] > 1.5 * function_words["en"] else "en"


_PLAIN_STOP_WORDS = {
    code: frozenset(map(fold, listed)) for code, listed in STOP_WORDS.items() if code in _LATIN
}


def _tokens(folded: str, elide: bool) -> list[tuple[str, str]]:
    """Split folded text into (spaceless run, "") and ("", word) pairs, in order."""
    if "'" in folded:
        folded = _INNER_APOSTROPHE.sub(" " if elide else "", folded)
    return _TOKEN.findall(folded)


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    return unicodedata.name(character, "LATIN").split(" ")[0].split("-")[0]


class _Stems(dict[str, str]):
    """The stems of one language by word, computed when first asked for."""

    def __init__(self, language: str) -> None:
        latin = _LATIN.get(language, "english")
        self._algorithms = {script: name for script, (_, name) in _SCRIPTS.items() if name}
        self._algorithms["LATIN"] = latin
        self._stemmers: dict[str, snowballstemmer.stemmer] = {}
        self._lock = threading.Lock()  # a Snowball stemmer keeps its word in itself

    def __missing__(self, word: str) -> str:
        stem = word[:_MAX_WORD]
        algorithm = self._algorithms.get(_script(word[0]))
        if algorithm and not _DIGIT.search(stem):
            with self._lock:
                if algorithm not in self._stemmers:
                    self._stemmers[algorithm] = snowballstemmer.stemmer(algorithm)
                stem = self._stemmers[algorithm].stemWord(stem) or stem
        if len(self) >= _MAX_CACHED:
            self.clear()
        if len(word) <= _MAX_WORD:
            self[word] = stem
        return stem


class _Hashes(dict[str, int]):
    """Term hashes by term; encoding and hashing again costs five times the look-up."""

    def __missing__(self, term: str) -> int:
        key = term_hash(term)
        if len(self) >= _MAX_CACHED:
            self.clear()
        self[term] = key
        return key


_HASHES = _Hashes()


@lru_cache(maxsize=len(LANGUAGES))
def _stems(language: str) -> _Stems:
    if language not in LANGUAGES:
        known = ", ".join(sorted(LANGUAGES))
        raise ValueError(f"language {language!r} is unknown; use one of {known}")
    return _Stems(language)
