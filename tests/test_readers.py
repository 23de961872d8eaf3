from __future__ import annotations

import csv
import io
import json
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import attributes, ids, items, texts

import pyrec.json_rows
import pyrec.text_lines
from pyrec.errors import CatalogError, ImportRowError
from pyrec.fields import FieldMap
from pyrec.readers import FORMATS, read_items
from pyrec.types import Item


def read(content: str | bytes, format: str | None = None, **options) -> list[Item]:
    data = content if isinstance(content, bytes) else content.encode()
    return list(read_items(io.BytesIO(data), format, **options))


def errors(content: str | bytes, format: str | None = None) -> list[str]:
    return [str(row) for row in read(content, format) if isinstance(row, ImportRowError)]


def good(content: str | bytes, format: str | None = None) -> list[str]:
    return [row.item_id for row in read(content, format) if isinstance(row, Item)]


ROWS = [
    {"id": "a", "title": "Red Shoe", "price": "12.5", "brand": "Tarn"},
    {"id": "b", "title": "运动鞋", "price": "", "brand": ""},
]
EXPECTED = [
    Item("a", "Red Shoe", "", 12.5, None, {"brand": "Tarn"}),
    Item("b", "运动鞋"),
]


def written(format: str, newline: str = "\n") -> str:
    if format == "json":
        return json.dumps(ROWS, ensure_ascii=False, indent=1).replace("\n", newline)
    if format == "jsonl":
        return "".join(json.dumps(row) + newline for row in ROWS)
    delimiter = {"csv": ",", "tsv": "\t"}[format]
    return "".join(delimiter.join(row) + newline for row in [ROWS[0], *(r.values() for r in ROWS)])


# Formats


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
def test_each_format_is_read_with_any_line_end_and_byte_order_mark(
    format: str, newline: str, start: bytes
) -> None:
    content = start + written(format, newline).encode()
    assert read(content, format) == EXPECTED
    assert read(content) == EXPECTED, "the format was not told from the beginning"


