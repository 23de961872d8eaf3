"""Recommendations by history: of a known user, of a visitor, and of those with next to none."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import TOY_ITEMS

import pyrec
from pyrec import linear_model, signals
from pyrec.signals.histories import Lately
from pyrec.types import Event


@pytest.fixture
def rec(tmp_path):
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as rec:
        rec.add_items(TOY_ITEMS)
        yield rec


@pytest.fixture
def crowded(rec):
    """Ten users who took a pan after a mouse, and cups after the pan."""
    rec.add_events(
        Event(f"u{n}", item_id, "purchase", at=100.0 * n + place + 1.0)
        for n in range(10)
        for place, item_id in enumerate(["t1", "k1", "k3"])
    )
    return rec


def ids(slate):
    return [s.item_id for s in slate]


def dump(rec):
    return list(rec.store.db.conn.iterdump())


def said(rec, name, question):
    """Return what a signal says of each item that it knows, by item id."""
    signal = next(s for s in signals.every() if s.name == name)
    pool = np.arange(question.index.n_items, dtype=np.int32)
    scores = signal.score(question, pool).tolist()
    items = rec.catalog.items(pool)
    return {i.item_id: s for i, s in zip(items, scores, strict=True) if s > 0.0}


def taken(rec, question):
    names = list(question.crowd.items)
    return [names[number] for number in question.taken.tolist()]


# Visitors


def test_a_visitor_s_history_counts_and_nothing_is_written(crowded):
    before = dump(crowded)
    slate = crowded.recommend(history=["s1"], k=3)
    assert ids(slate)[0] == "s2"
    assert "s1" not in ids(crowded.recommend(history=["s1"], k=12))
    assert "s1" in ids(crowded.recommend(history=["s1"], k=12, include_seen=True))
    assert dump(crowded) == before
    assert slate.user is None


def test_a_visitor_gets_what_a_user_with_the_same_history_gets(crowded):
    for item_id in ("s1", "k1"):
        crowded.feedback("u", item_id, "like")
    by_user = crowded.recommend(user="u")
    # The user's own events are in the crowd too: taken by one more, what they say is the same.
    assert ids(crowded.recommend(history=["s1", "k1"])) == ids(by_user)


def test_a_visitor_is_asked_about_by_what_others_took(crowded):
    question = crowded.question(history=["t1"])
    after = said(crowded, "after", question)
    assert list(after) == ["k1", "k3"]
    assert after["k1"] > after["k3"]
    assert said(crowded, "together", question).keys() == {"k1", "k3"}


def test_ids_that_the_catalog_does_not_hold_count_nothing(crowded):
    plain = crowded.recommend(history=["s1", "t1"])
    mixed = crowded.recommend(history=["no such", "s1", "nor this", "t1"])
    assert mixed.suggestions == plain.suggestions
    nobody = crowded.recommend(history=["no such"])
    assert nobody.suggestions == crowded.recommend().suggestions


def test_the_newest_of_a_visitor_s_history_weighs_most(crowded):
    shoes_last = crowded.question(history=["k1", "t3", "s1"])
    pan_last = crowded.question(history=["s1", "t3", "k1"])
    similar = [said(crowded, "content", q)["s2"] for q in (shoes_last, pan_last)]
    followed = [said(crowded, "after", q)["k3"] for q in (shoes_last, pan_last)]
    assert similar[0] > similar[1]
    assert followed[0] < followed[1]


def test_an_item_that_a_visitor_names_many_times_is_one_item(crowded):
    slate = crowded.recommend(history=["s1"] * 5000)
    assert ids(slate)[0] == "s2"
    assert all(np.isfinite(s.score) for s in slate)


def test_a_user_and_a_history_together_are_refused(rec):
    with pytest.raises(ValueError, match="not both"):
        rec.recommend(user="u", history=["s1"])


def test_a_string_is_no_history(rec):
    with pytest.raises(TypeError, match=r"'s1'.*list of item ids"):
        rec.recommend(history="s1")


# Returning users


def test_a_returning_user_gets_another_list_than_a_newcomer_without_what_was_taken(crowded):
    newcomer = crowded.recommend(user="nobody", k=12)
    crowded.feedback("u", "s1", "purchase")
    crowded.feedback("u", "k2", "click")
    returning = crowded.recommend(user="u", k=12)
    assert ids(returning)[:3] != ids(newcomer)[:3]
    assert {"s1", "k2"}.isdisjoint(ids(returning))
    assert {"s1", "k2"} <= set(ids(newcomer))


def test_a_reason_names_an_item_of_the_history(crowded):
    crowded.feedback("u", "s1", "like")
    for slate in (crowded.recommend(user="u", k=1), crowded.recommend(history=["s1"], k=1)):
        assert any("Trail Running Shoes" in reason.text for reason in slate[0].reasons)


@pytest.mark.parametrize("kinds", [["like", "dislike"], ["click", "dislike"], ["dislike"]])
def test_a_dislike_takes_the_item_off_and_what_followed_it_no_longer_counts(crowded, kinds):
    crowded.feedback("u", "s1", "like")
    crowded.feedback("u", "t1", "like")
    assert "k1" in said(crowded, "after", crowded.question(user="u"))
    crowded.undo("u")
    for kind in kinds:
        crowded.feedback("u", "t1", kind)
    question = crowded.question(user="u", include_seen=True)
    assert taken(crowded, question) == ["s1"]
    assert "k1" not in said(crowded, "after", question)
    assert "t1" not in ids(crowded.recommend(user="u", k=12, include_seen=True))


def test_a_dislike_does_not_make_what_was_liked_older(rec):
    rec.feedback("u", "s1", "like")
    before = rec.question(user="u").history[0].age
    rec.feedback("u", "k1", "dislike")
    past = {p.title: p.age for p in rec.question(user="u").history}
    assert past[rec.catalog.item("s1").title] == before == 0
    rec.feedback("u", "k3", "like")
    past = {p.title: p.age for p in rec.question(user="u").history}
    assert past[rec.catalog.item("s1").title] == 1


def test_another_process_s_training_counts_at_once(tmp_path):
    with pyrec.open(tmp_path / "s.db", text_model=None, embedding_model=None) as rec:
        before = rec.theta["after"]
        with pyrec.open(tmp_path / "s.db", text_model=None, embedding_model=None) as other:
            empty = linear_model.fit(np.zeros(1, np.int64), np.zeros(0, np.int32), 0)
            other.learned.keep({"recommend": {"after": [9.0, 0.0, 0.0, 0.0]}}, empty, [])
            assert before != [9.0, 0.0, 0.0, 0.0]
            assert rec.theta["after"] == [9.0, 0.0, 0.0, 0.0]
            other.learned.keep({}, empty, [])
            rec.use_theta({"after": [1.0]})  # chosen after that training, so it stays
            assert rec.theta == {"after": [1.0]}


def test_a_later_like_makes_up_for_a_dislike(crowded):
    for kind in ("like", "dislike", "like"):
        crowded.feedback("u", "t1", kind)
    question = crowded.question(user="u", include_seen=True)
    assert set(taken(crowded, question)) == {"t1"}
    assert "k1" in said(crowded, "after", question)


def test_a_low_rating_says_nothing_for_what_followed(crowded):
    crowded.feedback("u", "t1", "rating", 1.0)
    assert taken(crowded, crowded.question(user="u")) == []


@pytest.mark.parametrize("kind", ["like", "dislike", "click", "skip"])
def test_undo_restores_list_and_evidence_exactly(crowded, kind):
    crowded.feedback("u", "s1", "like")
    before = crowded.recommend(user="u", k=12)
    evidence = {n: said(crowded, n, crowded.question(user="u")) for n in ("after", "taken")}
    crowded.feedback("u", "t1", kind)
    crowded.recommend(user="u")
    crowded.undo("u")
    assert crowded.recommend(user="u", k=12).suggestions == before.suggestions
    assert evidence == {n: said(crowded, n, crowded.question(user="u")) for n in evidence}


def test_an_event_counts_in_the_next_question_also_of_another_process(crowded, tmp_path):
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as other:
        assert said(other, "after", other.question(user="u")) == {}
        crowded.feedback("u", "t1", "like")
        assert "k1" in said(other, "after", other.question(user="u"))
        crowded.undo("u")
        assert said(other, "after", other.question(user="u")) == {}


def test_of_a_very_long_history_the_newest_count(rec):
    rec.events.append_many(Event("u", TOY_ITEMS[n % 11].item_id, "click") for n in range(5000))
    question = rec.question(user="u")
    assert len(question.taken) == 2000
    assert question.ages[-1] == 0.0
    assert len(rec.recommend(user="u")) > 0


# Next to nothing


def finite(slate):
    return len(slate) > 0 and all(
        np.isfinite([s.score, *(reason.contribution for reason in s.reasons)]).all() for s in slate
    )


def test_a_store_of_three_users_with_an_event_each_answers(rec):
    for user, item_id in (("u", "s1"), ("v", "s1"), ("w", "k1")):
        rec.feedback(user, item_id, "like")
    for user in ("u", "v", "w", "nobody"):
        assert finite(rec.recommend(user=user))
        assert finite(rec.recommend("shoes", user=user))
    assert finite(rec.recommend(history=["k1"]))
    assert finite(rec.similar("k1"))


def test_events_of_items_that_the_catalog_never_held_change_no_list(rec):
    before = rec.recommend(user="u").suggestions
    rec.add_events([Event("u", "elsewhere", "like", at=5.0)])
    assert rec.recommend(user="u").suggestions == before


def test_items_without_a_title_are_recommended_by_what_users_took(tmp_path):
    with pyrec.open(tmp_path / "bare.db", text_model=None, embedding_model=None) as rec:
        rec.add_items(pyrec.Item(f"i{n}", "") for n in range(8))
        rec.add_events(
            Event(f"u{n}", f"i{(n + step) % 8}", "click", at=step + 1.0)
            for n in range(8)
            for step in range(3)
        )
        assert finite(rec.recommend(user="u0"))
        assert finite(rec.recommend(history=["i3"]))
        assert finite(rec.recommend(user="nobody"))
        assert list(said(rec, "after", rec.question(history=["i3"]))) == ["i4", "i5"]


def test_everything_taken_leaves_an_empty_list_not_an_error(rec):
    rec.events.append_many(Event("u", item.item_id, "click") for item in TOY_ITEMS)
    assert len(rec.recommend(user="u")) == 0
    assert finite(rec.recommend(user="u", include_seen=True))


def test_what_is_taken_lately_is_told_by_how_many_and_of_others_nothing(tmp_path):
    with pyrec.open(tmp_path / "s.db", text_model=None, embedding_model=None) as rec:
        rec.add_items({"id": item, "title": item} for item in ("old", "new", "never"))
        for user in range(25):
            for item in ("old", "new"):
                rec.feedback(f"u{user}", item, "purchase")
        question, signal = rec.question(history=["never"]), Lately()
        pool = rec.catalog.idxs(["old", "new", "never"]).astype(np.int32)
        scores = signal.score(question, pool)
        assert scores[1] > scores[0] > 0
        assert np.isnan(scores[2])
        said = [signal.why(question, int(row), rec.catalog.items([row])[0]) for row in pool]
        assert said == [
            "among the last things that 12 took",
            "among the last things that 25 took",
            "",
        ]
