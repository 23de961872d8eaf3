"""Sentences for people, made of templates and of what stands in the store alone.

The wording is in `prompts/`, a language each; what is put in are names and numbers of the items,
the history and the question, so a sentence can state nothing else. Called by the profile and
explain tasks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pyrec.prompts import fill, one_line
from pyrec.types import Interest, Profile, Reason

N_NAMED = 3
_COUNTED = ("popular", "popular_unasked", "taken", "lately")


def say_profile(profile: Profile, n_known: int, wording: Mapping[str, Any]) -> str:
    """Say in a sentence or two what sets a user apart."""
    # Values of attributes before phrases, of which titles share many by chance.
    # What everybody likes tells nothing of somebody: a value counts by how much it is above that.
    telling = sorted(
        profile.interests, key=lambda i: (not i.said, not i.column, i.usual - i.probability)
    )
    liked = [i for i in telling if i.probability > i.usual or i.said][:N_NAMED]
    disliked = [i for i in profile.dislikes if i.probability > 0.5][:N_NAMED]
    if not liked and not disliked:
        known = "profile_even" if n_known else "profile_unknown"
        return fill(wording[known], user=one_line(profile.user))
    parts = []
    if liked:
        parts.append(fill(wording["profile_likes"], values=_names(liked, wording)))
    if disliked:
        parts.append(fill(wording["profile_dislikes"], values=_names(disliked, wording)))
    return str(wording["join_sentences"]).join(parts)


def say_reasons(
    title: str, reasons: Sequence[Reason], user_liked: Sequence[str], wording: Mapping[str, Any]
) -> str:
    """Say why an item was recommended.

    Args:
        title: of the item.
        reasons: what moved it, the strongest first.
        user_liked: signals whose text names an item of the user's.
        wording: the table `sentences` of a language.
    """
    parts: list[str] = []
    for reason in reasons:
        template = wording.get(f"because_{reason.signal}")
        if template is None and reason.signal in user_liked:
            template = wording["because_history"]
        if template:
            parts.append(fill(template, what=one_line(_said(reason))))
    if not parts:
        return fill(wording["explain_unknown"], title=one_line(title))
    joined = str(wording["join_reasons"]).join(dict.fromkeys(parts))
    return fill(wording["explain"], title=one_line(title), reasons=joined)


def _said(reason: Reason) -> str:
    """Return what a reason names, in no language's words where it is a number."""
    numbers = re.findall(r"\d[\d.,]*", reason.text) if reason.signal in _COUNTED else []
    return numbers[0] if numbers else reason.text


def _names(interests: Sequence[Interest], wording: Mapping[str, Any]) -> str:
    return str(wording["join_values"]).join(one_line(i.value) for i in interests)
