"""Pairs of a question and a phrase of the catalog, taken from the items themselves.

A question as somebody may write it: words of a title, a part of a description, a value. Its answer
is a phrase of the same item that the question does not hold, for a phrase of the question's own
words is found without a text model (`tasks/need.py`). The wording is that of the need prompt to the
letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from pyrec.adapter.draws import part_of
from pyrec.adapter.examples import Example
from pyrec.catalog import Catalog
from pyrec.llama import Model
from pyrec.phrasebook import Phrasebook
from pyrec.prompts import Prompt
from pyrec.text import SPACELESS, WORD, fold
from pyrec.types import Item

NEED = "need"
MAX_WORDS = 3
"""Words of a question that is cut from a title or a description."""
RUN = (2, 8)
"""Characters of one where the script has no spaces."""
_DESCRIBED = 0.2
_PARTS = re.compile(rf"[{SPACELESS}]+|{WORD}(?:['’&-]{WORD})*")
_AT_ONCE = 500


def item_pairs(
    catalog: Catalog, book: Phrasebook, rng: np.random.Generator, *, per_item: int = 2
) -> Iterator[tuple[str, str, str]]:
    """Walk questions and phrases, item by item.

    Args:
        catalog: the items.
        book: their phrases.
        rng: which parts of an item ask, and which of its phrases answer.
        per_item: pairs of an item at most.

    Yields:
        The item's id, a question, and a phrase as the catalog writes it.
    """
    rows = [row for row, _ in catalog.titles()]
    for first in range(0, len(rows), _AT_ONCE):
        for item in catalog.items(rows[first : first + _AT_ONCE]):
            values = [known for v in _values(item) if (known := book.value(v)) is not None]
            answers = [*dict.fromkeys(values)]
            # What it is counts more than what else its title says: one phrase of that at most.
            others = [p for p in book.phrases_in(item.title) if p not in answers]
            answers += [others[int(rng.integers(len(others)))]] if others else []
            for answer in [answers[n] for n in rng.permutation(len(answers))[:per_item]]:
                if question := _question(item, answer, rng):
                    yield item.item_id, question, answer


def need_examples(
    pairs: Iterator[tuple[str, str, str]] | Sequence[tuple[str, str, str]],
    prompt: Prompt,
    model: Model,
    held_out: float,
    kind: str = NEED,
) -> list[Example]:
    """Write pairs in the wording of a prompt.

    Args:
        pairs: what tells whether it is held out, a question, its answer.
        prompt: of the need or the titles.
        model: whose tokens they become.
        held_out: share that is held out.
        kind: of the examples.
    """
    made = []
    for name, question, answer in pairs:
        asked = model.tokenize(prompt.ask(question), start=True)
        tokens = np.concatenate([asked, model.tokenize(prompt.lead + answer)])
        if len(tokens) > len(asked):
            made.append(Example(kind, tokens, len(asked), held_out=part_of(name, held_out)))
    return made


def _values(item: Item) -> Iterator[str]:
    for value in item.attributes.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from value


def _question(item: Item, answer: str, rng: np.random.Generator) -> str:
    """Cut a question from an item, without the answer; empty where nothing is left."""
    text = item.text if item.text and rng.random() < _DESCRIBED else item.title
    left = re.sub(re.escape(answer), "\n", text, flags=re.IGNORECASE)
    pieces = [piece for piece in left.split("\n") if _PARTS.search(piece)]
    if not pieces:
        return ""
    piece = pieces[int(rng.integers(len(pieces)))]
    parts = [m.span() for m in _PARTS.finditer(piece)]
    first = int(rng.integers(len(parts)))
    last = min(first + int(rng.integers(1, MAX_WORDS + 1)), len(parts)) - 1
    cut = piece[parts[first][0] : parts[last][1]]
    if re.match(f"[{SPACELESS}]", cut):
        length = int(rng.integers(RUN[0], RUN[1] + 1))
        begin = int(rng.integers(max(len(cut) - length, 0) + 1))
        cut = cut[begin : begin + length]
    return cut if fold(cut) and fold(answer) not in fold(cut) else ""
