"""Lists that were shown: what is logged, what a click on them teaches, what it was worth."""

from __future__ import annotations

import numpy as np
import pytest

import pyrec
from pyrec.errors import EventError
from pyrec.logged import evaluate_logged
from pyrec.mixer import Mixer
from pyrec.ranking import shares_of
from pyrec.shown import PLACE, Shown, shares_in_pool
from pyrec.tasks.diversity import diversify
from pyrec.tasks.explore import explore


@pytest.fixture
def rec(tmp_path):
    colors = ("red", "green", "blue", "black")
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as opened:
        opened.add_items(
            {"id": f"i{n}", "title": f"lamp {colors[n % 4]} w{n}", "color": colors[n % 4]}
            for n in range(24)
        )
        yield opened


def shown_by(rec):
    return list(rec.shown.walk())


def test_a_list_that_was_shown_is_kept_with_places_scores_and_the_step_that_made_it(rec):
    rec.feedback("u", "i0", "like")
    slate = rec.recommend("lamp", user="u", k=5)
    slate.shown()
    (found,) = shown_by(rec)
    assert found.items == tuple(s.item_id for s in slate)
    np.testing.assert_allclose(found.scores, [s.score for s in slate])
    assert (found.user_id, found.n_shown, found.words) == ("u", 5, True)
    assert (found.version, found.propensities) == (rec.steps.last, None)
    places = [e.value for e in rec.events.history("u", kinds=("impression",))]
    assert places == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_is_kept_of_a_list_gives_the_order_it_had(rec):
    rec.feedback("u", "i0", "like")
    slate = rec.recommend("red lamp", user="u", k=8)
    slate.shown()
    (found,) = shown_by(rec)
    mixer = rec.weights.ranker.mixer
    scores = found.x(shares_of(found.names, words=True)) @ Mixer(found.names, mixer.as_dict()).theta
    np.testing.assert_allclose(scores - scores[0], found.scores - found.scores[0], atol=1e-4)


def test_a_click_is_learned_against_what_was_shown_beside_it(rec):
    def margin():
        by_id = {s.item_id: s.score for s in rec.recommend("lamp red", user="u", k=24)}
        return by_id["i4"] - np.mean([by_id[i] for i in ("i1", "i2", "i3")])

    before = margin()
    for n in range(10):
        slate = rec.recommend("lamp red", user=f"v{n}", k=24)
        slate.shown()
        place = next(p for p, s in enumerate(slate) if s.item_id == "i4")
        slate.feedback(place, "click")
    assert margin() > before
    steps = rec.store.db.execute("SELECT slate_id FROM steps").fetchall()
    assert all(slate_id is not None for (slate_id,) in steps)


def test_a_second_click_is_not_learned_against_the_first(rec, monkeypatch):
    seen = []
    monkeypatch.setattr("pyrec.steps.learn", lambda choice, *_: seen.append(len(choice.x)))
    slate = rec.recommend("lamp", user="u", k=5)
    slate.shown()
    for place, kind in ((1, "click"), (3, "click"), (1, "like"), (1, "purchase")):
        slate.feedback(place, kind)
    # Of five, of the four that were left; what was taken already teaches nothing of the list.
    assert [n for n in seen if n != 2] == [5, 4]


def test_clicks_that_come_from_the_place_alone_are_put_down_to_the_place(rec):
    """Who always clicks what stands first teaches the place; who looks everywhere does not."""
    rng = np.random.default_rng(0)

    def place_weight(pick):
        for n in range(150):
            slate = rec.recommend("lamp", user=f"{pick}{n}", k=10, explore=1.0, rng=rng)
            slate.shown()
            slate.feedback(0 if pick == "first" else int(rng.integers(10)), "click")
        row = rec.store.db.execute(
            "SELECT value FROM weights WHERE name = ?", [f"{PLACE}:log"]
        ).fetchone()
        return row[0]

    first = place_weight("first")
    assert first > 1.0
    assert place_weight("any") < first


def test_what_was_shown_in_vain_sinks(rec):
    best = rec.recommend(user="u", k=24)
    rec.feedback("u", "i5", "like")
    slate = rec.recommend(user="u", k=3)
    for _ in range(10):
        slate.shown()
    now = [s.item_id for s in rec.recommend(user="u", k=24)]
    assert set(now[:3]).isdisjoint(s.item_id for s in slate)
    assert {s.item_id for s in best} - {"i5"} == set(now)  # none is gone


def test_a_skip_is_no_answer_to_what_was_shown_in_vain(rec):
    rec.feedback("u", "i5", "like")
    slate = rec.recommend(user="u", k=3)
    for _ in range(10):
        slate.shown()
    rec.feedback("u", slate[0].item_id, "skip")
    now = [s.item_id for s in rec.recommend(user="u", k=24)]
    assert slate[0].item_id not in now[:10]


def test_many_showings_leave_the_history_as_long_as_it_is(rec):
    rec.feedback("u", "i5", "like")
    slate = rec.recommend(user="u", k=10)
    before = [(r.signal, r.text) for r in rec.recommend(user="u")[0].reasons]
    assert before
    for _ in range(25):
        slate.shown()
    question = rec.question(user="u")
    assert [past.title for past in question.history] == [rec.catalog.item("i5").title]


