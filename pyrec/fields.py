"""How a row of someone's own file becomes an item: which column is what, and what its cells mean.

`readers.py` asks for each row of a file, the recommender for rows given as dictionaries. Columns
are taken by the name the caller gives, else by names that people commonly use; all others become
attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pyrec.errors import CatalogError
from pyrec.headings import Headings
from pyrec.rows import normalized, value_text
from pyrec.types import AttributeValue, Item

# The fields of an item, and the names of columns that hold them, the most telling first.
_NAMES = {
    "id": "id itemid productid sku asin isbn code 编号 商品编号 商品id 货号",
    "title": (
        "title name itemname itemtitle productname producttitle 标题 名称 品名 商品名称 商品标题"
    ),
    "text": (
        "text description desc longdescription shortdescription summary overview plot abstract "
        "描述 简介 商品描述 详情"
    ),
    "price": "price listprice saleprice unitprice itemprice 价格 售价 单价",
    "popularity": (
        "popularity sales ratingscount ratingcount numratings votes votecount reviewcount 销量 热度"
    ),
}
FIELDS = tuple(_NAMES)
_REQUIRED = ("id", "title")

_UNKNOWN = frozenset(["", "-", "--", "n/a", "na", "null", "none", "\\n"])
# A number with what people write around it, a currency before or after.
_AMOUNT = re.compile(r"[^\d+-]{0,8}([+-]?[\d., '\u2019\u00a0\u202f]*\d)[^\d]{0,8}")
# 1299, 12,50 and 1,299.50 or 1.299,50: what separates groups does not begin the fraction.
_PLAIN = re.compile(r"([+-]?\d+)(?:[.,](\d+))?")
_GROUPED = re.compile(r"([+-]?\d{1,3}(?:([.,])\d{3})(?:\2\d{3})*)(?:(?!\2)[.,](\d+))?")
_SEPARATORS = re.compile(r"\s*[|;]\s*")
_SEPARATORS_AND_COMMA = re.compile(r"\s*[|;]\s*|,\s+")
_ENTITY = re.compile(r"&#?\w+;")
_LONGEST_MEMBER = 64  # characters; longer parts are sentences, and their ";" is punctuation


class FieldMap:
    """Turns rows, given by column name, into items."""

    def __init__(
        self, columns: Mapping[str, str] | None = None, lists: Collection[str] = ()
    ) -> None:
        """Choose the columns.

        Args:
            columns: column by field of `FIELDS`; a field not named is guessed, one given as ""
                has no column.
            lists: columns whose text is a list even where only ", " separates its members.

        Raises:
            ValueError: a field that there is not.
        """
        self._headings = Headings(_NAMES, _REQUIRED, columns, id_field="id")
        self._lists = frozenset(lists)

    def resolve(self, names: Sequence[str]) -> dict[str, str]:
        """Return the column of each field that has one.

        Raises:
            CatalogError: a column that was asked for is not there, or none holds id or title.
        """
        return self._headings.resolve(names)

    def item(self, row: Mapping[str, Any]) -> Item:
        """Return the item of a row.

        Raises:
            CatalogError: no column holds the id or the title.
            ValueError: why the row is no item.
        """
        columns = self._headings.of(tuple(row))
        of_field = {field: row[name] for field, name in columns.items()}
        used = frozenset(columns.values())
        attributes: dict[str, AttributeValue] = {}
        for name, value in row.items():
            if name == "attributes" and isinstance(value, Mapping):
                for inner, held in value.items():
                    self._read_attribute(attributes, inner, held)
            elif name and name not in used:
                self._read_attribute(attributes, name, value)
        return normalized(
            Item(
                text_of("id", of_field["id"]),
                text_of("title", of_field["title"]),
                text_of("text", of_field.get("text")),
                amount_of("price", of_field.get("price")),
                amount_of("popularity", of_field.get("popularity")),
                attributes,
            )
        )

    def _read_attribute(self, into: dict[str, AttributeValue], name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for inner, held in value.items():
                self._read_attribute(into, f"{name}.{inner}", held)
        elif isinstance(value, str):
            into[name] = self._split(name, value.strip())
        elif isinstance(value, list):
            into[name] = tuple(_members(value))
        elif value is not None:
            into[name] = _scalar(value)

    def _split(self, name: str, text: str) -> str | tuple[str, ...]:
        """Return the members of a list that was written as text, or the text."""
        if text.startswith("[") and text.endswith("]"):
            try:
                return tuple(_members(json.loads(text)))
            except (ValueError, RecursionError):
                return text
        if name in self._lists:
            return tuple(_SEPARATORS_AND_COMMA.split(text))
        if ("|" in text or ";" in text) and not _ENTITY.search(text):
            parts = _SEPARATORS.split(text)
            if all(len(part) <= _LONGEST_MEMBER for part in parts):
                return tuple(parts)
        return text


def items_of(rows: Iterable[Item | Mapping[str, Any]]) -> Iterator[Item]:
    """Walk rows given in Python as items: items as they are, dictionaries by their keys' names.

    Raises:
        CatalogError: a row that is no item; `row` counts from 0, like the sequence it came from.
    """
    fields = FieldMap()
    for number, row in enumerate(rows):
        if isinstance(row, Item):
            yield row
        elif isinstance(row, Mapping):
            try:
                yield fields.item(row)
            except (ValueError, CatalogError) as error:
                raise CatalogError(f"row {number}: {error}; nothing was imported") from error
        else:
            raise TypeError(f"row {number} is {row!r}; give an Item or a dictionary")


def _members(values: list[Any]) -> list[str]:
    members: list[str] = []
    for value in values:
        if isinstance(value, list):
            members += _members(value)
        elif isinstance(value, dict):  # [{"id": 28, "name": "Action"}, ...]
            named = value.get("name", value.get("title"))
            members.append(json.dumps(value, ensure_ascii=False) if named is None else str(named))
        elif value is not None:
            members.append(value_text(_scalar(value)))
    return members


def _scalar(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        # A number longer than a float keeps is a code.
        return float(value) if abs(value) < 2**53 else str(value)
    return value


def text_of(field: str, value: Any) -> str:
    """Return a cell as text, without blanks around it; "" where it is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value_text(_scalar(value))
    raise ValueError(f"the {field} {str(value)[:80]} is no text")


def amount_of(field: str, value: Any) -> Any:
    """Return a number as it is, and read one from a text with currency and separators."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in _UNKNOWN:
        return None
    try:
        return float(text)
    except ValueError:
        if match := _AMOUNT.fullmatch(text):
            digits = re.sub(r"[^\d.,+-]", "", match[1])
            if grouped := _GROUPED.fullmatch(digits):
                whole = grouped[1].replace(grouped[2], "")
                return float(f"{whole}.{grouped[3] or 0}")
            if plain := _PLAIN.fullmatch(digits):
                return float(f"{plain[1]}.{plain[2] or 0}")
        raise ValueError(f"the {field} {text[:80]!r} is not a number") from None
