"""How the demo looks: headings, lists with one line an item, what moved. `demo` calls this.

Lists stand in columns, where a Chinese character takes two. All of it goes to stdout, read by
people even where that is a pipe.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import click

from pyrec.cli.output import bold, cell, dim, terminal_columns
from pyrec.cli.width import fit, pad, printable
from pyrec.types import Item, Reason, Slate, Suggestion

_NARROWEST = 72
_N_GENRES = 2
_INDENT = "   "


def heading(title: str) -> None:
    """Open a chapter."""
    click.echo(f"\n\n{bold(title)}")


def say(text: str) -> None:
    """Print sentences."""
    for line in textwrap.wrap(text, _columns() - len(_INDENT), break_on_hyphens=False):
        click.echo(_INDENT + line)


def question(text: str, *conditions: str, meaning: str = "") -> None:
    """Print what is asked.

    Args:
        text: the question.
        conditions: what `where` says beside it.
        meaning: the question in English where it is in another language.
    """
    line = " ".join([bold(f"“{text}”"), *(f"where {c}" for c in conditions)])
    click.echo(f"\n{_INDENT}{line}" + (dim(f"   ({meaning})") if meaning else ""))


def answer(slate: Slate, describe: Callable[[Item], str]) -> None:
    """Print a list, one line an item: place, title, what it is, why it is here.

    Args:
        slate: the list.
        describe: says in a few words what an item is.
    """
    if slate.need is not None:
        read = [str(f) for f in slate.need.filters] + [p.text for p in slate.need.phrases]
        if read:
            click.echo(dim(fit(f"{_INDENT}read as: {', '.join(read)}", _columns())))
    rows = [(printable(s.title), describe(s.item), why(s.reasons)) for s in slate]
    for place, row in enumerate(rows, 1):
        click.echo(f"{_INDENT}{place:>2}  {_row(row, (0.40, 0.29, 0.31), 7)}")
    click.echo(dim(f"{_INDENT}    {slate.ms:,.0f} ms"))


def moves(before: Slate, after: Slate) -> None:
    """Print a list with the place that each item had before, and why it is where it is now.

    What the user's own likes say counts as the reason where they say anything.
    """
    was = {s.item_id: place for place, s in enumerate(before, 1)}
    click.echo(dim(f"{_INDENT}now before"))
    for place, s in enumerate(after, 1):
        arrow = _arrow(place, was.get(s.item_id))
        own = [r for r in s.reasons if r.signal in _OF_HISTORY]
        row = _row((_movie(s), why(own or s.reasons)), (0.5, 0.5), 15)
        click.echo(f"{_INDENT}{place:>3} {arrow}  {row}")


def movie(item: Item) -> str:
    """Say what a movie is: its year and genres."""
    genres = item.attributes.get("genre", ())
    listed = genres[:_N_GENRES] if isinstance(genres, tuple) else ()
    return f"{cell(item.attributes.get('year'))}  {printable(', '.join(listed))}"


def product(item: Item) -> str:
    """Say what a product is: its price and category."""
    return f"{cell(item.price):>5}  {printable(cell(item.attributes.get('category')))}"


def why(reasons: Sequence[Reason]) -> str:
    """Say in a few words what spoke for an item most."""
    first, *others = [r for r in reasons if r.signal in _LEADS] or [Reason("", 0.0, "")]
    # Two signals that name the same liked item, or the same words, say one thing.
    others = [r for r in others if _LEADS[r.signal] != _LEADS[first.signal]]
    said = [_LEADS[r.signal].format(printable(r.text)) for r in [first, *others[:1]] if r.text]
    return " · ".join(said)


_LEADS = {
    "phrases": "{}",
    "lexical": "“{}”",
    "coverage": "“{}”",
    "title_share": "“{}”",
    "dense": "close in meaning",
    "query_likelihood": "known for it",
    "content": "like {}",
    "dense_history": "like {}",
    "popular": "{}",
}
_OF_HISTORY = ("content", "dense_history")


def _arrow(place: int, was: int | None) -> str:
    """Return six columns: the place before and which way it went."""
    if was is None:
        return "   new"
    sign = "=" if was == place else "↑" if place < was else "↓"
    return f"{was:>4} {sign}"


def _movie(suggestion: Suggestion) -> str:
    return f"{printable(suggestion.title)} ({cell(suggestion.item.attributes.get('year'))})"


def _row(texts: Sequence[str], shares: Sequence[float], taken: int) -> str:
    """Lay texts out in columns that share the room beside what is taken; the last steps back."""
    room = _columns() - taken - 2 * (len(texts) - 1)
    widths = [int(room * share) for share in shares]
    cells = [pad(fit(text, wide), wide) for text, wide in zip(texts, widths, strict=True)]
    return "  ".join([*cells[:-1], dim(cells[-1].rstrip())])


def _columns() -> int:
    return max(terminal_columns(), _NARROWEST)
