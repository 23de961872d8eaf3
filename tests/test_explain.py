"""Explanations: what moved an item, and that a sentence states nothing that is not known."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import ScriptedModels

from pyrec import Recommender
from pyrec.errors import UnknownItemError
from pyrec.prompts import Prompts
from pyrec.store import Store

SHOP = Path(__file__).parents[1] / "examples" / "shop.jsonl"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    rec = Recommender(Store.open(tmp_path_factory.mktemp("x") / "s.db"), ScriptedModels())
    rec.add_items(json.loads(row) for row in SHOP.read_text("utf-8").splitlines())
    for user, item, kind in (
        ("anna", "s001", "like"), ("anna", "s003", "like"), ("anna", "s020", "dislike"),
        ("bea", "s001", "purchase"), ("bea", "s002", "purchase"), ("cy", "s002", "click"),
    ):  # fmt: skip
        rec.feedback(user, item, kind)
    yield rec
    rec.close()


def test_a_question_s_words_are_a_reason(shop):
    found = shop.explain("s001", "running shoes")
    assert "running" in found.sentence.lower()
    assert found.reasons
    assert all(r.contribution > 0.0 for r in found.reasons)


def test_an_item_of_the_history_is_a_reason_and_never_the_item_itself(shop):
    found = shop.explain("s001", user="anna")
    title = shop.catalog.item("s003").title
    assert any(title in r.text for r in found.reasons)
    assert not any(shop.catalog.item("s001").title in r.text for r in found.reasons)


def test_the_sentence_follows_the_question_s_language(shop):
    assert "含有" in shop.explain("s002", "跑步鞋").sentence
    assert "it has the words" in shop.explain("s001", "running shoes").sentence
    assert "很多人" in shop.explain("s001", user="nobody", language="zh").sentence


def test_without_anything_known_it_says_so(store):
    rec = Recommender(store, ScriptedModels())
    rec.add_items([{"id": "a", "title": "Plain thing"}])
    assert rec.explain("a").sentence == "“Plain thing”: nothing that is known speaks for it."


def test_an_unknown_item_is_named(shop):
    with pytest.raises(UnknownItemError, match="s9999"):
        shop.explain("s9999", "shoes")


QUESTIONS = ["running shoes under 300", "跑步鞋", "耳机 三百以内", "gift", "", "not leather bag"]
ITEMS = [json.loads(row)["id"] for row in SHOP.read_text("utf-8").splitlines()]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    item=st.sampled_from(ITEMS),
    text=st.sampled_from(QUESTIONS),
    user=st.sampled_from([None, "anna", "bea", "cy", "nobody"]),
    language=st.sampled_from(["en", "zh"]),
)
def test_every_name_and_number_stands_in_the_item_the_history_or_the_question(
    shop, item, text, user, language
):
    found = shop.explain(item, text, user=user, language=language)
    past = [shop.catalog.item(e.item_id) for e in (shop.history(user) if user else [])]
    known = [text, str(user), *(_told(each) for each in [found.item, *past])]
    need = shop.need(text, user=user) if text else None
    known += [p.text for p in (*need.phrases, *need.avoid)] if need else []
    known += [str(f) for f in need.filters] if need else []
    counts = {str(n) for n in range(1, 4)}  # how many of the three users took it
    there = " ".join(known).casefold()
    there += " " + there.replace("'", "")  # women's is quoted as womens
    wording = Prompts().table(language, "sentences")
    ours = re.findall(r"\w+", " ".join(map(str, wording.values())).casefold())
    for word in re.findall(r"\w+", found.sentence.casefold()):
        # What the language's own templates say is grammar; all else must be known.
        assert word in ours or word in there or word in counts or _parts(word, ours, there), word


def _told(item):
    values = [item.title, item.text, str(item.popularity), f"{item.popularity or 0:g}"]
    return " ".join(values + [str(v) for v in item.attributes.values()])


def _parts(word, ours, there):
    """Tell whether a run without spaces is made of known pieces: template, then names."""
    rest = word
    for piece in sorted({*ours}, key=len, reverse=True):
        if len(piece) > 1 or not piece.isascii():
            rest = rest.replace(piece, " ")
    return all(part in there for part in rest.split())


def test_what_is_left_out_of_lists_is_told_with_its_condition(shop):
    found = shop.explain("s001", "running shoes under 100")
    assert "price<=100" in found.sentence
    assert found.reasons == ()
    assert "disliked" in shop.explain("s020", "shoes", user="anna").sentence
