"""Titles of the catalog, asked by their halves."""

import pytest

import pyrec
from pyrec import Item, signals
from pyrec.asked_titles import ask_titles, first_half


@pytest.mark.parametrize(
    ("title", "half"),
    [
        ("Trail Running Shoes", "Trail Running"),
        ("Nike® running shoes for men", "Nike® running shoes"),
        ("Красные кроссовки для бега", "Красные кроссовки"),
        ("Кроссовки", "Кроссовки"),
        ("运动鞋男款轻便透气", "运动鞋男款"),
        ("女士跑步鞋 减震", "女士跑步鞋"),
        ("  ", ""),
    ],
)
def test_half_of_a_title_ends_where_a_word_does(title, half):
    assert first_half(title) == half


@pytest.fixture
def rec(tmp_path):
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as rec:
        yield rec


def asked(rec, n, progress=lambda share: None):
    return ask_titles(rec.catalog, rec.questions, signals.every(), n, 0, progress)


def test_each_title_is_a_question_with_one_answer(rec):
    rec.add_items(
        Item(f"i{n}", f"{w} lamp of wood") for n, w in enumerate(("red", "blue", "green"))
    )
    shares = []
    found = asked(rec, 3, shares.append)
    assert len(found) == 3
    for each in found:
        assert each.values.shape == (len(each.target), len(each.names))
        assert each.target.sum() == 1
        share = each.values[:, each.names.index("title_share")]
        assert share.argmax() == each.target.argmax()
    assert shares == sorted(shares)


def test_nothing_is_asked_of_an_empty_catalog_nor_of_titles_without_words(rec):
    assert asked(rec, 5) == []
    rec.add_items([Item("a", ""), Item("b", "!?"), Item("c", "lamp")])
    assert len(asked(rec, 5)) == 1


def test_an_item_that_another_process_removes_meanwhile_is_left_out(rec, monkeypatch):
    rec.add_items([Item("a", "red lamp"), Item("b", "blue chair")])
    live = rec.catalog.live
    before = live().copy()
    rec.remove_items(["a"])
    answers = [before]  # what it read just before; whoever asks later sees it gone
    monkeypatch.setattr(rec.catalog, "live", lambda: answers.pop() if answers else live())
    assert len(asked(rec, 2)) == 1