def test_a_list_that_is_no_longer_kept_teaches_nothing_again(rec):
    rec.feedback("u", "i0", "like")
    rec.feedback("v", "i1", "like")
    slate = rec.recommend("lamp", user="u", k=5)
    slate.shown()
    rec.feedback("v", "i2", "like")
    slate.feedback(2, "click")
    rec.store.db.execute("DELETE FROM slates")
    rec.undo("v")
    steps = rec.store.db.execute("SELECT slate_id FROM steps").fetchall()
    assert (1,) not in steps


def test_a_click_does_not_make_the_text_model_be_asked(rec):
    slate = rec.recommend("lamp", user="u", k=5, generate="catalog")
    slate.shown()
    slate.feedback(1, "click")
    assert rec.weights.of_titles(forced=False) == 0.0


def test_shares_are_those_of_the_features():
    values = np.array([[4.0, 0.2, np.nan], [1.0, -1.0, 3.0]], np.float32)
    np.testing.assert_allclose(shares_in_pool(values), [[1, 0.2, 0], [0.25, 0, 1]])


def test_exploring_is_off_unless_asked_for_and_told_in_the_path(rec):
    rec.feedback("u", "i0", "like")
    plain = rec.recommend("lamp", user="u")
    assert list(rec.recommend("lamp", user="u")) == list(plain)
    explored = rec.recommend("lamp", user="u", explore=0.5, rng=np.random.default_rng(0))
    assert any("left to chance" in step for step in explored.path)
    again = rec.recommend("lamp", user="u", explore=0.5, rng=np.random.default_rng(0))
    assert [s.item_id for s in again] == [s.item_id for s in explored]


@pytest.mark.parametrize("name", ["explore", "diversity"])
@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), "all"])
def test_a_share_out_of_range_is_refused(rec, name, share):
    for ask in (rec.recommend, lambda *a, **o: rec.ask("recommend", *a, **o)):
        with pytest.raises(ValueError, match=f"{name} is {share!r}; give a share from 0 to 1"):
            ask("lamp", user="u", **{name: share})


def test_a_number_is_no_source_of_chance(rec):
    with pytest.raises(TypeError, match="rng is 0; give a numpy"):
        rec.recommend("lamp", user="u", explore=0.5, rng=0)


def test_a_list_longer_than_what_chance_chooses_from_is_kept_whole(rec):
    rec.add_items({"id": f"more{n}", "title": f"lamp {n}"} for n in range(80))
    rec.recommend("lamp", user="u", k=70, explore=0.5, rng=np.random.default_rng(0)).shown()
    (found,) = shown_by(rec)
    assert found.n_shown == len(found.items) == len(found.propensities) == len(found.scores) == 70
    assert rec.evaluate_logged().logged.mean == 0.0


def test_propensities_are_how_often_items_stand_where_they_stand():
    rng = np.random.default_rng(1)
    x = rng.random((5, 3)).astype(np.float32)
    theta, unsure = np.array([1.0, 0.5, 0.2]), np.full(3, 0.5)
    order = np.argsort(-(x @ theta))
    counts, told = np.zeros(5), []
    for _ in range(4000):
        found = explore(x[order], theta, unsure, 2, 0.4, rng)
        counts[found.order[0]] += 1
        told.append((found.order[0], found.propensities[0]))
        assert sorted(found.order) == list(range(5))
    for item in range(5):
        given = [p for i, p in told if i == item]
        if len(given) > 50:
            assert np.mean(given) == pytest.approx(counts[item] / 4000, abs=0.05)


def test_inverse_propensity_finds_what_another_policy_would_earn():
    """Two items, of which the second is taken four times as often; the log prefers the first."""
    rng = np.random.default_rng(2)
    lists, taken = [], []
    for _ in range(4000):
        second_first = rng.random() < 0.2
        items = ("b", "a") if second_first else ("a", "b")
        values = [[0.0, 1.0], [1.0, 0.0]] if second_first else [[1.0, 0.0], [0.0, 1.0]]
        p = 0.2 if second_first else 0.8
        lists.append(
            Shown(
                ("likes_a", "likes_b"),
                0.0,
                False,
                items,
                1,
                np.zeros(2, np.float32),
                np.array(values, np.float32),
                (p,),
            )
        )
        chance = 0.4 if items[0] == "b" else 0.1
        taken.append(frozenset(items[:1]) if rng.random() < chance else frozenset())
    for theta, earns in (({"likes_b": (1.0,)}, 0.4), ({"likes_a": (1.0,)}, 0.1)):
        found = evaluate_logged(lists, taken, Mixer(("likes_a", "likes_b"), theta), rng)
        assert found.expected.low <= earns <= found.expected.high
        assert found.logged.mean == pytest.approx(0.16, abs=0.03)
        assert (found.gain.low > 0.0) == (earns == 0.4)


