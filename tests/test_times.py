from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyrec.times import LATEST, iso_of, people_of, seconds_of


@given(st.floats(0.0, LATEST))
@example(5e-324)
@example(1e-5)
@example(1700000000.1234567)
@example(0.1 + 0.2)
@example(LATEST)
def test_a_time_that_was_written_is_read_back_as_the_same_float(at: float) -> None:
    assert seconds_of(iso_of(at)) == at
    assert seconds_of(repr(at)) == at


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (1500000000, 1.5e9), ("1500000000.25", 1500000000.25), (1500000000000, 1.5e9),
        ("1500000000123", 1500000000.123), (0, 0.0), (None, 0.0), ("", 0.0), (" ", 0.0),
        ("1970-01-02", 86400.0), ("2017-07-14T02:40:00Z", 1.5e9), ("2017-07-14 02:40:00", 1.5e9),
        ("2017-07-14T02:40", 1.5e9), ("2017-07-14t04:40:00.5+02:00", 1500000000.5),
        ("2017-07-13T20:40:00-0600", 1.5e9), ("2017-07-13T20:40:00-06", 1.5e9),
        ("2017-07-14 02:40:00,125 UTC", 1500000000.125), ("1969-12-31T23:59:59Z", -1.0),
        ("2017-07-14T02:40:00.123456789Z", 1500000000.123456789), ("2016-02-29", 1456704000.0),
    ],
)  # fmt: skip
def test_times_are_read_as_files_hold_them(written: object, expected: float) -> None:
    assert seconds_of(written) == expected


@pytest.mark.parametrize(
    "written",
    ["soon", "2017-13-01", "2017-02-29", "2017-07-14T24:00:00", "14.07.2017", "2017-07-14T02",
     True, ["2017"], "10:30", 10**400, "２０１７-07-14"],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_name(written: object) -> None:
    with pytest.raises(ValueError, match=r"the time .* is neither unix seconds nor ISO 8601"):
        seconds_of(written)


def test_people_read_seconds_and_nothing_where_the_time_is_unknown() -> None:
    assert iso_of(1.5e9) == "2017-07-14T02:40:00Z"
    assert people_of(1500000000.75) == "2017-07-14T02:40:00Z"
    assert people_of(0.0) is None
