"""Values of the catalog that a question names: "samsung tv", "comedies", "李宁篮球鞋".

A name counts as a condition where the catalog itself says that the words mean it: most items that
have the words have the value. Brands, authors, genres and the like are names wherever they stand; a
category, a color or a material only where the question says that it means one ("the Toys
category", "颜色要红色"): "red wine glasses" asks for no red glasses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pyrec.catalog import Catalog
from pyrec.index import Index
from pyrec.stopwords import STOP_WORDS
from pyrec.survey import Named, Survey
from pyrec.text import SPACELESS, WORD, analyze, fold, hash_terms
from pyrec.types import Filter

U8 = npt.NDArray[np.uint8]

_NAMING = re.compile(
    r"brands?|suppliers?|manufacturers?|makers?|vendors?|authors?|writers?|artists?|directors?|"
    r"actors?|cast|genres?|publishers?|studios?"
)
_NAMING_HAN = re.compile("品牌|牌子|厂商|作者|导演|演员|歌手|类型|出版社|题材")
# Columns whose values also merely describe, and how people say that they mean the column.
_TOLD = (
    (r"categor|类别|分类|品类", r"categor(?:y|ies)|section|department", r"类别|分类|品类|类"),
    (r"colou?r|颜色", r"colou?rs?", r"颜色|色"),
    (r"material|材质|材料", r"materials?|made of|made from", r"材质|材料"),
)
CERTAIN = 0.6
"""The share of the items with a name's words that must have the value."""
FEW = 3
"""A name of two characters with so few items may be any word: something else of the question must
be said of one of them."""
_MAX_WORDS = 6
_MAX_CHARACTERS = 12
_TOKEN = re.compile(rf"([{SPACELESS}]+)|({WORD})")
# A name behind these is what the thing is for, about or like: "case for samsung", "像...的书".
_OTHER_ROLE = re.compile(
    r"(?:\b(?:for|alternatives? to|instead of|fits?|compatible with|works with|like|similar to|"
    r"about|biograph(?:y|ies) of|life of|than|vs)\s+(?:the\s+|my\s+|a\s+|an\s+)?|"
    r"适用于?|适合|像|类似于?|关于|兼容|跟|比)$",
    re.IGNORECASE,
)
_OTHER_ROLE_AFTER = re.compile(
    r"^(?:\s+[\w-]+)?\s+[\w-]*\d[\w-]*\s+(?:[\w-]+\s+)?"
    r"(?:case|cover|charger|cable|sleeve|battery|adapter|dock|mount|holder|stand|strap|band)s?\b|"
    r"^\s*(?:传记?|生平|(?:手机|平板|电脑|耳机)?(?:壳|套|膜|充电|数据线|支架|保护)|like\b|style\b)"
)


class Mention(NamedTuple):
    """A value named in a text: where it stands, and how likely it is meant."""

    begin: int
    end: int
    named: Named
    probability: float