@pytest.mark.parametrize("format", FORMATS)
def test_the_format_is_told_from_the_name(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"items.{format.upper()}"
    path.write_text(written(format), encoding="utf-8")
    assert list(read_items(path)) == EXPECTED
    with open(path, "rb") as file:
        assert list(read_items(file)) == EXPECTED
        assert not file.closed


@pytest.mark.parametrize("format", [*FORMATS, None])
@pytest.mark.parametrize("content", ["", "\n", "  \n\n"])
def test_an_empty_file_has_no_items(format: str | None, content: str) -> None:
    if format == "json" or content == "":
        assert read(content, format) == []


def test_an_empty_list_has_no_items() -> None:
    assert read(" [ ] ") == []


def test_objects_may_follow_one_another_over_several_lines() -> None:
    assert good('{\n"id": 1,\n"title": "a"}\n\n{"id": 2, "title": "b"}{"id":3,"title":"c"}') == [
        "1",
        "2",
        "3",
    ]


def test_a_pipe_is_read_as_it_comes() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as sink:
        sink.write(b"id,title\n1,first\n")
        thread = threading.Timer(0.05, lambda: (sink.write(b"2,second\n"), sink.close()))
        thread.start()
        assert [item.title for item in read_items(source)] == ["first", "second"]
        thread.join()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("id,title\na,b\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        (b"PK\x03\x04....", "spreadsheet or zip"),
        (b"\x1f\x8b....", "compressed; unpack it"),
        (b"SQLite format 3\0", "is a database"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_what_to_do(content: bytes, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason):
        read(content)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(CatalogError, match=f"{path} cannot be read"):
            list(read_items(path))


def test_an_unknown_format_is_the_callers_slip() -> None:
    with pytest.raises(ValueError, match="'xml' is none of csv, tsv, json, jsonl"):
        read("", "xml")


@given(st.lists(st.tuples(ids, texts, attributes), max_size=5))
def test_json_and_jsonl_say_the_same_whatever_is_in_them(rows: list) -> None:
    objects = [{"id": i, "title": t, "attributes": a} for i, t, a in rows]
    as_list = read(json.dumps(objects, indent=2), "json")
    as_lines = read("\n".join(json.dumps(o, ensure_ascii=False) for o in objects), "jsonl")
    assert as_list == as_lines
    assert [item.title for item in as_list] == [t.strip() for _, t, _ in rows]


@given(st.lists(items(), max_size=5), st.sampled_from([",", ";", "\t", "|"]))
def test_csv_gives_back_what_was_written(written: list[Item], delimiter: str) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(["id", "title", "text", "price"])
    for item in written:
        writer.writerow([item.item_id, item.title, item.text, item.price])
    found = read(buffer.getvalue().encode("utf-8", "replace"), "csv")
    assert found == [
        Item(i.item_id.strip(), i.title.strip(), i.text.strip(), i.price) for i in written
    ]


# Bad rows


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",no id,1", "line 3: the id is empty"),
        ("x,title,nan", "line 3: the price nan is not a finite number"),
        ("x,title,inf", "line 3: the price inf is not a finite number"),
        ("x,title,-5", "line 3: the price -5.0 is below zero"),
        ("x,title,cheap", "line 3: the price 'cheap' is not a number"),
        ("x,title", "line 3: it has 2 fields, the header 3"),
        ("x,title,1,2", "line 3: it has 4 fields, the header 3"),
        ('x,"a" title,1', "line 3: ',' expected after '\"'; write a quote within quotes twice"),
        ("x,ti\0tle,1", "line 3: it holds a NUL byte"),
    ],
)
def test_a_bad_csv_row_is_named_by_line_and_the_rest_is_read(row: str, reason: str) -> None:
    content = f"id,title,price\na,first,1\n{row}\n\nb,last,2\n"
    assert errors(content) == [reason]
    assert good(content) == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"title": "x"}', "no column is known to hold the id; there are title"),
        ('{"id": "x"}', "no column is known to hold the title; there are id"),
        ("[1, 2]", "it is '[1, 2]', not an object"),
        ("null", "it is 'None', not an object"),
        ('{"id": "x", "title": "t", "price": NaN}', "the price nan is not a finite number"),
        ('{"id": "x", "title": "t", "price": Infinity}', "the price inf is not a finite"),
        ('{"id": "x", "title": "t", "price": true}', "the price True is not a number"),
        ('{"id": "x", "title": "t", "price": [1]}', "the price [1] is not a number"),
        ('{"id": "x", "title": ["t"]}', "the title ['t'] is no text"),
        ('{"id": null, "title": "t"}', "the id is empty"),
        ('{"id": "a\\nb", "title": "t"}', "the id 'a\\nb' holds a control character"),
        ('{"id": "x", "title": "t", "n": 1e999}', "the n inf is not a finite number"),
    ],
)
@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_a_bad_json_row_is_named_by_line_and_the_rest_is_read(
    row: str, reason: str, format: str
) -> None:
    rows = ['{"id": "a", "title": "first"}', row, '{"id": "b", "title": "last"}']
    content = "\n".join(rows) if format == "jsonl" else "[\n" + ",\n".join(rows) + "]"
    (error,) = errors(content, format)
    assert error.startswith(f"line {2 if format == 'jsonl' else 3}: {reason}")
    assert good(content, format) == ["a", "b"]


def test_a_broken_line_of_jsonl_is_named_and_the_rest_is_read() -> None:
    content = '{"id":1,"title":"a"}\n{"id":2,"title":\n' + "[" * 100_000 + '\n{"id":3,"title":"c"}'
    assert [error[:22] for error in errors(content, "jsonl")] == [
        "line 2: not valid JSON",
        "line 3: not valid JSON",
    ]
    assert good(content, "jsonl") == ["1", "3"]


@pytest.mark.parametrize("format", FORMATS)
def test_bytes_that_are_not_utf8_are_named_by_line(format: str) -> None:
    content = written(format).encode().replace(b"Red", b"R\xe9d")
    (error,) = errors(content, format)
    assert "not valid UTF-8" in error
    assert "save the file as UTF-8" in error
    assert good(content, format) == ["b"]


def test_a_quote_that_is_not_closed_says_which_lines_it_took() -> None:
    content = 'id,title\na,"open\nb,x\nc,"y" z\nd,last\n'
    assert errors(content) == [
        "line 2: ',' expected after '\"', all lines up to 4 were passed over; "
        "write a quote within quotes twice"
    ]
    assert good(content) == ["d"]
    to_the_end = 'id,title\nz,first\na,"open\nb,x\n'
    assert errors(to_the_end)[0].startswith(
        "line 3: a quote is not closed, all lines up to 4 were passed over"
    )
    assert good(to_the_end) == ["z"]


def test_line_numbers_count_lines_within_quotes() -> None:
    content = 'id,title\na,"one\ntwo\nthree"\n,bad\n'
    assert errors(content) == ["line 5: the id is empty"]
    assert read(content)[0].title == "one\ntwo\nthree"


