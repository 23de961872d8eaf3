"""Files of events; what they share with files of items is in `test_readers.py`."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import events, ids

from pyrec.errors import CatalogError, EventError, ImportRowError
from pyrec.event_fields import EventMap
from pyrec.event_writing import FORMATS, lines_of
from pyrec.readers import read_events
from pyrec.types import Event


def read(content: str, format: str | None = None, **options) -> list[Event]:
    return list(read_events(io.BytesIO(content.encode()), format, **options))


def errors(content: str, **options) -> list[str]:
    return [str(row) for row in read(content, **options) if isinstance(row, ImportRowError)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("user,item,kind,value,time,session",
         {f: f for f in ("user", "item", "kind", "value", "time", "session")}),
        ("userId,movieId,rating,timestamp",
         {"user": "userId", "item": "movieId", "value": "rating", "time": "timestamp"}),
        ("user_id,book_id,rating", {"user": "user_id", "item": "book_id", "value": "rating"}),
        ("reviewerID,asin,overall,unixReviewTime",
         {"user": "reviewerID", "item": "asin", "value": "overall", "time": "unixReviewTime"}),
        ("timestamp,visitorid,event,itemid,transactionid",
         {"user": "visitorid", "item": "itemid", "kind": "event", "time": "timestamp"}),
        ("id,order_id,Customer ID,song_id,Date",
         {"user": "Customer ID", "item": "song_id", "time": "Date"}),
        ("session_id,user,sku,action,score,note",
         {"user": "user", "item": "sku", "kind": "action", "value": "score",
          "session": "session_id"}),
        ("用户,商品,行为,时间", {"user": "用户", "item": "商品", "kind": "行为", "time": "时间"}),
    ],
)  # fmt: skip
def test_columns_are_guessed_by_name(header: str, expected: dict[str, str]) -> None:
    assert EventMap().resolve(header.split(",")) == expected


@pytest.mark.parametrize(
    ("content", "columns", "reason"),
    [
        ("a,b\n1,2\n", {}, r"hold the user; there are a, b: say which it is \(--column user=NAME"),
        ("user,b\n1,2\n", {}, "hold the item"),
        ("user,id\n1,2\n", {}, "hold the item"),
        ("user,item\n1,2\n", {"time": "when"}, "no column 'when' for the time"),
    ],
)
def test_a_header_without_what_is_needed_is_fatal(
    content: str, columns: dict[str, str], reason: str
) -> None:
    with pytest.raises(CatalogError, match=reason):
        read(content, "csv", columns=columns)


def test_columns_can_be_named_and_left_out() -> None:
    content = "user,item,type,who\nu,i,film,w\n"
    assert read(content, columns={"kind": "", "user": "who"}) == [Event("w", "i", "click")]
    with pytest.raises(ValueError, match="no field 'colour'; map one of user, item, kind"):
        read(content, columns={"colour": "who"})


def test_rows_that_name_no_kind_are_ratings_where_there_is_a_value_and_else_clicks() -> None:
    assert read("user,item,stars\nu,i,4\n") == [Event("u", "i", "rating", 4.0)]
    assert read("user,item\nu,i\n") == [Event("u", "i", "click")]
    content = "user,item,kind\nu,i,\nu,i,Like\n"
    assert [e.kind for e in read(content, kind="purchase")] == ["purchase", "like"]
    rows = '{"user": 1, "item": 2, "value": 3}\n{"user": 1, "item": 2}'
    assert [(e.kind, e.item_id) for e in read(rows)] == [("rating", "2"), ("click", "2")]
    with pytest.raises(ValueError, match="kind 'love' is none of"):
        read(content, kind="love")


def test_any_finite_number_is_a_rating() -> None:
    content = "user,item,rating\nu,a,-3.5\nu,b,1e6\nu,c,87\n"
    assert [e.value for e in read(content)] == [-3.5, 1e6, 87.0]


def test_each_bad_row_is_named_by_line_and_reason() -> None:
    content = (
        "user,item,kind,value,time\n"
        "u,i,like,,2020-01-01\n"
        "u,i,view,,\n"
        ",i,like,,\n"
        "u, ,like,,\n"
        "u,i,rating,,\n"
        "u,i,rating,inf,\n"
        "u,i,rating,good,\n"
        "u,i,like,,9e9\n"
        "u,i,like,,1969-12-31\n"
        "u,i,like,,soon\n"
        "u,i,like\n"
    )
    told = errors(content)
    assert [line.partition(":")[0] for line in told] == [f"line {n}" for n in range(3, 13)]
    for line, reason in zip(
        told,
        ("'view' is unknown; use one of impression", "the user of a like event is empty",
         "the item id of a like event is empty", "has no value; give the rating",
         "inf is not a finite number", "the value 'good' is not a number",
         "more than a day in the future", "before 1970", "neither unix seconds nor ISO 8601",
         "it has 3 fields, the header 5"),
        strict=True,
    ):  # fmt: skip
        assert reason in line
    with pytest.raises(ImportRowError, match="line 3: event kind 'view'"):
        read(content, strict=True)


@pytest.mark.parametrize("format", FORMATS)
@given(st.lists(events(user_ids=ids.map(str.strip), item_ids=ids.map(str.strip)), max_size=6))
def test_what_was_written_is_read_back_just_so(format: str, given: list[Event]) -> None:
    latest = [e for e in given if e.at < 1.6e9]
    try:
        content = "".join(lines_of(latest, format))
    except EventError:
        assert format != "jsonl"
        return
    assert read(content, format, strict=True) == latest
    assert read(content, strict=True) == latest or not latest


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_cells_that_look_like_quotes_and_separators_survive(format: str) -> None:
    given = [
        Event('"quoted"', 'a"b', "rating", 0.1 + 0.2, 1.5e9 + 1e-6, '"'),
        Event("a,b;c|d", "x\u2028y", "impression", 3.0, 0.0, '""'),
    ]
    assert read("".join(lines_of(given, format)), format) == given


def test_line_breaks_survive_in_csv() -> None:
    given = [Event(f"a{end}b", "i", "like") for end in ("\n", "\r", "\r\n")]
    assert read("".join(lines_of(given, "csv")), "csv") == given


@pytest.mark.parametrize(
    ("format", "user"),
    [("csv", " u"), ("csv", "a\0b"), ("tsv", "u\u00a0"), ("tsv", "a\tb"), ("tsv", "a\rb")],
)
def test_what_a_format_cannot_hold_is_refused_and_jsonl_holds_it(format: str, user: str) -> None:
    given = [Event(user, "i", "like", event_id=7)]
    with pytest.raises(EventError, match=r"the event 7 holds .*; export as JSONL"):
        list(lines_of(given, format))
    (row,) = read("".join(lines_of(given, "jsonl")), "jsonl")
    assert row.user_id == user
    assert json.loads("".join(lines_of(given, "jsonl")))["time"] is None
