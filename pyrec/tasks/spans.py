"""Pieces of a question: cutting out what was understood."""

from __future__ import annotations

import re

_EDGES = " ,，、;；。"


def cut(text: str, match: re.Match[str]) -> str:
    """Return a text without a match."""
    return tidy(text[: match.start()] + " " + text[match.end() :])


def tidy(text: str) -> str:
    """Take superfluous spaces and marks away that a cut leaves."""
    return re.sub(r"\s+", " ", text).strip(_EDGES)


_COURTESY = re.compile(
    r"^(?:(?:hi|hello|hey|please|can you|could you|would you|i['’]?m looking for|i am looking for|"
    r"i(?:['’]d| would) like|i (?:want|need)|looking for|show me|give me|find me|"
    r"recomm?end(?: me| us)?|suggest(?: me)?|what are|which are|do you have)\b[\s,!]*)+",
    re.IGNORECASE,
)
_COURTESY_END = re.compile(r"[\s,]*\b(?:please|thanks|thank you)[\s!.]*$", re.IGNORECASE)
_HAN_COURTESY = re.compile(
    r"^(?:你好|您好|请问?|麻烦|帮我|帮忙|给我|給我|我想要?|我要|想要?|推荐|推薦|介绍|来|來|找|买|"
    r"买个|看|求|有没有|有什么|一下|几[部本款个]|些|一[部本款个]|点|[,，!！ ])+"
)
_HAN_COURTESY_END = re.compile(r"(?:谢谢|吗|呢|吧|[?？!！。,， ])+$")


def without_courtesy(text: str) -> str:
    """Take off what people say around a wish ("can you recommend", "请推荐"), if a wish is left."""
    for pattern in (_COURTESY, _COURTESY_END, _HAN_COURTESY, _HAN_COURTESY_END):
        rest = tidy(pattern.sub("", text))
        text = rest or text
    return text