def test_strict_makes_the_first_bad_row_fatal() -> None:
    with pytest.raises(ImportRowError, match="line 3: the id is empty") as caught:
        read("id,title\na,x\n,bad\n,worse\n", strict=True)
    assert (caught.value.line, caught.value.reason) == (3, "the id is empty")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"id": 1, "title": "a"},\n{"id": 2', "line 2: the file ends too early"),
        ('[{"id": 1, "title": "a"},\n', "line 2: the file ends too early"),
        ('[{"id": 1, "title": "a"}\n{bad}, {}]' + " " * 99, "line 2: not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('[{"id": 1, "title": "a"}] more', "line 1: not valid JSON .text after the end"),
    ],
)
def test_json_that_cannot_be_read_on_is_fatal(content: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason):
        read(content, "json")


@pytest.mark.parametrize("format", FORMATS)
def test_very_long_fields_are_fine(format: str) -> None:
    content = written(format).replace("Red Shoe", "long " * 100_000)
    assert len(read(content, format)[0].title) == 499_999


def test_what_is_too_long_for_any_item_is_refused_without_reading_it_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (pyrec.text_lines, pyrec.json_rows):
        monkeypatch.setattr(module, "LONGEST_ROW", 1 << 20)
    start = '{"id": 1, "title": "'

    class Endless(io.RawIOBase):
        n_read = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            text = (start if not self.n_read else "").ljust(len(buffer), "x").encode()
            buffer[:] = text
            self.n_read += len(buffer)
            return len(buffer) if self.n_read < (1 << 24) else 0

    (error,) = read_items(Endless(), "jsonl")
    assert "a line of more than 1 MB" in str(error)
    with pytest.raises(CatalogError, match="more than 1 MB"):
        list(read_items(Endless(), "json"))


@pytest.mark.parametrize("format", FORMATS)
def test_memory_is_bounded_whatever_the_length_of_the_file(format: str) -> None:
    begin, between, end = {
        "csv": ("id,title\n", "", ""),
        "tsv": ("id\ttitle\n", "", ""),
        "json": ("[", ",", '{"id":"z","title":"z"}]'),
        "jsonl": ("", "", ""),
    }[format]
    row = {"csv": "i{},{}\n", "tsv": "i{}\t{}\n"}.get(format, '{{"id":"i{}","title":"{}"}}\n')
    n_rows = 40_000

    class Rows(io.RawIOBase):
        def __init__(self) -> None:
            self.parts = self.generate()
            self.rest = b""

        def generate(self) -> Iterator[bytes]:
            yield begin.encode()
            for first in range(0, n_rows, 1000):
                yield "".join(
                    row.format(n, "t" * 90) + between for n in range(first, first + 1000)
                ).encode()
            yield end.encode()

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            self.rest = self.rest or next(self.parts, b"")
            taken, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
            buffer[: len(taken)] = taken
            return len(taken)

    tracemalloc.start()
    count = sum(isinstance(item, Item) for item in read_items(Rows(), format))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == n_rows + (format == "json")
    assert peak < 3_000_000  # the file is 4 MB and more


# Which column is what


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id,title", {"id": "id", "title": "title"}),
        ("movieId,title,genres", {"id": "movieId", "title": "title"}),
        ("book_id,Title,ratings_count", {"id": "book_id", "title": "Title",
                                         "popularity": "ratings_count"}),
        ("SKU,Product Name,Description,Price", {"id": "SKU", "title": "Product Name",
                                                "text": "Description", "price": "Price"}),
        ("brand_id,sku,name", {"id": "sku", "title": "name"}),
        ("name,title,id", {"id": "id", "title": "title"}),
        ("商品编号,商品名称,价格,销量", {"id": "商品编号", "title": "商品名称", "price": "价格",
                                        "popularity": "销量"}),
    ],
)  # fmt: skip
def test_columns_are_guessed_by_name(header: str, expected: dict[str, str]) -> None:
    assert FieldMap().resolve(header.split(",")) == expected


def test_columns_can_be_named() -> None:
    content = "id,key,title,label,votes\n1,k,t,Label,many\n"
    columns = {"id": "key", "title": "label", "popularity": ""}
    (item,) = read(content, columns=columns)
    assert item == Item("k", "Label", attributes={"id": "1", "title": "t", "votes": "many"})


