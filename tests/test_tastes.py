"""Likes, dislikes and corrections of attribute values: what they say, and that they can go."""

import pytest
from scripted import ScriptedModels

from pyrec import Recommender
from pyrec.errors import CatalogError


@pytest.fixture
def shop(store):
    rec = Recommender(store, ScriptedModels())
    rec.add_items(
        {
            "id": f"{material}-{kind}-{n}",
            "title": f"{material} {kind} {n}",
            "category": kind,
            "material": material,
            "popularity": 10 + n,
        }
        for kind in ("shoes", "wallet", "belt")
        for material in ("leather", "canvas", "mesh")
        for n in range(4)
    )
    return rec


def dislike_leather(rec, user="u"):
    for item in ("leather-shoes-0", "leather-wallet-1", "leather-belt-2"):
        rec.feedback(user, item, "dislike")


def test_after_three_dislikes_of_leather_a_question_for_shoes_means_not_leather(shop):
    assert shop.need("shoes", user="u").avoid == ()
    dislike_leather(shop)
    (avoided,) = shop.need("shoes", user="u").avoid
    assert (avoided.column, avoided.text) == ("material", "leather")
    assert 0.5 < avoided.probability < 1.0
    best = [s.item.attributes["material"] for s in shop.recommend("shoes", user="u", k=8)]
    assert "leather" not in best
    assert shop.need("shoes").avoid == (), "of nobody nothing is known"


def test_it_is_gone_after_undo(shop):
    dislike_leather(shop)
    shop.undo("u")
    assert shop.need("shoes", user="u").avoid == ()


def test_what_is_asked_for_is_not_avoided(shop):
    dislike_leather(shop)
    assert shop.need("leather shoes", user="u").avoid == ()


def test_of_values_that_the_same_items_share_the_rarest_is_to_blame(shop):
    shop.add_items(
        {"id": f"x{n}", "title": f"snake {n}", "category": "shoes", "material": "snake"}
        for n in range(3)
    )
    for n in range(3):
        shop.feedback("u", f"x{n}", "dislike")
    assert [p.text for p in shop.need("something", user="u").avoid] == ["snake"]


@pytest.mark.parametrize(
    ("text", "likes"),
    [
        ("I don't like leather", False),
        ("no leather please", False),
        ("material!=leather", False),
        ("I like leather", True),
        ("material=leather", True),
    ],
)
def test_a_correction_in_words_counts_at_once(shop, text, likes):
    (said,) = shop.correct("u", text)
    assert (said.column, said.value, said.likes) == ("material", "leather", likes)
    best = [s.item.attributes["material"] for s in shop.recommend("shoes", user="u", k=4)]
    assert (best == ["leather"] * 4) if likes else ("leather" not in best)


def test_a_correction_outweighs_events_and_can_be_taken_back(shop):
    dislike_leather(shop)
    shop.correct("u", "I like leather")
    assert shop.need("shoes", user="u").avoid == ()
    assert shop.take_back("u", "material", "leather")
    assert not shop.take_back("u", "material", "leather")
    assert [p.text for p in shop.need("shoes", user="u").avoid] == ["leather"]


@pytest.mark.parametrize(
    "text", ["", "   ", "I don't like this", "material!=unobtainium", "price<3"]
)
def test_a_correction_that_names_nothing_is_refused_with_a_way_out(shop, text):
    with pytest.raises(CatalogError, match="write it like"):
        shop.correct("u", text)
    assert shop.profile("u").interests == ()


def test_corrections_are_kept_in_the_file(shop, store):
    shop.correct("u", "I don't like leather")
    again = Recommender(store, ScriptedModels())
    assert [p.text for p in again.need("shoes", user="u").avoid] == ["leather"]


def test_a_profile_names_values_with_their_events(shop):
    for item in ("mesh-shoes-0", "mesh-belt-1", "canvas-belt-0"):
        shop.feedback("u", item, "like")
    dislike_leather(shop)
    profile = shop.profile("u")
    best = {i.column: i for i in reversed(profile.interests)}
    assert best["material"].value == "mesh"
    assert set(best["material"].evidence) == {"mesh-shoes-0", "mesh-belt-1"}
    assert [d.value for d in profile.dislikes] == ["leather"]
    for column in ("material", "category"):
        assert sum(i.probability for i in profile.interests if i.column == column) <= 1.0001
    assert "mesh" in profile.sentence
    assert "leather" in profile.sentence
    assert "喜欢" in shop.profile("u", language="zh").sentence


