"""How commands print their data on stdout: JSON, CSV, a table, or as people like to read it.

A command builds plain rows and calls `emit`; messages go to stderr through `say`.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from pyrec.cli.width import fit, pad, printable, width

Row = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., Any])

_WIDEST = 100  # columns: beyond, the eye loses the line
_NARROWEST_COLUMN = 8


def format_options(command: F) -> F:
    """Add `--json`, `--nl`, `--csv` and `-t`; the choice arrives as `form`, None for none."""
    for names, form, told in (
        (("-t", "--table"), "table", "Print a table."),
        (("--csv",), "csv", "Print CSV."),
        (("--nl",), "nl", "Print one JSON object a line."),
        (("--json",), "json", "Print a JSON array; this is the default into a pipe or file."),
    ):
        command = click.option(*names, "form", flag_value=form, help=told)(command)
    return command


def say(message: str) -> None:
    """Tell something on stderr."""
    click.echo(message, err=True)


def say_steps(steps: Sequence[str]) -> None:
    """Tell on stderr how an answer was made."""
    line = " · ".join(map(printable, steps))
    if sys.stderr.isatty():
        line = textwrap.fill(line, terminal_columns(), break_on_hyphens=False)
    say(dim(line))


def for_people(form: str | None) -> bool:
    """Tell whether to print for reading: no form was asked for, and a terminal shows it."""
    return form is None and sys.stdout.isatty()


def emit(rows: Sequence[Row], form: str | None, columns: Sequence[str]) -> None:
    """Print rows.

    Args:
        rows: all of them with at least these columns.
        form: `json`, `nl`, `csv` or `table`; None is a table on a terminal and JSON elsewhere.
        columns: what a table shows, in order; the other forms print all that rows hold.
    """
    if form is None:
        form = "table" if sys.stdout.isatty() else "json"
    if form == "table":
        _table(rows, columns)
    elif form == "csv":
        _csv(rows, columns)
    elif form == "nl":
        for row in rows:
            click.echo(_json(row))
    else:
        lines = ",\n ".join(map(_json, rows))
        click.echo(f"[{lines}]")


def terminal_columns() -> int:
    """Return how wide to print."""
    return min(shutil.get_terminal_size().columns, _WIDEST)


def plural(n: int, thing: str) -> str:
    """Write a number of things."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def bold(text: str) -> str:
    """Make a text stand out."""
    return click.style(text, bold=True)


def dim(text: str) -> str:
    """Make a text step back."""
    return click.style(text, dim=True)


def describe(fields: Row) -> None:
    """Print named values one below the other, long ones on several lines."""
    names = max(map(len, fields)) + 2
    for name, value in fields.items():
        if value in (None, ""):
            continue
        room = max(terminal_columns() - names, 20)
        lines = textwrap.wrap(printable(cell(value)), room, break_on_hyphens=False)
        for place, line in enumerate(lines):
            click.echo(bold(f"{name:<{names}}") + line if place == 0 else " " * names + line)


def cell(value: Any) -> str:
    """Write a value for a table or a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.10g}"
    if isinstance(value, list | tuple):
        return " | ".join(map(cell, value))
    return str(value)


def _json(row: Row) -> str:
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    return json.dumps(row, ensure_ascii=encoding != "utf8")


def _csv(rows: Sequence[Row], columns: Sequence[str]) -> None:
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([cell(row.get(name)) for name in names])


def _table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    cells = [[printable(cell(row.get(name))) for name in columns] for row in rows]
    is_right = [
        any(isinstance(row.get(name), int | float) for row in rows)
        and not any(isinstance(row.get(name), str) for row in rows)
        for name in columns
    ]
    widths = [max(map(width, column)) for column in zip(columns, *cells, strict=True)]
    if sys.stdout.isatty():
        _shrink(widths, shutil.get_terminal_size().columns - 2 * (len(widths) - 1))

    def line(texts: Sequence[str]) -> str:
        padded = (
            pad(fit(text, wide), wide, right=right)
            for text, wide, right in zip(texts, widths, is_right, strict=True)
        )
        return "  ".join(padded).rstrip()

    click.echo(bold(line(columns)))
    click.echo(line(["-" * columns for columns in widths]))
    for texts in cells:
        click.echo(line(texts))


def _shrink(widths: list[int], room: int) -> None:
    """Take from the widest columns until all fit into the room."""
    while sum(widths) > room and max(widths) > _NARROWEST_COLUMN:
        widths[widths.index(max(widths))] -= 1