def simple(items, propensities, values=None):
    n = len(items)
    shares = np.array(values or [[1.0 - i / 10] for i in range(n)], np.float32)
    return Shown(
        ("s",), 0.0, False, items, len(propensities), np.zeros(n, np.float32), shares, propensities
    )


def test_what_is_tied_does_not_make_every_list_agree():
    lists = [simple(items, (0.5,), [[1.0], [1.0]]) for items in (("a", "b"), ("b", "a")) * 20]
    taken = [frozenset("a") & frozenset(shown.items[:1]) for shown in lists]
    found = evaluate_logged(lists, taken, Mixer(("s",), {"s": (1.0,)}), np.random.default_rng(0))
    assert found.expected.mean == 1.0


def test_a_place_that_only_some_lists_have_counts_as_often_as_they_have_it():
    lists = [simple(("a",), (1.0,))] * 9 + [simple(("a", "b"), (1.0, 1.0))]
    taken = [frozenset()] * 9 + [frozenset("b")]
    found = evaluate_logged(lists, taken, Mixer(("s",), {"s": (1.0,)}), np.random.default_rng(0))
    assert found.expected.mean == pytest.approx(found.logged.mean) == pytest.approx(0.1)


def test_weights_that_no_list_agrees_with_are_not_judged():
    lists, taken = [simple(("a", "b"), (0.9, 0.9))] * 5, [frozenset("a")] * 5
    found = evaluate_logged(lists, taken, Mixer(("s",), {"s": (-1.0,)}), np.random.default_rng(0))
    assert np.isnan(found.expected.mean)
    assert np.isnan(found.gain.low)
    assert (found.logged.mean, found.n_effective) == (1.0, 0.0)


def test_what_explored_lists_earn_tells_what_the_greedy_ones_would():
    """Lists of three of five, made by `explore`, taken with chances of item and place alone."""
    rng = np.random.default_rng(4)
    theta = np.array([2.0, 1.0])
    lists, taken, greedy = [], [], []
    for _ in range(3000):
        x = np.zeros((5, 8), np.float32)
        x[:, [0, 4]] = rng.random((5, 2))
        chance = 0.5 * x[:, 4] ** 2
        order = np.argsort(-(x[:, [0, 4]] @ theta))
        x, chance = x[order], chance[order]
        weights, unsure = np.zeros(8), np.full(8, 1.0)
        weights[[0, 4]] = theta
        found = explore(x, weights, unsure, 3, 0.5, rng)
        shown = found.order[:3]
        looks = 1.0 / (1.0 + np.arange(3))
        clicked = rng.random(3) < chance[list(shown)] * looks
        items = tuple(f"i{n}" for n in found.order)
        shares = x[list(found.order)][:, [0, 4]]
        lists.append(
            Shown(
                ("a", "b"),
                0.0,
                False,
                items,
                3,
                np.zeros(5, np.float32),
                shares,
                found.propensities,
            )
        )
        taken.append(frozenset(item for item, was in zip(items, clicked, strict=False) if was))
        greedy.append(float((chance[:3] * looks).sum()))
    mixer = Mixer(("a", "b"), {"a": (2.0,), "b": (1.0,)})
    found = evaluate_logged(lists, taken, mixer, rng)
    assert found.expected.low <= np.mean(greedy) <= found.expected.high
    assert found.expected.high - found.expected.low < 0.1


def test_without_lists_left_to_chance_there_is_nothing_to_judge_by(rec):
    rec.recommend("lamp", user="u").shown()
    with pytest.raises(EventError, match="left to chance"):
        rec.evaluate_logged()


def test_clicks_on_explored_lists_are_what_the_weights_are_judged_by(rec):
    rng = np.random.default_rng(3)
    for n in range(40):
        slate = rec.recommend("lamp", user=f"u{n}", k=4, explore=0.5, rng=rng)
        slate.shown()
        red = [place for place, s in enumerate(slate) if s.item.attributes["color"] == "red"]
        if red:
            slate.feedback(red[0], "click")
    found = rec.evaluate_logged()
    assert found.n_lists == 40
    assert 0.0 < found.logged.mean <= 1.0
    assert found.expected.low <= found.expected.mean <= found.expected.high
    assert 0.0 < found.n_effective <= 160.0


def test_diversity_brings_up_what_is_unlike():
    logprob = np.array([0.0, -0.1, -0.2, -1.0], np.float32)
    alike = np.array([[1, 0.9, 0, 0], [0.9, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float32)
    assert diversify(logprob, alike, 0.0, 4) == [0, 1, 2, 3]
    assert diversify(logprob, alike, 0.5, 4)[:2] == [0, 2]
    assert diversify(logprob, alike, 1.0, 4)[3] == 1
    assert diversify(np.zeros(0, np.float32), np.zeros((0, 0), np.float32), 0.5, 3) == []


def test_a_diverse_list_has_more_colors(rec):
    for item in ("i0", "i4", "i8"):
        rec.feedback("u", item, "like")  # all red
    plain = [s.item.attributes["color"] for s in rec.recommend(user="u", k=4)]
    diverse = [s.item.attributes["color"] for s in rec.recommend(user="u", k=4, diversity=0.7)]
    assert len(set(diverse)) > len(set(plain))
