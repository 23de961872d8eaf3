"""The sample shop catalog that the demo searches in English and in Chinese."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[1] / "examples" / "shop.jsonl"
TEXT_FIELDS = ("id", "title", "category", "brand", "description", "color", "material")
FIELDS = {*TEXT_FIELDS, "price", "popularity"}
SPORTS_SHOES = ("Running Shoes", "运动鞋")
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in SHOP.read_text(encoding="utf-8").splitlines()]


def repeated(values):
    return [value for value, count in Counter(values).items() if count > 1]


def test_shop_is_small(rows):
    assert 280 <= len(rows) <= 330


def test_every_row_has_every_field(rows):
    for row in rows:
        assert set(row) == FIELDS, row["id"]
        for name in TEXT_FIELDS:
            assert isinstance(row[name], str), (row["id"], name)
            assert row[name].strip() == row[name] != "", (row["id"], name)


def test_ids_are_unique(rows):
    assert repeated(row["id"] for row in rows) == []


def test_no_title_or_description_appears_twice(rows):
    assert repeated(row["title"].casefold() for row in rows) == []
    assert repeated(row["description"] for row in rows) == []


def test_prices_are_positive_and_popularity_is_within_range(rows):
    for row in rows:
        assert isinstance(row["price"], int | float), row["id"]
        assert row["price"] > 0, row["id"]
        assert isinstance(row["popularity"], int), row["id"]
        assert 1 <= row["popularity"] <= 1000, row["id"]


def test_each_row_is_written_in_one_language_and_half_of_them_in_each(rows):
    for row in rows:
        texts = [row[name] for name in TEXT_FIELDS if name != "id"]
        assert len({bool(HAN.search(text)) for text in texts}) == 1, row["id"]
    chinese = sum(bool(HAN.search(row["title"])) for row in rows)
    assert 0.4 <= chinese / len(rows) <= 0.6


@pytest.mark.parametrize("category", SPORTS_SHOES)
def test_sports_shoes_lie_on_both_sides_of_300(rows, category):
    prices = [row["price"] for row in rows if row["category"] == category]
    assert len(prices) >= 6
    assert min(prices) < 300 < max(prices)


@pytest.mark.parametrize("material", ["leather", "真皮"])
def test_some_sports_shoes_are_leather(rows, material):
    assert any(row["material"] == material and row["category"] in SPORTS_SHOES for row in rows)
