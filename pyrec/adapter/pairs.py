"""Questions that a title answers, taken from the items themselves.

A question as somebody may ask for an item: some of its values, words of its description, or what
somebody took just before it. The wording is that of the titles prompt to the letter. Questions for
phrases, in the wording of the need, were tried and made needs worse (`bench/adapter.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

import numpy as np

from pyrec.adapter.draws import part_of
from pyrec.adapter.examples import Example
from pyrec.catalog import Catalog
from pyrec.llama import Model
from pyrec.prompts import Prompt, one_line
from pyrec.replay import Log
from pyrec.tastes import values_of
from pyrec.types import Item

TITLES = "titles"
MAX_VALUES = 3
MAX_WORDS = 6
MAX_CHARACTERS = 60
_AT_ONCE = 500


def title_pairs(
    catalog: Catalog, log: Log | None, rng: np.random.Generator
) -> Iterator[tuple[str, str, str]]:
    """Walk questions and titles: one of each item's own words, one of what was taken before it.

    Args:
        catalog: the items.
        log: the histories; None for none.
        rng: which values and words ask, and which history.

    Yields:
        The item's id, a question, and its title.
    """
    before = _before(log) if log is not None else {}
    rows = [row for row, _ in catalog.titles()]
    titles = {item_id: cut(title) for item_id, title in _titled(catalog, rows)}
    for first in range(0, len(rows), _AT_ONCE):
        for item in catalog.items(rows[first : first + _AT_ONCE]):
            title = titles[item.item_id]
            asked = [_question(item, rng)]
            others = [titles[i] for i in before.get(item.item_id, ()) if titles.get(i)]
            asked += [others[int(rng.integers(len(others)))]] if others else []
            for question in asked:
                if question and title and question != title:
                    yield item.item_id, question, title


def title_examples(
    pairs: Iterable[tuple[str, str, str]], prompt: Prompt, model: Model, held_out: float
) -> list[Example]:
    """Write pairs in the wording of a prompt.

    Args:
        pairs: what tells whether it is held out, a question, its answer.
        prompt: of the titles.
        model: whose tokens they become.
        held_out: share that is held out.
    """
    made = []
    for name, question, answer in pairs:
        asked = model.tokenize(prompt.ask(question), start=True)
        tokens = np.concatenate([asked, model.tokenize(prompt.lead + answer)])
        if len(tokens) > len(asked):
            made.append(Example(TITLES, tokens, len(asked), held_out=part_of(name, held_out)))
    return made


def cut(title: str) -> str:
    """Return the beginning of a title, up to a space where there is one."""
    line = one_line(title)
    if len(line) <= MAX_CHARACTERS:
        return line
    head, space, _ = line[: MAX_CHARACTERS + 1].rpartition(" ")
    return head if space else line[:MAX_CHARACTERS]


def _titled(catalog: Catalog, rows: list[int]) -> Iterator[tuple[str, str]]:
    ids: Mapping[int, str] = catalog.ids(rows)
    return ((ids[row], title) for row, title in catalog.titles() if row in ids)


def _before(log: Log) -> dict[str, list[str]]:
    """Return by item what users took just before it."""
    found: dict[str, list[str]] = {}
    ptr, order = log.by_user()
    for user in range(len(log.user_ids)):
        taken = log.item[order[ptr[user] : ptr[user + 1]]].tolist()
        for a, b in pairwise(taken):
            if a != b:
                found.setdefault(log.item_ids[b], []).append(log.item_ids[a])
    return found


def _question(item: Item, rng: np.random.Generator) -> str:
    """Ask for an item by some of its values, or by words of its description."""
    values = [value for _, value in values_of(item)]
    words = one_line(item.text).split(" ") if item.text else []
    if words and (not values or rng.random() < 0.5):
        first = int(rng.integers(max(len(words) - MAX_WORDS, 0) + 1))
        return cut(" ".join(words[first : first + MAX_WORDS]))
    some = rng.permutation(len(values))[: int(rng.integers(1, MAX_VALUES + 1))]
    return cut(" ".join(values[n] for n in sorted(some.tolist())))
