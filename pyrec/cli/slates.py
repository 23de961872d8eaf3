"""A ranked list as rows for programs, and as a list for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from pyrec.cli.output import bold, cell, dim, emit, for_people, plural, say_steps, terminal_columns
from pyrec.cli.width import fit, pad, printable, width
from pyrec.types import Item, Reason, Slate, Suggestion

_COLUMNS = ("rank", "item_id", "title", "price", "score", "why")
_N_ATTRIBUTES = 4
_LONGEST_VALUE = 30
_DOT = " · "

# How a signal's text goes on for people; a signal that is not here speaks for itself.
_LEADS = {
    "lexical": "words: ",
    "coverage": "words: ",
    "title_share": "words: ",
    "phrases": "phrase: ",
    "content": "shares with ",
    "dense_history": "close to ",
    "tastes": "to your taste: ",
}


def show(slate: Slate, form: str | None) -> None:
    """Print a slate on stdout, and how it was made on stderr."""
    if for_people(form):
        for rank, suggestion in enumerate(slate, 1):
            _print(rank, suggestion, len(str(len(slate))))
    elif form == "csv":
        emit([_flat(rank, s) for rank, s in enumerate(slate, 1)], form, _COLUMNS)
    elif form == "table":
        emit([_summary(rank, s) for rank, s in enumerate(slate, 1)], form, _COLUMNS)
    else:
        emit([_row(rank, s) for rank, s in enumerate(slate, 1)], form, _COLUMNS)
    ms = f"{slate.ms:.1f} ms" if slate.ms < 100 else f"{slate.ms:,.0f} ms"
    say_steps([*slate.path, ms])


def _row(rank: int, suggestion: Suggestion) -> dict[str, Any]:
    item = suggestion.item
    return {
        "rank": rank,
        "item_id": item.item_id,
        "title": item.title,
        "price": item.price,
        "popularity": item.popularity,
        "attributes": dict(item.attributes),
        "score": _score(suggestion),
        "reasons": [
            {"signal": r.signal, "contribution": round(r.contribution, 4), "text": r.text}
            for r in suggestion.reasons
        ],
    }


def _summary(rank: int, suggestion: Suggestion) -> dict[str, Any]:
    return {
        "rank": rank,
        "item_id": suggestion.item_id,
        "title": suggestion.title,
        "price": suggestion.item.price,
        "score": _score(suggestion),
        "why": "; ".join(map(_why, suggestion.reasons)),
    }


def _flat(rank: int, suggestion: Suggestion) -> dict[str, Any]:
    row = _summary(rank, suggestion) | {"popularity": suggestion.item.popularity}
    for name, value in suggestion.item.attributes.items():
        row[f"attributes.{name}" if name in row else name] = value
    return row


def _score(suggestion: Suggestion) -> float:
    return round(suggestion.score, 4)


def _print(rank: int, suggestion: Suggestion, digits: int) -> None:
    item = suggestion.item
    columns = terminal_columns()
    indent = " " * (digits + 3)
    room = columns - len(indent)
    price = "" if item.price is None else f"  {cell(item.price)}"
    title = fit(printable(item.title) or item.item_id, room - len(price))
    gap = pad("", room - width(title) - len(price))
    click.echo(f" {rank:>{digits}}  {bold(title)}{gap}{bold(price)}")
    score = f"  score {suggestion.score:.2f}"
    about = fit(_DOT.join([printable(item.item_id), *_attributes(item)]), room - len(score))
    click.echo(dim(indent + pad(about, room - len(score)) + score))
    why = _DOT.join(map(_why, suggestion.reasons))
    if why:
        click.echo(indent + fit(why, room))


def _attributes(item: Item) -> list[str]:
    values = (printable(cell(value)) for value in item.attributes.values())
    short = [value for value in values if value and width(value) <= _LONGEST_VALUE]
    return short[:_N_ATTRIBUTES]


def _why(reason: Reason) -> str:
    return _LEADS.get(reason.signal, "") + printable(reason.text)


def empty(slate: Slate, conditions: Sequence[object], n_items: int) -> str:
    """Say why a slate is empty, and what to do."""
    if not n_items:
        return "the catalog is empty; fill it with `pyrec import FILE`"
    filters = [str(f) for f in (*conditions, *(slate.need.filters if slate.need else ()))]
    if filters:
        return f"no item was found that meets {' and '.join(filters)}; ask for less"
    return f"nothing was found among {plural(n_items, 'item')}; try other words"
