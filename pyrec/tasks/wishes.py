"""What a question asks of the list itself, by rule: its order and its length.

"cheapest", "最新的" name a column to sort by where the catalog has it; "three comedies" and
"推荐5本书" say how many. A number that belongs to a title or to a thing ("2 player game",
"三只松鼠") is none. `need` calls this.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pyrec.survey import Survey
from pyrec.tasks.prices import read_number
from pyrec.tasks.spans import cut, tidy

_ORDERS: list[tuple[str, str]] = [
    ("price", r"\b(?:the\s+)?(?:cheap(?:e?st)|lowest[- ]priced?|least expensive)\b(?:\s+price)?"),
    ("price", r"(?:价格)?最(?:便宜|低价|实惠)的?|(?:价格|价钱)最低的?"),
    ("-price", r"\b(?:the\s+)?(?:most expensive|priciest|highest[- ]priced?|dearest)\b"),
    ("-price", r"(?:价格)?最贵的?|(?:价格|价钱)最高的?"),
    (
        "-popularity",
        r"\b(?:the\s+)?(?:most popular|best[- ]?selling|bestsellers?|most watched|most read)\b",
    ),
    (
        "-popularity",
        r"最(?:受欢迎|热门|火爆?|流行|畅销|热|红)的?|(?:人气|热度|销量)最高的?|卖得最好的?",
    ),
    ("-year", r"\b(?:the\s+)?(?:newest|latest|most recent)\b"),
    ("-year", r"最(?:新|近)(?:上映|出版|出|发行|拍)?的?"),
    ("year", r"\b(?:the\s+)?(?:oldest|earliest)\b"),
    ("year", r"最(?:老|早|旧|古老)的?"),
    (
        "-rating",
        r"\b(?:the\s+)?(?:best|highest|top)[- ]rated\b|\bwith the (?:best|highest) ratings?\b",
    ),
    ("-rating", r"(?:评分|评价|口碑|打分)最(?:高|好)的?"),
]

_SPELLED = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_NUMBER = rf"(\d{{1,2}}|{'|'.join(_SPELLED)}|a couple of|a dozen|a pair of|half a dozen)"
_PLENTY = {"a couple of": 2, "a pair of": 2, "a dozen": 12, "half a dozen": 6}
_CUE = (
    r"(?:top|best|give me|show me|find me|find|recomm?end(?: me| us)?|suggest(?: me| us)?|list|"
    r"i(?:'d like| want| need)|we (?:want|need)|looking for|pick|what are the|which are the|"
    r"need|want|get me|name|please)"
)
# What makes a number part of the thing: "3 in 1", "2 player", "12 pack", "20 inch", "5 star".
_PART = (
    r"(?!\s*(?:[-x×%.]|in\b|player|person|people|man\b|men\b|seat|piece|pack|ply|inch|star|stage|"
    r"year|month|day|hour|minute|week|way\b|speed|port|channel|door|drawer|tier|layer|core|"
    r"season|pcs|set\b|gb|tb|mb|mm|cm|kg|ml|oz|lb|ft|mah|watt|w\b|v\b|l\b|g\b|m\b|k\b|or\b|of\b))"
)
_MEASURES = "部本款条件双台只张套把支瓶盒首种份辆顶块副篇集枚"
_HAN_NUMBER = r"(\d{1,2}|[两二三四五六七八九十]{1,3})"
_HAN_CUE = (
    r"(?:推荐|推薦|来|來|给我|給我|找|要|想买|想要|买|看|选|挑|列出|介绍|推|求|想看|想读)"
    r"(?:我|一下|点|出)?"
)


def read_order(text: str, survey: Survey) -> tuple[str, str]:
    """Take the order out of a question.

    Returns:
        The rest, and the column, with a minus for the largest first; "" where none is asked for,
        or the catalog has no such column.
    """
    columns: dict[str, str | None] = {"price": "price" if "price" in survey.numbers else None}
    # What people took says it as well, where the catalog does not.
    columns |= {"popularity": "popularity"}
    columns |= {"year": survey.year(), "rating": survey.rating()}
    for name, pattern in _ORDERS:
        match = re.search(pattern, text, re.IGNORECASE)
        column = columns[name.lstrip("-")]
        if match and column:
            return cut(text, match), ("-" if name.startswith("-") else "") + column
    return text, ""


def read_count(text: str, is_name: Callable[[str], bool]) -> tuple[str, int | None]:
    """Take the number of answers out of a question.

    Args:
        text: the question.
        is_name: tells whether a few words stand so in a title; a number in them counts nothing.

    Returns:
        The rest, and the number, 1 to 50; None where none is asked for.
    """
    for match, number in _counts(text):
        # "three musketeers", "三只松鼠": the number and what follows are somebody's name.
        if 1 <= number <= 50 and not any(is_name(part) for part in _around(text, match)):
            return tidy(text[: match.start(1)] + " " + text[match.end() :]), number
    return text, None


def _counts(text: str) -> list[tuple[re.Match[str], int]]:
    found: list[tuple[re.Match[str], int]] = []
    kinds = r"(?=(?:[\s,]+[\w'’-]+){0,2}?[\s,]+(?:books?|novels|movies|films|items|products|gifts|"
    kinds += r"ideas|things|titles|songs|games|toys|comedies|thrillers|documentaries)\b)"
    # Digits alone begin many a title: "13 reasons why".
    for match in re.finditer(rf"^(\d{{1,2}})\b{_PART}{kinds}", text, re.IGNORECASE):
        found.append((match, int(match[1])))
    plural = r"(?=(?:[\s,]+[\w'’-]+){0,3}?[\s,]+[\w'’-]*(?:[^s\W]s|men|people|children|feet)\b)"
    lead = rf"(?:^(?!\d)|\b{_CUE}\s+(?:the\s+)?|\b(?:the|these)\s+(?:best|top)?\s*)"
    for match in re.finditer(rf"{lead}{_NUMBER}\b{_PART}{plural}", text, re.IGNORECASE):
        said = match[1].lower()
        number = int(said) if said.isdigit() else _PLENTY.get(said) or _SPELLED.index(said) + 2
        found.append((match, number))
    if top := re.search(r"\btop\s+(\d{1,2})\b", text, re.IGNORECASE):
        found.append((top, int(top[1])))
    cued = rf"(?:{_HAN_CUE}|最\w{{1,3}}的?|前){_HAN_NUMBER}\s*[{_MEASURES}名个個](?![上下以后前多])"
    # 个 without such a word is mostly part of a story: 三个火枪手, 一个人.
    bare = rf"(?:^|[，,。！\s]){_HAN_NUMBER}\s*[{_MEASURES}](?![上下以后前多])"
    for match in (m for pattern in (cued, bare) for m in re.finditer(pattern, text)):
        value = read_number(match[1])
        if value is not None:
            found.append((match, int(value)))
    return found


def _around(text: str, match: re.Match[str]) -> list[str]:
    """Return the number with the word or the two characters behind it."""
    rest = text[match.start(1) :]
    word = re.match(r"[\w'’-]+\s+[\w'’-]+", rest)
    run = re.match(rf"{_HAN_NUMBER}\s*\w{{2,3}}", rest)
    parts = [word[0]] if word and word[0].isascii() else []
    return parts + ([run[0]] if run and not run[0].isascii() else [])
