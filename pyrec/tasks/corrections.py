"""What users say of their own taste: "I don't like horror", "我喜欢科幻", "material!=leather".

Read as a need is: what is excluded is not liked, what is named is. `Recommender.correct` keeps it.
"""

from __future__ import annotations

import re

from pyrec.errors import CatalogError
from pyrec.filters import OPERATORS, parse_filter
from pyrec.index import Index
from pyrec.said import Said
from pyrec.tasks.need import NeedTask
from pyrec.tasks.spans import tidy

_LIKING = re.compile(
    r"^(?:i\s+)?(?:really\s+|do\s+)?(?:like|love|prefer|enjoy|adore|more)\s+(?:more\s+)?|"
    r"^(?:我)?(?:很|更|最|还是)?(?:喜欢|爱|偏爱|喜爱)(?:看|吃|穿|用|读)?",
    re.IGNORECASE,
)


def understand_correction(text: str, index: Index, need: NeedTask) -> list[Said]:
    """Read which values somebody likes or does not.

    Raises:
        CatalogError: no value of the catalog is named.
    """
    survey = need.survey()
    if re.search("=|!=|<|>", text):
        condition = parse_filter(text)
        held = survey.values.get(condition.column, {})
        if condition.op not in ("=", "!=") or str(condition.value) not in held:
            raise _nothing(text, f"{condition.column} has no such value" if held else "")
        return [Said(condition.column, str(condition.value), condition.op == "=")]
    understood = need.understand(text, None, index)
    found = [
        Said(f.column, str(f.value), f.op == "=")
        for f in understood.filters
        if f.op in ("=", "!=") and isinstance(f.value, str)
    ]
    # Outside of a wish a value that merely describes is meant as well: "I like leather".
    for phrase in understood.avoid:
        if value := need.value(phrase.text, index):
            found.append(Said(value.column, value.value, False))
    if not found and (value := need.value(tidy(_LIKING.sub("", text)), index)):
        found.append(Said(value.column, value.value, True))
    if not found:
        raise _nothing(text)
    return found


def _nothing(text: str, why: str = "") -> CatalogError:
    why = why or "it names no value of the catalog's attributes"
    return CatalogError(
        f'correction {text[:80]!r}: {why}; write it like "I don\'t like horror", or as a '
        f"condition such as genres!=Horror ({', '.join(OPERATORS[:2])})"
    )
