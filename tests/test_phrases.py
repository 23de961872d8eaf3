import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec import phrases
from pyrec.stopwords import STOP_WORDS
from pyrec.text import SPACELESS, fold

DATA = Path(os.environ.get("PYREC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))

ADJECTIVES = ["Blue", "Light", "Soft", "Classic", "Tarn", "Kestrow", "Quick", "Warm"]
SHOP = [
    f"{maker} {color} {thing} for {who}, {n} pcs"
    for maker, color in zip(ADJECTIVES, ADJECTIVES[3:] + ADJECTIVES[:3], strict=True)
    for thing in ("Running Shoes", "Rain Jacket", "Water Bottle")
    for who in ("Men", "Women")
    for n in (2, 6)
]


def chinese_titles(n, seed=0):
    """Titles of a made-up shop: words of two and three characters between rare ones."""
    rng = random.Random(seed)
    words = ["运动鞋", "连衣裙", "背包", "键盘", "女装", "男装", "女鞋", "男鞋", "新款", "包邮"]
    rare = [chr(c) for c in range(0x5400, 0x5700)]
    titles = []
    for _ in range(n):
        parts = rng.sample(words, 3) + ["".join(rng.sample(rare, 2)) for _ in range(2)]
        rng.shuffle(parts)
        titles.append("".join(parts))
    return words, titles


def test_what_titles_share_is_found_and_things_come_before_their_qualities():
    found = phrases.mine(SHOP)
    assert {"Running Shoes", "Rain Jacket", "Water Bottle"} <= set(found[:8])
    assert {"Men", "Women"} <= set(found)


def test_a_word_that_lives_in_one_phrase_is_left_to_the_phrase():
    assert not {"Running", "Rain", "Bottle"} & set(phrases.mine(SHOP))


def test_numbers_units_codes_and_stop_words_make_no_phrase():
    titles = [f"Pack of 12 pcs, model AX{n}-4455X{n} and the Lamp" for n in range(20)]
    found = [phrase.lower() for phrase in phrases.mine(titles)]
    assert "lamp" in found
    for phrase in found:
        ends = {phrase.split()[0], phrase.split()[-1]}
        assert not ends & STOP_WORDS["en"]
        assert not ends & {"12", "pcs"}
        assert "4455" not in phrase


def test_words_of_one_stem_are_one_phrase_in_its_most_frequent_form():
    titles = ["Red shoe", "Old Shoes", "New Shoes", "Big Shoes", "SHOES here"]
    assert [p for p in phrases.mine(titles) if "shoe" in p.lower()] == ["Shoes"]


def test_chinese_words_are_found_and_pieces_of_them_are_not():
    words, titles = chinese_titles(600)
    found = phrases.mine(titles)
    assert set(words) <= set(found)
    assert not {"动鞋", "运动", "衣裙", "连衣", "装女", "鞋男"} & set(found)
    assert set(found[: len(words)]) == set(words)


def test_a_latin_letter_may_begin_a_chinese_word():
    words, titles = chinese_titles(300)
    found = phrases.mine([title.replace("键盘", "T恤") for title in titles])
    assert {*words, "T恤"} - set(found) == {"键盘"}


def test_a_number_is_no_part_of_a_chinese_word():
    _, titles = chinese_titles(300)
    found = phrases.mine([f"2017{title}60粒" for title in titles])
    assert found
    assert not any(character.isdigit() for phrase in found for character in phrase)


def test_a_catalog_in_two_scripts_gives_phrases_in_both():
    words, titles = chinese_titles(300)
    found = phrases.mine(titles + SHOP)
    assert set(words) <= set(found)
    assert "Running Shoes" in found


def test_at_most_so_many_phrases_and_the_most_useful_ones():
    assert phrases.mine(SHOP, max_phrases=3) == phrases.mine(SHOP)[:3]
    assert phrases.mine(SHOP, max_phrases=0) == []


@pytest.mark.parametrize("titles", [[], [""], ["One title only"], ["!!!", "\x00", "123"], ["鞋"]])
def test_a_handful_of_titles_has_no_phrases(titles):
    assert phrases.mine(titles) == []


@given(st.lists(st.text(alphabet=st.characters(), max_size=30), max_size=12))
def test_any_strings_are_fine_and_no_phrase_comes_twice(titles):
    found = phrases.mine(titles * 3)
    assert len({fold(phrase) for phrase in found}) == len(found)
    assert all(phrase.strip() == phrase != "" for phrase in found)


def test_the_same_titles_give_the_same_phrases_and_may_come_from_a_generator():
    _, titles = chinese_titles(200)
    assert phrases.mine(title for title in titles) == phrases.mine(titles)


def test_of_many_titles_a_sample_drawn_from_all_of_them_is_read(monkeypatch):
    monkeypatch.setattr(phrases, "MAX_TITLES", 50)
    sample = phrases._sample(str(n) for n in range(1000))
    assert len(sample) == 50
    assert sample == phrases._sample(str(n) for n in range(1000))
    quarters = Counter(int(title) // 250 for title in sample)
    assert min(quarters.values()) >= 5


def test_a_long_title_is_cut():
    (kept,) = phrases._sample(["词" * 100_000])
    assert len(kept) == phrases.MAX_CHARACTERS


@pytest.mark.data
def test_chinese_titles_give_their_annotated_categories():
    file = DATA / "zh-shop" / "items.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is missing; PYREC_DATA names the folder of the benchmark data")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    counts = Counter(row["category"] for row in rows if row["category"])
    categories = {category for category, n in counts.items() if n >= 5}
    found = [fold(phrase) for phrase in phrases.mine(row["title"] for row in rows)]
    assert len(categories & set(found)) >= 0.95 * len(categories)
    assert len(categories & set(found[:1500])) >= 0.82 * len(categories)
    assert all(len(p) >= 2 for p in found if set(p) <= set(SPACELESS))
