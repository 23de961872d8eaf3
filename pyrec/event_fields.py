"""How a row of someone's own log becomes an event: which column is what, and what its cells mean.

`readers.py` asks for each row of a file, the recommender for rows given as dictionaries. Columns
are found as those of items are (`headings.py`); those that are none of an event's are passed over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pyrec.errors import CatalogError, InvalidEventError
from pyrec.event_rules import checked
from pyrec.fields import amount_of, text_of
from pyrec.headings import Headings
from pyrec.times import seconds_of
from pyrec.types import EVENT_KINDS, Event

# The fields of an event, and the names of columns that hold them, the most telling first.
_NAMES = {
    "user": "user userid customer customerid reviewerid visitorid memberid 用户 用户编号 用户id",
    "item": (
        "item itemid product productid movieid bookid asin parentasin sku isbn 商品 商品编号 商品id"
    ),
    "kind": "kind event eventtype eventname action type behavior behaviour interaction 行为",
    "value": "value rating score stars overall 评分",
    "time": (
        "time timestamp at datetime ts eventtime unixtime createdat reviewtime unixreviewtime date "
        "时间 日期"
    ),
    "session": "session sessionid visitid 会话",
}
FIELDS = tuple(_NAMES)
_REQUIRED = ("user", "item")
_OTHER_IDS = ("id", "eventid", "orderid", "requestid", "deviceid", "rowid", "uuid")
_DAY_S = 86400.0


class EventMap:
    """Turns rows, given by column name, into events."""

    def __init__(self, columns: Mapping[str, str] | None = None, kind: str | None = None) -> None:
        """Choose the columns.

        Args:
            columns: column by field of `FIELDS`; a field not named is guessed, one given as ""
                has no column.
            kind: of rows that name none; None is `rating` where they have a column for the value,
                else `click`.

        Raises:
            ValueError: a field or a kind that there is not.
        """
        if kind is not None and kind not in EVENT_KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(EVENT_KINDS)}")
        self._kind = kind
        self._headings = Headings(_NAMES, _REQUIRED, columns, id_field="item", other_ids=_OTHER_IDS)
        self._latest = time.time() + _DAY_S  # clocks differ, and so do zones of times without one

    def resolve(self, names: Sequence[str]) -> dict[str, str]:
        """Return the column of each field that has one.

        Raises:
            CatalogError: a column that was asked for is not there, or none holds user or item.
        """
        return self._headings.resolve(names)

    def event(self, row: Mapping[str, Any]) -> Event:
        """Return the event of a row.

        Raises:
            CatalogError: no column holds the user or the item.
            ValueError: why a cell cannot be read.
            InvalidEventError: why the row is no event.
        """
        columns = self._headings.of(tuple(row))
        kind = row[columns["kind"]] if "kind" in columns else None
        if kind is None or kind == "":
            kind = self._kind or ("rating" if "value" in columns else "click")
        elif isinstance(kind, str):
            kind = kind.strip().lower()
        session = _id("session", row[columns["session"]]) if "session" in columns else None
        return checked(
            Event(
                _id("user", row[columns["user"]]),
                _id("item", row[columns["item"]]),
                kind,
                _value(row[columns["value"]]) if "value" in columns else None,
                seconds_of(row[columns["time"]]) if "time" in columns else 0.0,
                session or None,
            ),
            self._latest,
        )


def events_of(rows: Iterable[Event | Mapping[str, Any]]) -> Iterator[Event]:
    """Walk rows given in Python as events: events as they are, dictionaries by their keys' names.

    Raises:
        InvalidEventError: a row that is no event; `row` counts from 0, like the sequence it came
            from.
    """
    fields = EventMap()
    for number, row in enumerate(rows):
        if isinstance(row, Event):
            yield row
        elif isinstance(row, Mapping):
            try:
                yield fields.event(row)
            except (ValueError, CatalogError, InvalidEventError) as error:
                raise InvalidEventError(f"row {number}: {error}; nothing was imported") from error
        else:
            raise TypeError(f"row {number} is {row!r}; give an Event or a dictionary")


def _id(field: str, value: Any) -> str:
    # A string as it is: JSON that an export wrote must come back just so.
    return value if isinstance(value, str) else text_of(field, value)


def _value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return amount_of("value", value)
