"""Price bounds by rule: "under 300", "三百以内", "between 50 and 80", "100到200元".

Numbers are read by rules and not by a model, so a bound is either certain or not there. A number
with another unit ("under 5 kg", "3岁以上") is no price. `need` calls this.
"""

from __future__ import annotations

import re

from pyrec.tasks.spans import cut
from pyrec.types import Filter

_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_HAN = "零〇一二三四五六七八九两兩十百千万萬"

_CURRENCY = (
    r"(?:元钱?|块钱?|塊|圆|人民币|美元|欧元|"
    r"rmb|cny|usd|eur|gbp|dollars?|bucks|yuan|euros?|pounds?|[¥￥$€£])"
)
NUMBER = rf"{_CURRENCY}?\s*(?:\d[\d,]{{0,14}}(?:\.\d{{1,4}})?k?|[{_HAN}]{{1,12}})"
# What may follow a price: its currency, and then no letter or unit of something else.
_END = (
    rf"\s*{_CURRENCY}?"
    rf"(?!\s*(?:[\d{_HAN}]|[年岁歲月日天寸米克斤升瓦度码码片个個件双雙支部集页頁人%℃°\"″]|分钟|小时|公斤|厘米|毫米|英寸))"
    r"(?!\s*-?\s*(?:kg|g|mg|lbs?|oz|ml|l|cm|mm|m|km|ft|feet|inch(?:es)?|in|gb|tb|mb|w|v|mah|hz|"
    r"years?|months?|days?|hours?|hrs?|min(?:ute)?s?|people|persons?|pieces?|pcs|pages?|stars?|"
    r"percent)\b)(?![\w.]*[a-z]\w)"
)
_TO = r"\s*(?:-|–|—|~|～|到|至|and|to)\s*"

_AT_MOST = "<="
_AT_LEAST = ">="
_BELOW = "<"
_ABOVE = ">"

# Patterns with one number, most specific first; the group is the number.
_RULES: list[tuple[str, str]] = [
    (_AT_MOST, rf"(?:不要|不想要?|别|不能|不得|不)(?:超过|高于|大于|多于|贵过)\s*({NUMBER}){_END}"),
    (_AT_LEAST, rf"(?:不要|不想要?|别|不能|不得|不)(?:低于|少于|小于)\s*({NUMBER}){_END}"),
    (_AT_LEAST, rf"(?:不低于|不少于|至少|最少)\s*({NUMBER}){_END}"),
    (
        _AT_MOST,
        rf"(?:不超过|不高于|不大于|不多于|最多|至多|最高)\s*({NUMBER}){_END}(?:以内|以內|以下|之内)?",
    ),
    (_AT_MOST, rf"({NUMBER}){_END}\s*(?:以内|以內|以下|之内|之內|内|內|之下)"),
    (_AT_LEAST, rf"({NUMBER}){_END}\s*(?:以上|之上|起步|起)"),
    (_BELOW, rf"(?:低于|少于|小于|便宜过)\s*({NUMBER}){_END}"),
    (_ABOVE, rf"(?:高于|大于|超过|多于|贵过)\s*({NUMBER}){_END}"),
    (
        _AT_MOST,
        rf"\b(?:no more than|not more than|not over|up to|at most|max(?:imum)?(?: of)?|within)\s+"
        rf"({NUMBER}){_END}",
    ),
    (_AT_LEAST, rf"\b(?:no less than|not under|at least|min(?:imum)?(?: of)?)\s+({NUMBER}){_END}"),
    (
        _AT_MOST,
        rf"(?:预算|預算)(?:是|在|为|只有|大概|大约|有)?\s*({NUMBER}){_END}(?:左右|以内|以下)?",
    ),
    (
        _AT_MOST,
        rf"\b(?:my |our |the |a |with a )*budget\s*(?:is|of|:|=)?\s*({NUMBER}){_END}",
    ),
    (_AT_MOST, rf"\b(?:nothing|not|none)\s+(?:above|over|more than)\s+({NUMBER}){_END}"),
    (_ABOVE, rf"\bmore expensive than\s+({NUMBER}){_END}"),
    # "under 300" is said of prices up to 300 as well; a shopper would miss one at 300 flat.
    (_AT_MOST, rf"\b(?:under|below|less than|cheaper than|beneath)\s+({NUMBER}){_END}"),
    (_AT_MOST, rf"(?:<=?|≤)\s*({NUMBER}){_END}"),
    (_AT_LEAST, rf"(?:>=?|≥)\s*({NUMBER}){_END}"),
    (_AT_LEAST, rf"\b(?:over|above|more than|upwards of)\s+({NUMBER}){_END}"),
]
_BETWEEN = [
    rf"\b(?:between|from)\s+({NUMBER})\s*{_CURRENCY}?\s*(?:and|to|-)\s*({NUMBER}){_END}",
    rf"({NUMBER})\s*{_CURRENCY}?{_TO}({NUMBER})\s*{_CURRENCY}(?:之间|以内)?",
    rf"({NUMBER})\s*{_CURRENCY}?{_TO}({NUMBER}){_END}\s*(?:之间|的价位)",
    rf"\b(\d[\d.]*k){_TO}(\d[\d.]*k){_END}",
]
# The words around a bound that go with it: "priced under 300", "价格在三百以内的".
_LEAD = (
    r"(?:(?:价格|价钱|价位|售价|预算)(?:是|在|为)?|"
    r"\b(?:price[ds]?|costs?|costing|budget|for)\s+(?:is\s+|of\s+|at\s+)?)?\s*"
)
_TAIL = r"(?:\s*的)?"


