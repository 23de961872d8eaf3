"""Files as items or events: CSV, TSV, JSON and JSONL, read as a stream.

The doors import what this yields. A row that is neither is yielded as an error with its line, so
that the rest can go on; a file that cannot be read on raises. Memory stays bounded whatever the
file holds: lines, fields and elements of more than 16 MB are refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar, cast

from pyrec.delimited import Check, Row, csv_rows, tsv_rows
from pyrec.errors import CatalogError, ImportRowError, InvalidEventError
from pyrec.event_fields import EventMap
from pyrec.fields import FieldMap
from pyrec.json_rows import json_rows, jsonl_rows
from pyrec.types import Event, Item

T = TypeVar("T", Item, Event)

FORMATS = ("csv", "tsv", "json", "jsonl")
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json"}
_SUFFIXES |= {".jsonl": "jsonl", ".ndjson": "jsonl"}
_NOT_TEXT = {
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
    b"PK\x03\x04": "is a spreadsheet or zip file; export it as CSV",
    b"\x1f\x8b": "is compressed; unpack it first",
    b"SQLite format 3": "is a database; export its table as CSV",
}


def read_items(
    source: Path | BinaryIO,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    lists: Collection[str] = (),
    strict: bool = False,
) -> Generator[Item | ImportRowError, None, None]:
    """Walk the items of a file, and in their places the rows that are none.

    Args:
        source: a path, or bytes such as those of `sys.stdin.buffer`, which stay open.
        format: one of `FORMATS`; None tells it from the name, else from the beginning.
        columns: column by field, see `fields.FieldMap`.
        lists: columns to be split at ", " too.
        strict: raise the first row's error instead of yielding it.

    Raises:
        CatalogError: the file cannot be read, is of no such format, or its columns are not there.
        ImportRowError: a row that is no item, where strict.
    """
    fields = FieldMap(columns, lists)
    return _walk(source, format, fields.resolve, fields.item, strict)


def read_events(
    source: Path | BinaryIO,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    kind: str | None = None,
    strict: bool = False,
) -> Generator[Event | ImportRowError, None, None]:
    """Walk the events of a file, and in their places the rows that are none.

    Args:
        source: see `read_items`, also for `format`.
        format: one of `FORMATS`.
        columns: column by field, see `event_fields.EventMap`, also for `kind`.
        kind: of rows that name none.
        strict: raise the first row's error instead of yielding it.

    Raises:
        CatalogError: the file cannot be read, is of no such format, or its columns are not there.
        ImportRowError: a row that is no event, where strict.
    """
    fields = EventMap(columns, kind)
    return _walk(source, format, fields.resolve, fields.event, strict)


def _walk(
    source: Path | BinaryIO,
    format: str | None,
    check: Check,
    made: Callable[[Mapping[str, Any]], T],
    strict: bool,
) -> Generator[T | ImportRowError, None, None]:
    if format is not None and format not in FORMATS:
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    with closing(_rows(source, format, check)) as rows:  # before the caller closes the file
        for line, row in rows:
            found: T | ImportRowError
            if isinstance(row, str):
                found = ImportRowError(line, row)
            else:
                try:
                    found = made(row)
                except (ValueError, CatalogError, InvalidEventError) as error:
                    found = ImportRowError(line, str(error))
            if strict and isinstance(found, ImportRowError):
                raise found
            yield found


def _rows(source: Path | BinaryIO, format: str | None, check: Check) -> Generator[Row, None, None]:
    with _opened(source) as raw:
        beginning = raw.peek(4096)
        for magic, reason in _NOT_TEXT.items():
            if beginning.startswith(magic):
                raise CatalogError(f"{_name(source)} {reason}")
        chosen = format or _format(source, beginning)
        # newline="": the csv module wants to see line breaks within quotes as they are.
        text = io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield from _READERS[chosen](text, check)
        finally:
            text.detach()  # closing it would close what the caller gave


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[Any]:
    if not isinstance(source, str | Path):
        if isinstance(source, io.BufferedReader):
            yield source
        else:
            wrapped = io.BufferedReader(cast(Any, source))
            try:
                yield wrapped
            finally:
                wrapped.detach()
        return
    try:
        file = open(source, "rb")  # noqa: SIM115 - closed below; only opening is translated
    except OSError as error:
        raise CatalogError(f"{source} cannot be read ({error.strerror}); name a file") from error
    with file:
        yield file


def _name(source: Path | BinaryIO) -> str:
    return str(source if isinstance(source, str | Path) else getattr(source, "name", "the input"))


def _format(source: Path | BinaryIO, beginning: bytes) -> str:
    suffix = Path(_name(source)).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    first, *rest = beginning.decode("utf-8-sig", "replace").lstrip().splitlines() or [""]
    if first.startswith("{"):
        try:
            json.loads(first)
        except ValueError:
            return "json" if rest else "jsonl"  # an object over several lines, or one long line
        return "jsonl"
    if first.startswith("["):
        return "json"
    return "tsv" if "\t" in first else "csv"


_READERS: dict[str, Callable[[TextIO, Check], Iterator[Row]]] = {
    "csv": csv_rows,
    "tsv": tsv_rows,
    "json": json_rows,
    "jsonl": jsonl_rows,
}
