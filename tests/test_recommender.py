import threading

import numpy as np
import pytest
from conftest import TOY_ITEMS

import pyrec
from pyrec.errors import (
    CatalogError,
    InvalidEventError,
    ModelFileError,
    ModelNotFoundError,
    UnknownItemError,
)


@pytest.fixture
def rec(tmp_path):
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as rec:
        rec.add_items(TOY_ITEMS)
        yield rec


def ids(slate):
    return [s.item_id for s in slate]


def test_a_question_finds_items_by_their_words(rec):
    slate = rec.recommend("running shoes", k=3)
    assert set(ids(slate)[:2]) == {"s1", "s2"}
    assert slate[0].title.endswith("Running Shoes")
    assert [s.score for s in slate] == sorted((s.score for s in slate), reverse=True)


def test_a_chinese_question_finds_chinese_items(rec):
    assert ids(rec.recommend("无线鼠标", k=1)) == ["t2"]


def test_a_price_in_the_question_is_a_bound(rec):
    slate = rec.recommend("running shoes under 100")
    assert "s1" in ids(slate)
    assert all(s.item.price is not None and s.item.price <= 100 for s in slate)


def test_conditions_hold_for_every_item(rec):
    slate = rec.recommend("shoes", where=["brand=Tarn", "price<=50"])
    assert ids(slate) == ["b1"]


def test_nothing_that_fits_is_an_empty_list_not_an_error(rec):
    assert len(rec.recommend("shoes", where=["price>100000"])) == 0


def test_what_was_liked_makes_the_next_list_personal_and_says_why(rec):
    rec.feedback("u", "s1", "like")
    slate = rec.recommend(user="u", k=3)
    assert ids(slate)[0] == "s2"
    assert any("Trail Running Shoes" in r.text for r in slate[0].reasons)


def test_seen_items_are_left_out_unless_asked_for(rec):
    rec.feedback("u", "s1", "click")
    assert "s1" not in ids(rec.recommend("running shoes", user="u"))
    assert "s1" in ids(rec.recommend("running shoes", user="u", include_seen=True))
    assert "s1" in ids(rec.recommend("running shoes"))


def test_impressions_and_skips_do_not_count_as_seen(rec):
    slate = rec.recommend("running shoes", user="u", k=3)
    slate.shown()
    rec.feedback("u", slate[0].item_id, "skip")
    assert slate[0].item_id in ids(rec.recommend("running shoes", user="u"))


def test_a_dislike_removes_the_item_even_where_seen_ones_are_asked_for(rec):
    slate = rec.recommend("running shoes", user="u")
    slate.dislike(0)
    assert slate[0].item_id not in ids(rec.recommend("running shoes", user="u"))
    again = rec.recommend("running shoes", user="u", include_seen=True)
    assert slate[0].item_id not in ids(again)


def test_a_skip_hides_nothing_and_a_later_dislike_hides_what_was_liked(rec):
    rec.feedback("u", "s1", "skip")
    assert "s1" in ids(rec.recommend("running shoes", user="u", include_seen=True))
    rec.feedback("u", "s1", "like")
    rec.feedback("u", "s1", "dislike")
    assert "s1" not in ids(rec.recommend("running shoes", user="u", include_seen=True))
    rec.feedback("u", "s1", "like")
    assert "s1" in ids(rec.recommend("running shoes", user="u", include_seen=True))


@pytest.mark.parametrize("generate", [True, "catalog"])
def test_asking_for_titles_without_a_text_model_is_said_in_the_path(rec, generate):
    slate = rec.recommend("running shoes", generate=generate)
    assert slate.path[-1] == "no titles generated: no text model"
    assert len(slate) > 0


def test_undo_takes_back_the_last_event_and_the_list_is_as_before(rec):
    before = rec.recommend("shoes", user="u")
    rec.feedback("u", "s1", "dislike")
    assert ids(rec.recommend("shoes", user="u")) != ids(before)
    undone = rec.undo("u")
    assert undone is not None
    assert (undone.item_id, undone.kind) == ("s1", "dislike")
    assert rec.recommend("shoes", user="u").suggestions == before.suggestions
    assert rec.undo("u") is None


def test_shown_logs_the_places(rec):
    slate = rec.recommend("running shoes", user="u", k=2)
    slate.shown()
    logged = rec.events.history("u")
    assert [(e.kind, e.item_id, e.value) for e in logged] == [
        ("impression", slate[0].item_id, 0.0),
        ("impression", slate[1].item_id, 1.0),
    ]
    assert rec.history("u") == []


def test_similar_items_leave_out_the_item_itself(rec):
    slate = rec.similar("s1", k=3)
    assert ids(slate)[0] == "s2"
    assert "s1" not in ids(slate)


def test_recommend_is_deterministic_and_writes_nothing(rec):
    def dump():
        return list(rec.store.db.conn.iterdump())

    before = dump()
    first = rec.recommend("running shoes", user="u")
    rec.similar("s1")
    rec.need("running shoes under 100")
    assert rec.recommend("running shoes", user="u").suggestions == first.suggestions
    assert dump() == before


def test_a_new_user_gets_what_is_popular(rec):
    slate = rec.recommend(user="nobody", k=2)
    assert ids(slate) == ["t1", "t2"]
    assert slate[0].reasons[0].signal == "popular_unasked"


