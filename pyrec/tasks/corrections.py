"""What users say of their own taste: "I don't like horror", "我喜欢科幻", "material!=leather".

Each part of what is said has to say that something is liked, or that it is not, and to name a value
of the catalog; a part without such a word goes on as the one before ("I like horror and comedy").
What is not understood is refused rather than guessed: it would outweigh what the user does.
"""

from __future__ import annotations

import re

from pyrec.errors import CatalogError
from pyrec.filters import parse_filter
from pyrec.index import Index
from pyrec.said import Said
from pyrec.tasks.need import NeedTask
from pyrec.tasks.spans import tidy

_VERBS = r"(?:like|love|prefer|enjoy|adore|want|care for|need|watch|read|eat|wear|buy)"
_DISLIKING = re.compile(
    rf"^(?:i['’]?m |i am |i |we |please |really |just )*(?:(?:do not|don['’]?t|can['’]?t|cannot|"
    rf"never|not)\s+(?:really\s+)?(?:{_VERBS}|stand|bear|recommend)?|hate|dislike|detest|avoid|stop|"
    r"no more|no|without|sick of|tired of|bored (?:of|by|with)|"
    r"not (?:into|interested in|a fan of|fond of))\b\s*(?:any\s+)?|"
    r"^(?:我)?(?:真的|实在|很|最|再也|以后)?(?:不|别|讨厌|反感|受不了|厌恶|拒绝|远离|少)"
    r"(?:要|想|太|是很|怎么|能)?(?:再)?(?:喜欢|爱|看|吃|穿|用|读|买|推荐|来)?",
    re.IGNORECASE,
)
_LIKING = re.compile(
    rf"^(?:i['’]?m |i am |i |we |really |do |also |please |just |more )*"
    rf"(?:{_VERBS}|into|fond of|more)\b\s*(?:more\s+)?|"
    r"^(?:我)?(?:真的|也|很|更|最|还是|非常|特别)?(?:喜欢|爱|偏爱|喜爱|想要|想看|多来点)"
    r"(?:看|吃|穿|用|读)?",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"\s*(?:[,，;；.。!！]|\bbut\b|\band\b|\bor\b|\bnor\b|但是?|可是|而且?|、|和|或者?|也)\s*",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:\s+(?:please|at all|any ?more|things?|stuff|items?|movies|films|books))+$|"
    r"(?:的(?:东西|电影|书)?|了|吧|啊)+$",
    re.IGNORECASE,
)
_NEGATIONS = re.compile(r"\b(?:not|never|hate|dislike|avoid)\b|n['’]t\b|讨厌|反感|不", re.I)


def understand_correction(text: str, index: Index, need: NeedTask) -> list[Said]:
    """Read which values somebody likes or does not.

    Raises:
        CatalogError: a part of it names no value of the catalog, or does not say whether it is
            liked.
    """
    if re.search("[=<>]", text):
        return [_condition(text, need)]
    found: list[Said] = []
    likes: bool | None = None
    for part in filter(None, map(str.strip, _PARTS.split(" ".join(text.split())))):
        if len(_NEGATIONS.findall(part)) > 1:
            raise _nothing(text, "it says no twice")
        rest = part
        for pattern, says in ((_DISLIKING, False), (_LIKING, True)):
            if match := pattern.match(part):
                likes, rest = says, part[match.end() :]
                break
        value = need.value(tidy(_TAIL.sub("", rest)), index)
        if value is None:
            raise _nothing(text, f"{rest.strip()!r} is no value of the catalog's attributes")
        if likes is None:
            raise _nothing(text, "it does not say whether that is liked")
        found.append(Said(value.column, value.value, likes))
    if not found:
        raise _nothing(text, "it is empty")
    return found


def _condition(text: str, need: NeedTask) -> Said:
    condition = parse_filter(text)
    held = need.context.catalog.values(condition.column)
    if condition.op not in ("=", "!=") or str(condition.value) not in held:
        raise _nothing(text, f"{condition.column} holds no {str(condition.value)!r}")
    return Said(condition.column, str(condition.value), condition.op == "=")


def _nothing(text: str, why: str) -> CatalogError:
    return CatalogError(
        f'correction {text[:80]!r}: {why}; write it like "I don\'t like horror", or as a condition '
        "such as genres!=Horror"
    )
