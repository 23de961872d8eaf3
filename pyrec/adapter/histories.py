"""Pairs of a history and the title that came next, from the log of a store.

A history is written as titles in order, and all titles behind the first are to be foretold, each
from those before it: so one reading of ten titles gives nine pairs. Titles are cut into tokens one
by one, here as when the model is asked, so that both see the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pyrec.adapter.draws import part_of
from pyrec.adapter.examples import Example
from pyrec.adapter.pairs import cut
from pyrec.llama import Model, Tokens
from pyrec.replay import Log

HISTORY = "history"
LENGTH = 10
"""Titles of a text."""
MAX_TOKENS = 400
"""Of a text, where scripts take many tokens a character."""


class HistoryTokens:
    """Writes histories as tokens of a model; titles are read once.

    Args:
        model: whose tokens.
        prompt: the wording: `start`, then `lead`, a title and `join` for each.
    """

    def __init__(self, model: Model, prompt: Mapping[str, str]) -> None:
        self._model, self._prompt = model, prompt
        self.start = model.tokenize(prompt["start"], start=True)
        self._known: dict[str, Tokens] = {}

    def title(self, title: str) -> Tokens:
        """Return a title as the next one of a history, with what ends it."""
        if title not in self._known:
            text = self._prompt["lead"] + cut(title) + self._prompt["join"]
            self._known[title] = self._model.tokenize(text)
        return self._known[title]

    def ask(self, titles: Sequence[str]) -> Tokens:
        """Return the prompt for what comes after some titles, oldest first."""
        return np.concatenate([self.start, *map(self.title, titles[-LENGTH:])])


def history_examples(
    log: Log, titles: Mapping[str, str], tokens: HistoryTokens, held_out: float
) -> list[Example]:
    """Write the histories of a log, each in pieces of LENGTH titles.

    Args:
        log: who took what.
        titles: by item id; items without one are left out.
        tokens: the wording.
        held_out: share of users that are held out.
    """
    made = []
    ptr, order = log.by_user()
    for user, user_id in enumerate(log.user_ids):
        ids = [log.item_ids[i] for i in log.item[order[ptr[user] : ptr[user + 1]]].tolist()]
        taken = [titles[i] for i in ids if titles.get(i)]
        held = part_of(user_id, held_out)
        # Pieces overlap by one title, so that each is once foretold.
        first = 0
        while first < len(taken) - 1:
            piece = [tokens.title(title) for title in taken[first : first + LENGTH]]
            while len(piece) > 2 and sum(map(len, piece)) > MAX_TOKENS:
                piece.pop()
            first += len(piece) - 1
            before = len(tokens.start) + len(piece[0])
            text = np.concatenate([tokens.start, *piece])
            made.append(Example(HISTORY, text, before, len(piece) - 1, held))
    return made
