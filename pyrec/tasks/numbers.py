"""Numbers of a question that are no prices, by rule: years ("from 1999", "90年代") and ratings.

A number counts only beside a word that says what it is, and only where the catalog has a column of
the kind; a bare "1984" may be a title. `need` calls this before prices are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyrec.survey import Survey
from pyrec.tasks.prices import NUMBER, read_number
from pyrec.tasks.spans import cut
from pyrec.types import Filter

_YEAR = r"(1[0-9]{3}|20[0-9]{2})"
_DECADE = r"(?:(1[0-9]|20)?([0-9])0['’]?s)"
_HAN_DECADE = {c: n for n, c in enumerate("零一二三四五六七八九")}
_DECADES = [
    "twenties",
    "thirties",
    "forties",
    "fifties",
    "sixties",
    "seventies",
    "eighties",
    "nineties",
]
_SPELLED = {name: n for n, name in enumerate(_DECADES, 2)}
_SAID = r"(?:(?:released|published|made|written|filmed|shot|produced)\s+)?"

# (operator, pattern); "after 2000" is said of 2000 as well.
_YEAR_RULES: list[tuple[str, str]] = [
    (
        "<=",
        rf"\b{_SAID}(?:no later than|not later than|until|up to|through|by the year)\s+{_YEAR}\b",
    ),
    (
        ">=",
        rf"\b{_SAID}(?:nothing before|not before|no earlier than|not earlier than)\s+{_YEAR}\b",
    ),
    ("<=", rf"\b{_SAID}(?:nothing after|not after)\s+{_YEAR}\b"),
    ("<", rf"\b{_SAID}(?:before|prior to|earlier than|older than)\s+{_YEAR}\b"),
    (">=", rf"\b{_SAID}(?:since|after|newer than|later than)\s+{_YEAR}\b"),
    (">=", rf"\b(?:from|in)\s+{_YEAR}\s+(?:on|onwards?|or later|or newer)\b"),
    ("=", rf"\b{_SAID}(?:from|in|of)\s+(?:the year\s+)?{_YEAR}\b(?!\s*(?:to|-|–)\s*\d)"),
    (">=", rf"{_YEAR}\s*年?(?:以后|之后|以来|起|往后|后)(?:的|出版|上映|拍)*"),
    ("<", rf"{_YEAR}\s*年?(?:以前|之前|前)(?:的|出版|上映|拍)*"),
    ("=", rf"{_YEAR}\s*年(?!代)(?:的|出版|上映|出|拍|发行)*"),
]
_YEARS_BETWEEN = [
    rf"\b(?:between|from)\s+{_YEAR}\s*(?:and|to|-|–|till|until)\s*{_YEAR}\b",
    rf"\b{_YEAR}\s*(?:-|–)\s*{_YEAR}\b",
    rf"{_YEAR}\s*年?\s*(?:-|–|~|到|至)\s*{_YEAR}\s*年(?:之间|间)?的?",
]
_RATING_WORDS = r"(?:rated|ratings?|scores?|scored|stars|评分|评价|打分|得分|分数)"
_COMPARED: list[tuple[str, str]] = [
    (">=", r"(?:at least|no less than|not under|不低于|不少于|至少|大于等于)"),
    ("<=", r"(?:at most|no more than|up to|不高于|不超过|最多)"),
    (">=", r"(?:over|above|more than|higher than|better than)"),
    ("<=", r"(?:under|below|less than|lower than)"),
    (">", r"(?:高于|超过|大于)"),
    ("<", r"(?:低于|少于|小于)"),
]
_HAN_AFTER = [(">=", r"(?:分)?\s*(?:以上|起)"), ("<=", r"(?:分)?\s*(?:以下|以内)")]


@dataclass(frozen=True)
class Read:
    """What was read: the text without it, and the conditions."""

    text: str
    filters: tuple[Filter, ...]


def read_numbers(text: str, survey: Survey) -> Read:
    """Take years and ratings out of a question, where the catalog has such columns."""
    filters: list[Filter] = []
    for name, read in ((survey.year(), _read_years), (survey.rating(), _read_rating)):
        if name is not None:
            text, found = read(text, name)
            filters += found
    counts = next((n for n in survey.numbers if re.search(r"ratings?_count|n_ratings", n)), None)
    if counts is not None:
        text, found = _read_counts(text, counts)
        filters += found
    return Read(text, tuple(filters))


def _read_years(text: str, column: str) -> tuple[str, list[Filter]]:
    for pattern in _YEARS_BETWEEN:
        if match := re.search(pattern, text, re.IGNORECASE):
            low, high = sorted((float(match[1]), float(match[2])))
            return cut(text, match), [Filter(column, ">=", low), Filter(column, "<=", high)]
    if found := _decade(text):
        match, first = found
        before = re.search(r"\b(?:before|older than)\s+(?:the\s+)?$", text[: match.start()])
        if before:
            return text[: before.start()] + text[match.end() :], [Filter(column, "<", first)]
        between = [Filter(column, ">=", first), Filter(column, "<=", first + 9.0)]
        return cut(text, match), between
    filters = []
    for op, pattern in _YEAR_RULES:
        if match := re.search(pattern, text, re.IGNORECASE):
            filters.append(Filter(column, op, float(match[1])))
            text = cut(text, match)
    return text, filters


def _decade(text: str) -> tuple[re.Match[str], float] | None:
    lead = r"\b(?:(?:from|in|of)\s+)?(?:the\s+)?(?:early\s+|late\s+|mid-?\s*)?"
    if match := re.search(rf"{lead}\b{_DECADE}(?![\w])", text, re.IGNORECASE):
        tens = int(match[2])
        century = int(match[1]) if match[1] else (19 if tens >= 2 else 20)
        return match, float(century * 100 + tens * 10)
    if match := re.search(rf"{lead}({'|'.join(_SPELLED)})\b", text, re.IGNORECASE):
        return match, 1900.0 + 10 * _SPELLED[match[1].lower()]
    han = rf"(?:(?:上个?世纪|二十世纪|20世纪)\s*)?(?:(19|20)?([0-9])0|([{''.join(_HAN_DECADE)}])十)"
    if match := re.search(rf"{han}\s*年代的?", text):
        tens = int(match[2]) if match[2] else _HAN_DECADE[match[3]]
        century = int(match[1]) if match[1] else (19 if tens >= 2 else 20)
        return match, float(century * 100 + tens * 10)
    return None


def _read_rating(text: str, column: str) -> tuple[str, list[Filter]]:
    for op, words in _COMPARED:
        pattern = rf"(?:with\s+)?(?:an?\s+)?(?:average\s+)?{_RATING_WORDS}\s*(?:is|of|在|要|是)?\s*"
        pattern += rf"{words}\s*({NUMBER})\s*(?:stars|分)?的?"
        if match := re.search(pattern, text, re.IGNORECASE):
            return _bound(text, match, column, op)
        # "at least 4 stars", "above 4.5 rating"
        pattern = rf"(?:with\s+)?{words}\s*({NUMBER})\s*(?:stars?|average rating|rating)\b"
        if match := re.search(pattern, text, re.IGNORECASE):
            return _bound(text, match, column, op)
    for op, words in _HAN_AFTER:
        pattern = rf"{_RATING_WORDS}\s*(?:在|要|是)?\s*({NUMBER}){words}的?"
        if match := re.search(pattern, text, re.IGNORECASE):
            return _bound(text, match, column, op)
    return text, []


def _read_counts(text: str, column: str) -> tuple[str, list[Filter]]:
    things = r"(?:ratings|reviews|votes|people rated)\b"
    for op, words in _COMPARED:
        if match := re.search(rf"(?:with\s+)?{words}\s*({NUMBER})\s*{things}", text, re.IGNORECASE):
            return _bound(text, match, column, op)
    han = rf"(?:评分人数|评价人数|评分数|评价数|打分人数)\s*(超过|不少于|至少|大于)\s*({NUMBER})"
    if match := re.search(han, text):
        op = ">" if match[1] in ("超过", "大于") else ">="
        value = read_number(match[2])
        if value is not None:
            return cut(text, match), [Filter(column, op, value)]
    return text, []


def _bound(text: str, match: re.Match[str], column: str, op: str) -> tuple[str, list[Filter]]:
    value = read_number(match[1])
    return (text, []) if value is None else (cut(text, match), [Filter(column, op, value)])