def read_number(text: str) -> float | None:
    """Read a number in digits ("1,299.50", "2k") or Chinese ("三百五", "两千"); None if neither."""
    text = re.sub(_CURRENCY, "", text.strip().lower()).strip()
    if re.fullmatch(r"\d[\d,]*(?:\.\d+)?k?", text):
        value = float(text.rstrip("k").replace(",", ""))
        return value * 1000 if text.endswith("k") else value
    return _read_han(text)


def _read_han(text: str) -> float | None:
    total, section, digit, last_unit = 0, 0, 0, 1
    if not text or any(c not in _HAN for c in text):
        return None
    if all(c in _DIGITS for c in text):
        return float("".join(str(_DIGITS[c]) for c in text))
    zero = False
    for c in text:
        if c in _DIGITS:
            digit = _DIGITS[c]
            zero = zero or digit == 0
        elif c in _UNITS:
            section += max(digit, 1) * _UNITS[c]
            digit, last_unit, zero = 0, _UNITS[c], False
        else:
            total += max(section + digit, 1) * 10_000
            section, digit, last_unit, zero = 0, 0, 10_000, False
    # "三百五" is 350, "三百零五" 305.
    section += digit if zero or last_unit < 100 else digit * last_unit // 10
    return float(total + section)


def read_prices(text: str) -> tuple[str, tuple[Filter, ...]]:
    """Take price bounds out of a question.

    Returns:
        The question without them, and filters on `price`; none where no bound was found.
    """
    for pattern in _BETWEEN:
        match = re.search(_LEAD + pattern + _TAIL, text, re.IGNORECASE)
        if match:
            bounds = [read_number(match.group(1)), read_number(match.group(2))]
            if None not in bounds:
                low, high = sorted(b for b in bounds if b is not None)
                filters = (Filter("price", _AT_LEAST, low), Filter("price", _AT_MOST, high))
                return cut(text, match), filters
    filters_found: list[Filter] = []
    for op, pattern in _RULES:
        match = re.search(_LEAD + pattern + _TAIL, text, re.IGNORECASE)
        value = read_number(match.group(1)) if match else None
        if match and value is not None and _is_price(text, match):
            filters_found.append(Filter("price", op, value))
            text = cut(text, match)
    return text, tuple(filters_found)


# Without a currency a number is a price where it ends what is said, or stands before one of these.
_MAY_FOLLOW = re.compile(
    r"\s*(?:$|[,，.。;；!！?？、)）]|的|以|之|左右|就|可以|都|"
    r"(?:or|and|but|up to|at (?:least|most)|under|over|below|above|please|pls|for|with|without|"
    r"in|that|which|from|by|if|to|on|thanks|max|total|only|each|altogether|including|incl|"
    r"shipped)\b)",
    re.IGNORECASE,
)
# An age, a rating or a size stands behind these.
_NO_PRICE_BEFORE = re.compile(
    r"\b(?:women|men|woman|man|ladies|kids?|children|child|people|adults?|girls?|boys?|bab(?:y|ies)|"
    r"toddlers?|seniors?|teens?|anyone|those|aged?|ages|rated|ratings?|scored?|stars?|sizes?|"
    r"(?:temperatures?|weigh(?:ing|s)?|heights?|widths?|lengths?))\s*$|(?:评分|年龄|尺码|温度)$",
    re.IGNORECASE,
)
_BOUND_BEHIND = re.compile(r"(?:以内|以內|以下|以上|之内|之內|之下|之上|内|內)$|的$")
_SAYS_PRICE = re.compile(
    rf"{_CURRENCY}|price|cost|budget|cheap|价|预算|預算|贵|便宜", re.IGNORECASE
)


def _is_price(text: str, match: re.Match[str]) -> bool:
    """Tell whether a bound is one of prices: "under 300" is, "under 100 calories" is not."""
    if _SAYS_PRICE.search(match[0]) or _BOUND_BEHIND.search(match[0]):
        return True
    if _NO_PRICE_BEFORE.search(text[: match.start()]):
        return False
    # At the beginning the thing itself may follow: "under 300 running shoes".
    if match.start() == 0 and text[match.end() :].lstrip()[:1].isascii():
        return True
    return _MAY_FOLLOW.match(text, match.end()) is not None