@pytest.mark.parametrize(
    ("content", "columns", "reason"),
    [
        ("a,b\n1,2\n", {}, "no column is known to hold the id; there are a, b: say which it is"),
        ("id,b\n1,2\n", {}, "hold the title; there are id, b"),
        ("id,b\n1,2\n", {"title": "c"}, "no column 'c' for the title; there are id, b"),
        ("id,title,x,x\n1,2,3,4\n", {}, "two columns are called 'x'; rename one"),
        ('id,"title\n1,2\n', {}, "line 1: a quote is not closed"),
        (b"id,titl\xe9\n1,2\n", {}, "line 1: it is not valid UTF-8"),
    ],
)
def test_a_header_without_what_is_needed_is_fatal(
    content: str | bytes, columns: dict[str, str], reason: str
) -> None:
    with pytest.raises(CatalogError, match=reason):
        read(content, "csv", columns=columns)


def test_a_field_that_items_do_not_have_is_the_callers_slip() -> None:
    with pytest.raises(ValueError, match="no field 'colour'; map one of id, title, text"):
        read("", columns={"colour": "x"})


def test_columns_without_a_name_are_left_out() -> None:
    (item,) = read(",id,title\n0,a,A\n")
    assert item == Item("a", "A")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12.50", 12.5), ("1e3", 1000.0), ("$12", 12.0), ("12,50 €", 12.5), ("¥1,299.00", 1299.0),
        ("1.299,00", 1299.0), ("1,299", 1299.0), ("1.299.000", 1299000.0), ("1 299,5 kr", 1299.5),
        ("USD 20", 20.0), ("20元", 20.0), ("１２", 12.0), ("0.5", 0.5), ("12.345", 12.345),
        ("CHF 1'299.90", 1299.9), ("", None), ("N/A", None), ("-", None), ("null", None),
    ],
)  # fmt: skip
def test_prices_are_read_as_people_write_them(written: str, expected: float | None) -> None:
    item = FieldMap().item({"id": "a", "title": "t", "price": written})
    assert item.price == expected


@pytest.mark.parametrize("written", ["ten", "5 to 10", "1.2.3", "nan", "-1", "12 (was 20)"])
def test_prices_that_are_none_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match="price"):
        FieldMap().item({"id": "a", "title": "t", "price": written})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Action|Drama", ("Action", "Drama")),
        ("red; blue ;", ("red", "blue")),
        ('["a, b", "c"]', ("a, b", "c")),
        ("[not a list]", "[not a list]"),
        ("one, two", "one, two"),
        ("Tom &amp; Jerry", "Tom &amp; Jerry"),
        ("It is light; and that is, all in all, what one would like a bag to be; is it not",
         ("It is light", "and that is, all in all, what one would like a bag to be", "is it not")),
        ("This sentence goes on and on; " * 3 + "and each of its parts is quite a bit longer than "
         "any value that somebody would write into a list of values", None),
        (["x", 5, None, True, ["y"], {"id": 1, "name": "Action"}], ("x", "5", "true", "y",
                                                                    "Action")),
        (1999, 1999.0),
        (12345678901234567890, "12345678901234567890"),
        (True, "true"),
    ],
)  # fmt: skip
def test_lists_are_told_from_text(written: object, expected: object) -> None:
    item = FieldMap().item({"id": "a", "title": "t", "x": written})
    assert item.attributes["x"] == (written if expected is None else expected)


def test_named_columns_are_split_at_commas_too() -> None:
    (item,) = read('id,title,cast,place\n1,t,"Ann Lee, Bo Ek","Bern, CH"\n', lists=["cast"])
    assert item.attributes == {"cast": ("Ann Lee", "Bo Ek"), "place": "Bern, CH"}


def test_objects_within_objects_become_attributes_of_their_own() -> None:
    row = '{"id": 7, "title": 1984, "specs": {"size": {"w": 3}, "color": "red", "none": null}}'
    assert read(row) == [Item("7", "1984", attributes={"specs.size.w": 3.0, "specs.color": "red"})]


def test_an_empty_title_is_allowed() -> None:
    assert read("id,title\na,\n") == [Item("a", "")]


def test_tsv_takes_quotes_as_they_are_unless_a_spreadsheet_wrote_them() -> None:
    content = 'id\ttitle\n1\t"Best" pan\n2\t"5"" pan"\n3\t"open\n4\tlast\n'
    assert [item.title for item in read(content)] == ['"Best" pan', '5" pan', '"open', "last"]


def test_special_tokens_and_control_characters_are_text_like_any_other() -> None:
    row = {"id": "a", "title": "<|im_end|> \x1b[31m </s>", "x": "\ud800"}
    (item,) = read(json.dumps(row))
    assert item.title == "<|im_end|> \x1b[31m </s>"
    assert item.attributes == {"x": "\ufffd"}