def test_a_catalog_without_popularity_goes_by_what_users_took_where_words_fit_alike(tmp_path):
    with pyrec.open(tmp_path / "mugs.db", text_model=None, embedding_model=None) as rec:
        rec.add_items({"id": c, "title": f"Mug {c}"} for c in "abcdefgh")
        for n in range(19):
            rec.feedback(f"u{n}", "f", "purchase")
        assert ids(rec.recommend("mug", k=1)) == ["a"]  # too few users to say what people like
        rec.feedback("u19", "f", "purchase")
        slate = rec.recommend("mug", k=8)
        assert ids(slate)[0] == "f"
        assert "taken 20 times" in [reason.text for reason in slate[0].reasons]
        assert "popular" not in [reason.signal for reason in slate[1].reasons]
        numbers = {"c": 500, "f": 5}
        rec.add_items({"id": c, "title": f"Mug {c}", "popularity": n} for c, n in numbers.items())
        slate = rec.recommend("mug", k=8)
        assert ids(slate)[0] == "c"  # the catalog's own go first
        said = {s.item_id: [r.text for r in s.reasons if r.signal == "popular"] for s in slate}
        assert said["c"] == ["popularity 500"]
        assert said["a"] == []  # it counts as the middle one, which is no reason to name


def test_items_come_change_and_go_and_lists_follow(rec):
    rec.add_items([pyrec.Item("n1", "Carbon Racing Shoes")])
    assert ids(rec.recommend("carbon racing", k=1)) == ["n1"]
    rec.add_items([pyrec.Item("n1", "Wooden Spoon")])
    assert ids(rec.recommend("wooden spoon", k=1)) == ["n1"]
    rec.remove_items(["n1"])
    assert "n1" not in ids(rec.recommend("wooden spoon"))


def test_a_history_of_items_that_left_counts_nothing_and_is_no_error(rec):
    rec.feedback("u", "s1", "like")
    rec.remove_items(["s1"])
    assert len(rec.recommend(user="u")) > 0


def test_another_process_may_change_the_catalog(rec, tmp_path):
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as other:
        other.add_items([pyrec.Item("n1", "Carbon Racing Shoes")])
    assert ids(rec.recommend("carbon racing", k=1)) == ["n1"]


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_a_k_out_of_range_is_the_callers_slip(rec, k):
    with pytest.raises(ValueError, match=f"k is {k}"):
        rec.recommend("shoes", k=k)


def test_wrong_input_is_named_with_the_next_step(rec):
    with pytest.raises(UnknownItemError, match="nope"):
        rec.feedback("u", "nope", "like")
    with pytest.raises(UnknownItemError, match="nope"):
        rec.similar("nope")
    with pytest.raises(InvalidEventError, match="loves"):
        rec.feedback("u", "s1", "loves")
    with pytest.raises(CatalogError, match="colour"):
        rec.recommend("shoes", where=["colour=red"])
    with pytest.raises(CatalogError, match="not a condition"):
        rec.recommend("shoes", where=["cheap"])
    with pytest.raises(ValueError, match="generate"):
        rec.recommend("shoes", generate="all")


def test_a_slate_for_nobody_takes_no_feedback(rec):
    with pytest.raises(ValueError, match="no user"):
        rec.recommend("shoes").like(0)


def test_an_empty_catalog_gives_an_empty_list(tmp_path):
    with pyrec.open(tmp_path / "new.db", text_model=None, embedding_model=None) as rec:
        assert len(rec.recommend("anything")) == 0
        assert len(rec.recommend(user="u")) == 0
        assert list(rec.index()) == []


def test_a_model_that_was_named_and_is_missing_is_an_error_at_once(tmp_path):
    with pytest.raises(ModelNotFoundError, match="no model is called"):
        pyrec.open(tmp_path / "a.db", text_model="no-such-model")
    foreign = tmp_path / "foreign.gguf"
    foreign.write_bytes(b"not a model at all" * 100)
    with pytest.raises(ModelFileError, match="foreign"):
        pyrec.open(tmp_path / "a.db", text_model=foreign)


def test_a_model_that_was_never_set_up_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "none"))
    with pyrec.open(tmp_path / "a.db") as rec:
        rec.add_items(TOY_ITEMS)
        assert "no text model" in " ".join(rec.recommend("trail shoes").path)


@pytest.mark.parametrize("text", ["", " ", "\x00", "a" * 100_000, "运" * 50_000, "🎈🎈", '"; DROP'])
def test_any_query_gets_a_sensible_answer(rec, text):
    slate = rec.recommend(text, k=3)
    assert all(np.isfinite(s.score) for s in slate)


def test_threads_may_ask_and_tell_at_once(rec):
    failures = []

    def work(n):
        try:
            for turn in range(10):
                rec.recommend("running shoes", user=f"u{n}")
                rec.feedback(f"u{n}", TOY_ITEMS[n].item_id, "like")
                rec.add_items([pyrec.Item(f"x{n}-{turn}", f"New thing {n}")])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(rec.events.history("u0")) == 10


def test_events_survive_closing_and_opening(tmp_path):
    with pyrec.open(tmp_path / "a.db", text_model=None, embedding_model=None) as rec:
        rec.add_items(TOY_ITEMS)
        rec.feedback("u", "s1", "rating", 4.5)
    with pyrec.open(tmp_path / "a.db", text_model=None, embedding_model=None) as rec:
        assert [(e.kind, e.value) for e in rec.history("u")] == [("rating", 4.5)]
