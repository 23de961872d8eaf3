"""The text model's own yes or no: does somebody like a title, given what they liked and disliked?

`ordinal.py` asks it where it has a weight or was asked for. On the yes/no sets of `bench/yesno.py`
neither Gemma 270M nor SmolLM2 135M knows more than chance, so its weight is zero by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec.lm import PROMPT, TextModel, Tokens
from pyrec.opinions import Person
from pyrec.prompts import Prompts, fill, one_line

F32 = npt.NDArray[np.float32]

N_TOLD = 5
"""How many liked and disliked titles the text model reads."""


def ask_yes(
    model: TextModel,
    prompts: Prompts,
    language: str,
    liked: list[str],
    disliked: list[str],
    titles: list[str],
) -> F32:
    """Ask the text model whether somebody likes items, given titles that they liked and disliked.

    The prompt up to the title is read once; all titles grow from it in a few calls.

    Returns:
        (n,) float32: log P(yes) - log P(no) for each title; NaN where it does not fit the context.
    """
    wording = prompts.table(language, "click")
    head, _, tail = wording["text"].partition("{item}")
    yes, no = (int(model.tokenize(wording[word])[0]) for word in ("yes", "no"))
    out = np.full(len(titles), np.nan, np.float32)
    with model.lock:
        start = _head(model, wording, head, list(liked), list(disliked))
        room = model.n_ctx - len(start) - 8
        if room <= 0:
            return out
        tokens = [model.tokenize(" " + _short(t) + tail).tolist() for t in titles]
        fits = [n for n, of in enumerate(tokens) if len(of) <= room]
        while fits:
            sizes = np.cumsum([len(tokens[n]) for n in fits[: model.n_branches]])
            some = fits[: max(int(np.searchsorted(sizes, room, "right")), 1)]
            model.prompt(start)
            logits = model.grow([PROMPT] * len(some), [tokens[n] for n in some])
            ends = np.cumsum([len(tokens[n]) for n in some]) - 1
            out[some] = logits[ends, yes] - logits[ends, no]
            fits = fits[len(some) :]
    return out


def _head(
    model: TextModel, wording: Mapping[str, Any], head: str, liked: list[str], disliked: list[str]
) -> Tokens:
    """Return the prompt up to the title, with as many of the newest titles as half of it holds."""
    while True:
        told = {
            name: wording["join"].join(map(_short, some)) or wording["nothing"]
            for name, some in (("liked", liked), ("disliked", disliked))
        }
        start = model.tokenize(fill(head, **told).rstrip(), start=True)
        if len(start) <= model.n_ctx // 2 or not (liked or disliked):
            return start
        longer = liked if len(liked) >= len(disliked) else disliked
        del longer[0]


def told_titles(titles: Any, person: Person) -> tuple[list[str], list[str]]:
    """Return the newest titles that somebody liked, and those they disliked."""
    found = []
    for sign in (1.0, -1.0):
        which = np.flatnonzero((person.rows >= 0) & (sign * person.values > 0.0))[-N_TOLD:]
        found.append(list(titles(person.rows[which])))
    return found[0], found[1]


def _short(title: str) -> str:
    return one_line(title)[:80]
