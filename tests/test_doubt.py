"""Questions whose words no item says: by meaning, where there is an embedding model."""

from __future__ import annotations

import pytest
from model_samples import real_model

import pyrec
from pyrec.signals.lexical import in_doubt

TITLES = ("Leather hiking boots", "Trail running shoes", "Steel frying pan", "Wireless mouse")


@pytest.mark.model
def test_meaning_finds_what_no_word_says_and_is_not_asked_beside_words(tmp_path):
    model = str(real_model("multilingual-e5-small"))
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=model) as rec:
        rec.add_items({"id": title, "title": title} for title in TITLES)
        assert list(rec.index())
        slate = rec.recommend("运动鞋")
        assert slate[0].item_id == "Trail running shoes"
        assert slate[0].reasons[0].signal == "dense"
        assert any("no item says half" in step for step in slate.path)
        question = rec.question("running shoes")
        assert not in_doubt(question)
        assert question.vector is None
        assert not any("no item says half" in step for step in rec.recommend("running").path)


def test_a_question_is_in_doubt_where_no_item_says_half_of_its_words(tmp_path):
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as rec:
        rec.add_items({"id": title, "title": title} for title in TITLES)
        assert in_doubt(rec.question("flying umbrella"))
        assert not in_doubt(rec.question("steel pan"))
        assert not in_doubt(rec.question(history=[TITLES[0]]))
