"""CSV and TSV as rows by column name; `readers.py` asks for them."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from pyrec.errors import CatalogError
from pyrec.text_lines import LONGEST_ROW, Lines

# The line a row begins at, from 1, and the row by column name or the reason why there is none.
Row = tuple[int, Mapping[str, Any] | str]
# Looks at the names of the columns, and raises where they will not do.
Check = Callable[[Sequence[str]], object]


def csv_rows(file: TextIO, check: Check) -> Iterator[Row]:
    """Walk the rows below the header, empty lines left out.

    Raises:
        CatalogError: the header cannot be read, or has not the columns that `check` wants.
    """
    lines = Lines(file)
    first = next(lines, "")
    # Spreadsheets write ";" where the comma is the decimal sign.
    delimiter = max(",;\t|", key=first.count)
    # A process-wide limit, only ever raised: 128 kB would refuse long descriptions.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_ROW))
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        begins = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            reason = _csv_reason(begins, rows.line_num, str(error))
            if header is None:
                raise CatalogError(f"line {begins}: {reason}") from None
            lines.problem = None
            yield begins, reason
            continue
        if header is None:
            header = _header(cells, lines, check) if cells else None
        elif lines.problem or cells:  # an empty line is none
            yield begins, _zipped(header, cells, lines)


def _csv_reason(first: int, last: int, message: str) -> str:
    if "end of data" in message or "field limit" in message:
        message = "a quote is not closed"
    # The rows between are lost with this one.
    lines = f", all lines up to {last} were passed over" if last > first else ""
    return f"{message}{lines}; write a quote within quotes twice"


def tsv_rows(file: TextIO, check: Check) -> Iterator[Row]:
    """Walk the rows below the header, empty lines left out; raises as `csv_rows` does."""
    # Not by the csv module: most programs that write TSV quote nothing, and a title that begins
    # with a quote would swallow the lines that follow.
    lines = Lines(file)
    header: list[str] | None = None
    for line in lines:
        cells = [_unquoted(cell) for cell in line.rstrip("\r\n").split("\t")]
        if header is None:
            header = _header(cells, lines, check) if cells != [""] else None
        elif lines.problem or cells != [""]:
            yield lines.count, _zipped(header, cells, lines)


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', ""):
        return cell[1:-1].replace('""', '"')
    return cell


def _header(cells: list[str], lines: Lines, check: Check) -> list[str]:
    if lines.problem:
        raise CatalogError(f"line 1: {lines.problem}")
    header = [cell.strip() for cell in cells]
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise CatalogError(f"two columns are called {twice[0]!r}; rename one")
    check(header)  # fails at once rather than at each row
    return header


def _zipped(header: list[str], cells: list[str], lines: Lines) -> Mapping[str, Any] | str:
    problem, lines.problem = lines.problem, None
    if problem:
        return problem
    if len(cells) != len(header):
        return f"it has {len(cells)} fields, the header {len(header)}"
    return dict(zip(header, map(str.strip, cells), strict=True))
