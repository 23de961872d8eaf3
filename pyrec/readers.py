"""Catalog files as items: CSV, TSV, JSON and JSONL, read as a stream.

The doors import what this yields. A row that is no item is yielded as an error with its line, so
that the rest can go on; a file that cannot be read on raises. Memory stays bounded whatever the
file holds: lines, fields and elements of more than 16 MB are refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from pyrec.delimited import Row, csv_rows, tsv_rows
from pyrec.errors import CatalogError, ImportRowError
from pyrec.fields import FieldMap
from pyrec.json_rows import json_rows, jsonl_rows
from pyrec.types import Item

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
) -> Iterator[Item | ImportRowError]:
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
    if format is not None and format not in FORMATS:
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    with _opened(source) as raw:
        beginning = raw.peek(4096)
        for magic, reason in _NOT_TEXT.items():
            if beginning.startswith(magic):
                raise CatalogError(f"{_name(source)} {reason}")
        chosen = format or _format(source, beginning)
        # newline="": the csv module wants to see line breaks within quotes as they are.
        text = io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            for line, row in _ROWS[chosen](text, fields):
                item = _item(fields, line, row)
                if strict and isinstance(item, ImportRowError):
                    raise item
                yield item
        finally:
            text.detach()  # closing it would close what the caller gave


def _item(fields: FieldMap, line: int, row: Mapping[str, Any] | str) -> Item | ImportRowError:
    if isinstance(row, str):
        return ImportRowError(line, row)
    try:
        return fields.item(row)
    except (ValueError, CatalogError) as error:
        return ImportRowError(line, str(error))


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


_ROWS: dict[str, Callable[[TextIO, FieldMap], Iterator[Row]]] = {
    "csv": csv_rows,
    "tsv": tsv_rows,
    "json": json_rows,
    "jsonl": jsonl_rows,
}
