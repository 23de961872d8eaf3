"""Events as a file that `read_events` reads back to the exact same events: CSV, TSV or JSONL.

What a format cannot hold is refused by name, not changed on the way.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator

from pyrec.errors import EventError
from pyrec.times import iso_of
from pyrec.types import Event

FORMATS = ("csv", "tsv", "jsonl")
COLUMNS = ("user", "item", "kind", "value", "time", "session")
# Readers of both take blanks off the ends of a cell, and TSV cannot write what separates cells.
_NOT_IN = {"CSV": re.compile(r"^\s|\s\Z|\0"), "TSV": re.compile(r"^\s|\s\Z|[\t\n\r\0]")}
_CHUNK = 1000


def lines_of(events: Iterable[Event], format: str) -> Iterator[str]:
    """Write events, some at a time.

    Args:
        events: read once.
        format: one of `FORMATS`.

    Yields:
        Text that ends with a line break, the first with the names of the columns.

    Raises:
        EventError: an id or session that the format cannot hold.
    """
    return _WRITERS[format](events)


def _jsonl(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        time = iso_of(event.at) if event.at else None
        row = (event.user_id, event.item_id, event.kind, event.value, time, event.session)
        yield json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n"


def _csv(events: Iterable[Event]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # A carriage return by itself ends a line too, and not every version of the module quotes it.
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for number, event in enumerate(events, start=1):
        cells = _cells(event, "CSV")
        (quoting if "\r" in "".join(cells) else writer).writerow(cells)
        if number % _CHUNK == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _tsv(events: Iterable[Event]) -> Iterator[str]:
    yield "\t".join(COLUMNS) + "\n"
    for event in events:
        yield "\t".join(map(_unlike_quoted, _cells(event, "TSV"))) + "\n"


def _cells(event: Event, format: str) -> list[str]:
    for text in (event.user_id, event.item_id, event.session or ""):
        if _NOT_IN[format].search(text):
            raise EventError(
                f"the event {event.event_id} holds {text!r}, and {format} keeps no blanks at the "
                "ends of a cell, nor control characters; export as JSONL"
            )
    return [
        event.user_id,
        event.item_id,
        event.kind,
        "" if event.value is None else _number(event.value),
        iso_of(event.at) if event.at else "",
        event.session or "",
    ]


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _unlike_quoted(cell: str) -> str:
    # The reader takes quotes off that stand around all of a cell, as spreadsheets write them.
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return '"' + cell.replace('"', '""') + '"' if is_quoted else cell


_WRITERS: dict[str, Callable[[Iterable[Event]], Iterator[str]]] = {
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
}
