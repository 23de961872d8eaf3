"""What a question wants kept away, by rule: "not leather", "不要皮的", "除了恐怖片".

Finds what is named after such a word; `need` says whether it is a value of the catalog, and then a
condition, or only to be avoided.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from pyrec.survey import Named
from pyrec.tasks.spans import tidy

Find = Callable[[str], tuple[int, Named] | None]
"""The name that the catalog knows at the beginning of a text, and its length; None without one."""
Write = Callable[[str], Named | None]
"""The name that words in another script mean; None where it is not sure."""

# Longest first, so that "other than" is not read as "than".
_CUES = (
    r"\b(?:(?:but|and|just|please|,)\s+)*(?:"
    r"(?:i |we )?(?:don['’]?t|do not|doesn['’]?t|isn['’]?t|aren['’]?t|can['’]?t stand|hate|dislike)"
    r"(?:\s+(?:want|like|need|have to be|eat|wear|watch|read))?(?:\s+any)?(?:thing)?|"
    r"anything but|any(?:\s+\w+){1,2} (?:but|except)|nothing (?:by|from|with|made of)|"
    r"other than|except(?:ing)?(?: for)?|excluding|"
    r"apart from|aside from|but (?:not|no)|not(?: the| any)?(?: made)?(?: by| from| of| with)?|"
    r"no more|without(?: any)?|neither|minus|free (?:of|from)|no)\s+"
)
# What follows is no thing to be kept away: "no more than", "not too big", "not only", "no idea".
_NOT_THINGS = (
    r"(?:bad|disturb|worry|bother|care|mind|know|brand|parking|smoking|entry|fear|than|that|this|"
    r"it|only|too|very|so|just|sure|more|less|later|earlier|idea|matter|problem|need|one|name|"
    r"longer|worries|preference|rush|limit|fuss|nonsense|yet|really|necessarily|another|"
    r"expensive|cheap|big|small|to|my|your|over|under|above|below|before|after|for|\d)\b"
)
# 要不要, 有没有 and 是不是 ask; 别针 is a pin.
_HAN_CUES = (
    r"(?:也|但|但是|就是|千万)?(?:不想要|(?<!要)不要|別要|别要|不用|不喜欢|不想看|不看|不含|不带|"
    r"不想买|不买|不能有|不可以有|(?<!有)没有|(?<!有)沒有|除了|除开|除去|排除|避开|不吃|拒绝|别太|"
    r"不要太|别(?=要|给|买|推荐|有|放|带|来|选|是)|(?<!是)不是)"
    r"(?:任何|有|是|含|太)?"
)
_CUE = re.compile(f"{_CUES}|{_HAN_CUES}", re.IGNORECASE)
_HAN_NOT_THINGS = r"(?:超过|高于|低于|大于|少于|多于|贵|客气|说|知道|错|问题|要|想|太)"
_HAN_TAIL = r"(?:牌子?|品牌)?(?:的)?(?:之外|以外|外)?(?:的)?"
_AND = r"(?:\s*(?:,|/|，|、|和|或者?|跟|与)\s*|\s+(?:or|and|nor)\s+)(?:no\s+|not\s+|any\s+|不要)?"
_WORD = re.compile(r"(?:the\s+|a\s+|an\s+|any\s+)?([^\W\d_][\w'’-]*)", re.IGNORECASE)
# A thing in Chinese ends before these.
_RUN = re.compile(r"[^\s,，。、;；!！?？的和或与跟之以外]{1,6}")
_HAS_HAN = re.compile("[\u3400-\u9fff]")
_TWO_WORDS = re.compile(r"\s+([^\W\d_][\w'’-]*)\s*$")
_FREE = re.compile(r"\b([a-z]{3,})[- ]free\b", re.IGNORECASE)


class Excluded(NamedTuple):
    """Something to be kept away, as it was written, and the value that it is, None for none."""

    text: str
    named: Named | None


def read_exclusions(
    text: str, find: Find, write: Write, is_title: Callable[[str], bool]
) -> tuple[str, list[Excluded]]:
    """Take what is to be kept away out of a question.

    Args:
        text: the question.
        find: finds a name at the beginning of a text.
        write: says which name words in another script mean.
        is_title: tells whether words stand so in a title ("Not Without My Daughter").
    """
    found: list[Excluded] = []
    asked, at = text, 0
    while match := _CUE.search(text, at):
        at = match.end()
        if _is_no_thing(text, match) or is_title(_with_neighbors(text, match)):
            continue
        things, end = _things(text, match.end(), find, write)
        if not things:
            continue
        found += things
        text = f"{text[: match.start()]} , {text[end:]}"
        at = match.start()
    for match in reversed(list(_FREE.finditer(text))):
        if not is_title(match[0]):
            known = find(match[1])
            named = known[1] if known and known[0] == len(match[1]) else None
            found.append(Excluded(match[1], named))
            text = text[: match.start()] + text[match.end() :]
    rest = tidy(re.sub(r"(?:\s+,)+(?=\s|$)|^\s*,", " ", text))
    if not rest and all(each.named is None for each in found):
        return asked, []  # nothing would be left to look for: that was no exclusion
    return rest, list(dict.fromkeys(found))


def _is_no_thing(text: str, match: re.Match[str]) -> bool:
    rest = text[match.end() :]
    if _HAS_HAN.search(match[0]):
        return bool(re.match(_HAN_NOT_THINGS, rest)) and not match[0].endswith("太")
    return bool(re.match(_NOT_THINGS, rest, re.IGNORECASE))


def _with_neighbors(text: str, match: re.Match[str]) -> str:
    """Return the cue with the word before it and the two behind, which may be part of a title."""
    rest = re.match(r"(?:[\w'’-]+\s*){1,2}", text[match.end() :])
    if _HAS_HAN.search(match[0]):
        run = re.match(r"\w{1,3}", text[match.end() :])
        return match[0] + (run[0] if run else "")
    return match[0].strip() + " " + (rest[0].strip() if rest else "")


def _things(text: str, at: int, find: Find, write: Write) -> tuple[list[Excluded], int]:
    """Read one thing after another, as long as "or" and its like go on."""
    found: list[Excluded] = []
    end = at
    while True:
        thing, stop = _thing(text, at, find, write, later=bool(found))
        if thing is None:
            return found, end
        found.append(thing)
        tail = re.match(_HAN_TAIL, text[stop:])
        end = stop + (tail.end() if tail and _HAS_HAN.search(text) else 0)
        more = re.match(_AND, text[end:], re.IGNORECASE)
        if not more:
            return found, end
        at = end + more.end()


def _thing(
    text: str, at: int, find: Find, write: Write, *, later: bool
) -> tuple[Excluded | None, int]:
    space = len(text[at:]) - len(text[at:].lstrip())
    at += space
    article = re.match(r"(?:the|a|an|any|by|from|made of)\s+", text[at:], re.IGNORECASE)
    at += article.end() if article else 0
    if found := find(text[at:]):
        return Excluded(text[at : at + found[0]], found[1]), at + found[0]
    run = _RUN.match(text, at)
    if run and _HAS_HAN.search(run[0]):
        named = write(run[0])
        # After an "and" only a name is sure to be meant as well.
        return (Excluded(run[0], named), run.end()) if named or not later else (None, at)
    if later:
        return None, at
    word = _WORD.match(text, at)
    if word is None or (_HAS_HAN.search(word[0])):
        return None, at
    end = word.end()
    # Two words where the question ends with them: "keyboard without number pad".
    if more := _TWO_WORDS.match(text, end):
        end = more.end()
    return Excluded(text[word.start(1) : end].strip(), None), end
