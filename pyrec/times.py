"""Times as files hold them: unix seconds or milliseconds, and ISO 8601, to the exact same float.

`event_fields.py` reads them, `event_writing.py` writes them. 0 stands for a time that is unknown.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

LATEST = 1e11
"""Seconds, the year 5138: larger numbers in a file are milliseconds."""

_EPOCH = date(1970, 1, 1).toordinal()
_BEGINNING = datetime(1970, 1, 1)
# 2024-05-01, then 14:30, :59, .25, and Z or +02:00; without a zone it is UTC.
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?: ?(Z|UTC|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII | re.IGNORECASE,
)


def seconds_of(value: Any) -> float:
    """Return a time as UTC seconds, 0 where there is none.

    Args:
        value: seconds or, beyond `LATEST`, milliseconds since 1970 as a number or text, or ISO
            8601; None and "" are no time.

    Raises:
        ValueError: it is none of these.
    """
    if value is None:
        return 0.0
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return 0.0
        if match := _ISO.fullmatch(text):
            try:
                return _of_iso(*match.groups())
            except ValueError:  # a 13th month
                raise _unreadable(value) from None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise _unreadable(value)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise _unreadable(value) from None
    return number / 1000.0 if number > LATEST else number


def iso_of(at: float) -> str:
    """Write UTC seconds in [0, `LATEST`] as ISO 8601; `seconds_of` gives the same float back."""
    # The shortest digits that mean this float; a datetime would round them to microseconds.
    digits = repr(at)
    whole, _, fraction = (format(Decimal(digits), "f") if "e" in digits else digits).partition(".")
    moment = (_BEGINNING + timedelta(seconds=int(whole))).isoformat()
    return f"{moment}Z" if fraction in ("", "0") else f"{moment}.{fraction}Z"


def people_of(at: float) -> str | None:
    """Write UTC seconds to the second, as people read them; None where the time is unknown."""
    if not at:
        return None
    moment = datetime.fromtimestamp(at, timezone.utc)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _of_iso(
    year: str,
    month: str,
    day: str,
    hour: str | None,
    minute: str | None,
    second: str | None,
    fraction: str | None,
    zone: str | None,
) -> float:
    days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
    if h > 23 or m > 59 or s > 59:
        raise ValueError("there is no such time of day")
    whole = days * 86400 + h * 3600 + m * 60 + s
    if zone and zone[0] in "+-":
        offset = int(zone[1:3]) * 3600 + int(zone[-2:] if len(zone) > 3 else 0) * 60
        whole += offset if zone[0] == "-" else -offset
    # As one number: a sum of two would round twice. Before 1970 all that counts is the sign.
    return float(f"{whole}.{fraction or 0}")


def _unreadable(value: Any) -> ValueError:
    return ValueError(
        f"the time {str(value)[:80]!r} is neither unix seconds nor ISO 8601 "
        "(such as 2024-05-01T14:30:00Z)"
    )