class Names:
    """Finds the values of one catalog in questions."""

    def __init__(self, catalog: Catalog, survey: Survey, index: Index) -> None:
        self._catalog = catalog
        self._survey = survey
        self._index = index

    def mentions(self, text: str) -> list[Mention]:
        """Return the values that a question names and surely means, in order, none overlapping."""
        found: list[Mention] = []
        taken: list[tuple[int, int]] = []
        for begin, end, named in self._candidates(text):
            if any(begin < stop and start < end for start, stop in taken):
                continue
            mention = self._judge(text, begin, end, named)
            if mention is not None:
                found.append(mention)
            if mention is not None or any(is_naming(each.column) for each in named):
                taken.append((begin, end))
        return sorted(found)

    def exactly(self, text: str) -> Named | None:
        """Return the name that a text is as a whole; None where it is none."""
        begun = self.at_start(text)
        return begun[1] if begun and begun[0] == len(text) else None

    def at_start(self, text: str) -> tuple[int, Named] | None:
        """Return the longest name that a text begins with, and its length; None without one."""
        begun = [c for c in self._candidates(text[:80]) if c[0] == 0]
        if not begun:
            return None
        _, end, named = begun[0]
        best = _best(named)
        # "No smoking sign" means no color called smoke: what merely describes is named as it is.
        said = fold(text[:end]).rstrip("s")
        return (
            (end, best) if is_naming(best.column) or said == fold(best.value).rstrip("s") else None
        )

    def _judge(self, text: str, begin: int, end: int, named: list[Named]) -> Mention | None:
        if _OTHER_ROLE.search(text[:begin]) or _OTHER_ROLE_AFTER.search(text[end:]):
            return None
        for each in named:
            if self._is_told(text, begin, end, each.column):
                return Mention(begin, end, each, 1.0)
        if fold(text[begin:end]) in STOP_WORDS["en"]:
            return None
        for each in sorted(named, key=lambda n: -n.n_items):
            if is_naming(each.column):
                probability = self._certainty(text[begin:end], each)
                if probability >= CERTAIN and self._goes_with(text, begin, end, each):
                    return Mention(begin, end, each, min(probability, 1.0))
        return None

    def _goes_with(self, text: str, begin: int, end: int, named: Named) -> bool:
        """Tell whether the other words of a question may be said of what has a name's value.

        "sharp kitchen knife" names no brand where nothing of that brand is a kitchen thing or a
        knife, and "mystery science theater" no genre where that title is of another.
        """
        language = self._index.language
        terms = [t for part in (text[:begin], text[end:]) for t in analyze(part, language)]
        terms = [t for t in dict.fromkeys(terms) if t not in STOP_WORDS["en"]]
        hashes = [hash_terms([term]) for term in terms]
        known = [h for h in hashes if 0 < self._index.text.df(h)[0] < self._index.n_live / 10]
        if is_genre(named.column):
            # Every genre goes with every word; but a part of a title is none.
            near = re.match(r"\s+[^\W_]+", text[end:])
            words = text[begin:end] + near[0] if near else ""
            rows = self._index.text.containing(hash_terms(analyze(words, language)))
            having = self._having(named)
            rows = rows[rows < len(having)]
            return len(rows) == 0 or len(rows) > 20 or bool(having[rows].mean() >= CERTAIN / 2)
        words = text[begin:end]
        if len(words.split()) > 1 or (not words.isascii() and len(words) > 2):
            return True  # nothing else is called so
        if not words.isascii() and named.n_items > FEW:
            return True
        having = self._having(named)
        found = (self._index.text.containing(each) for each in known)
        together = [bool(having[rows[rows < len(having)]].any()) for rows in found]
        return any(together) or not together

    def _having(self, named: Named) -> U8:
        return self._catalog.mask([Filter(named.column, "=", named.value)])

    def _certainty(self, words: str, named: Named) -> float:
        """Return the share of the items with these words that have the value."""
        terms = hash_terms(list(dict.fromkeys(analyze(words, self._index.language))))
        holders = self._index.text.containing(terms)
        if not len(holders):
            return 1.0 if fold(words) == fold(named.value) else 0.9
        having = self._having(named)
        holders = holders[holders < len(having)]
        return float(having[holders].mean()) if len(holders) else 0.0

    def _is_told(self, text: str, begin: int, end: int, column: str) -> bool:
        """Tell whether the words beside a name say that it is a value of the column."""
        own = [re.escape(word) for word in re.split(r"[\W_]+", column) if len(word) > 2]
        english, chinese = own, [w for w in own if not w.isascii()]
        for pattern, said, said_in_chinese in _TOLD:
            if re.search(pattern, column, re.IGNORECASE):
                english, chinese = [*english, said], [*chinese, said_in_chinese]
        before, after = text[:begin], text[end:]
        if english:
            words = "|".join(english)
            lead = rf"\b(?:{words})\s*(?:is|:|=|of)?\s*(?:the\s+)?$"
            if re.search(lead, before, re.IGNORECASE):
                return True
            if re.match(rf"\s+(?:{words})\b", after, re.IGNORECASE):
                return True
        if chinese:
            words = "|".join(chinese)
            if re.search(rf"(?:{words})(?:是|为|要|选|:|：)*$", before):
                return True
            return bool(re.match(rf"(?:{words})(?:里|中|下|的|$)", after))
        return False

    def _candidates(self, text: str) -> Iterator[tuple[int, int, list[Named]]]:
        """Yield spans that are names of values, the longest first."""
        spans = [*self._in_words(text), *self._in_runs(text)]
        yield from sorted(spans, key=lambda span: (span[0] - span[1], span[0]))

    def _in_words(self, text: str) -> Iterator[tuple[int, int, list[Named]]]:
        tokens = [m for m in _TOKEN.finditer(text) if m[2]]
        keys = [" ".join(analyze(m[2], "en")) for m in tokens]
        for first in range(len(tokens)):
            for last in range(first, min(first + _MAX_WORDS, len(tokens))):
                begin, end = tokens[first].start(), tokens[last].end()
                if re.search(f"[{SPACELESS},，;]", text[begin:end]):
                    break
                key = " ".join(keys[first : last + 1])
                named = self._survey.by_words.get(key) or self._misspelled(key, last - first + 1)
                if named:
                    yield begin, end, named

    def _misspelled(self, key: str, n_words: int) -> list[Named]:
        """Return the names that differ in a letter, where a word stands in no item."""
        if len(key) < 5 or n_words > 2 or key.isdigit():
            return []
        terms = [hash_terms([word]) for word in key.split()]
        if all(self._index.text.df(term)[0] for term in terms):
            return []
        near = [k for k in self._survey.by_words if k[0] == key[0] and abs(len(k) - len(key)) < 2]
        close = get_close_matches(key, near, n=1, cutoff=0.85)
        named = self._survey.by_words[close[0]] if close else []
        return [each for each in named if is_naming(each.column)]

    def _in_runs(self, text: str) -> Iterator[tuple[int, int, list[Named]]]:
        for run in re.finditer(rf"[{SPACELESS}]+", text):
            for begin in range(run.start(), run.end()):
                for end in range(begin + 2, min(begin + _MAX_CHARACTERS, run.end()) + 1):
                    if named := self._survey.by_characters.get(fold(text[begin:end])):
                        yield begin, end, named


def is_other_role(text: str) -> bool:
    """Tell whether a text says what a thing is for, about or like, rather than what it is."""
    return (
        re.search(r"适用|像|类似|关于|兼容|传记|生平|壳|套$|膜|充电|数据线|教材", text) is not None
    )


def is_naming(column: str) -> bool:
    """Tell whether a column's values are names wherever they stand."""
    words = re.split(r"[\W\d_]+", column.lower())
    return any(map(_NAMING.fullmatch, words)) or _NAMING_HAN.search(column) is not None


def is_genre(column: str) -> bool:
    """Tell whether a column says of what kind a work is."""
    return re.search(r"genre|类型|题材", column, re.IGNORECASE) is not None


def _best(named: list[Named]) -> Named:
    """Return the value of a naming column, else that of the most items."""
    naming = [each for each in named if is_naming(each.column)]
    return max(naming or named, key=lambda each: each.n_items)