def test_recent_likes_count_more_in_what_is_recent(shop):
    for n in range(4):
        shop.feedback("u", f"canvas-belt-{n}", "like")
    for n in range(3):
        shop.feedback("u", f"mesh-shoes-{n}", "like")
    of = {i.value: i for i in shop.profile("u").interests if i.column == "material"}
    assert of["canvas"].lasting > of["mesh"].lasting
    assert of["mesh"].recent > of["canvas"].recent


def test_of_a_newcomer_a_profile_says_that_nothing_is_known(shop):
    profile = shop.profile("nobody")
    assert profile.interests == profile.dislikes == ()
    assert profile.sentence == "Nothing is known of nobody yet."


def test_a_correction_stands_first_in_the_profile_and_says_so(shop):
    shop.feedback("u", "mesh-shoes-0", "like")
    shop.correct("u", "material=canvas")
    first = next(i for i in shop.profile("u").interests if i.column == "material")
    assert (first.value, first.said) == ("canvas", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I like leather but not mesh", {("leather", True), ("mesh", False)}),
        ("I love canvas, hate mesh", {("canvas", True), ("mesh", False)}),
        ("I like leather and mesh", {("leather", True), ("mesh", True)}),
        ("I'm tired of leather", {("leather", False)}),
        ("我讨厌leather", {("leather", False)}),
        ("我喜欢canvas，不喜欢mesh", {("canvas", True), ("mesh", False)}),
        ("avoid mesh", {("mesh", False)}),
    ],
)
def test_each_part_of_a_correction_counts_with_its_own_sign(shop, text, said):
    assert {(each.value, each.likes) for each in shop.correct("u", text)} == said


@pytest.mark.parametrize(
    "text",
    ["leather is awful", "I would not say I hate leather", "leather", "I like leather and fun"],
)
def test_what_is_not_understood_is_refused_and_never_turned_around(shop, text):
    with pytest.raises(CatalogError):
        shop.correct("u", text)
    assert shop.said.of("u") == []


def test_a_long_text_keeps_what_is_disliked_away(shop):
    shop.correct("u", "I don't like leather")
    long = "shoes " + "that I can wear every day of the year " * 20
    best = [s.item.attributes["material"] for s in shop.recommend(long, user="u", k=8)]
    assert "leather" not in best


@pytest.mark.parametrize(("low", "high"), [(2, 9), (20, 95)])
def test_ratings_on_other_scales_are_read_as_they_are_meant(shop, low, high):
    for item in ("leather-shoes-0", "leather-wallet-1", "leather-belt-2"):
        shop.feedback("u", item, "rating", low)
    for item in ("mesh-shoes-0", "mesh-belt-1"):
        shop.feedback("u", item, "rating", high)
    profile = shop.profile("u")
    assert [d.value for d in profile.dislikes] == ["leather"]
    assert next(i for i in profile.interests if i.column == "material").value == "mesh"


def test_phrases_of_titles_are_interests_where_there_are_no_attributes(store):
    rec = Recommender(store, ScriptedModels())
    rec.add_items(
        {"id": f"{kind}{n}", "title": f"{kind} story number {n}"}
        for kind in ("haunted house", "desert island")
        for n in range(20)
    )
    for n in range(5):
        rec.feedback("u", f"haunted house{n}", "like")
    assert "haunted" in [i.value.lower() for i in rec.profile("u").interests][:3]
    rec.correct("u", "I don't like island")
    assert all("haunted" in s.title for s in rec.recommend("story", user="u", k=10))


def test_what_the_user_said_they_like_is_visible_in_the_need(shop):
    shop.correct("u", "I like canvas")
    (wanted,) = shop.need("shoes", user="u").want
    assert (wanted.column, wanted.text) == ("material", "canvas")
    assert shop.need("shoes").want == ()
