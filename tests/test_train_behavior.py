"""The behavior model of a store: trained, proven, kept and continued."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from walks import CONFIG, N_ITEMS, by_behavior_alone, ids, items, opened, walks

import pyrec
from pyrec.asking import is_judge, unknown_to
from pyrec.behavior.config import BehaviorConfig
from pyrec.cli import main
from pyrec.deep import DeepState
from pyrec.doctor import examine
from pyrec.evaluate import EvaluateConfig
from pyrec.replay import read_log
from pyrec.telling import tell
from pyrec.train_config import TrainConfig
from pyrec.types import Event, Item

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # with two, small steps wait for each other on a busy machine
pytestmark = pytest.mark.model


@pytest.fixture
def path(trained_path):
    return trained_path


@pytest.fixture
def rec(path):
    with opened(path) as rec:
        yield rec


# What it learns


def test_training_says_what_it_did_and_its_files_go_away(trained):
    path, report = trained
    assert report.used
    found = report.behavior
    assert found.used
    assert found.why == ""
    assert found.n_items == N_ITEMS
    assert found.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found.after > 0.5
    assert np.isnan(found.before)
    assert 0 < found.n_bytes < 1_000_000
    assert [p.name for p in path.parent.iterdir() if "behavior" in p.name] == []


def test_what_follows_is_recommended_and_by_what_it_says(rec):
    assert any(rec.theta["behavior"])
    by_behavior_alone(rec)
    for start in range(0, N_ITEMS, 5):
        history = [f"i{(start + k) % N_ITEMS}" for k in range(3)]
        slate = rec.recommend(history=history)
        assert f"i{(start + 3) % N_ITEMS}" in ids(slate)[:2]
        assert slate[0].reasons[0].signal == "behavior"
        assert slate[0].reasons[0].text in {item.title for item in items()}
        assert set(ids(slate)).isdisjoint(history)


def test_an_event_counts_at_once(rec):
    by_behavior_alone(rec)
    for k in range(3):
        rec.feedback("new", f"i{10 + k}", "purchase")
        assert f"i{11 + k}" in ids(rec.recommend(user="new"))[:2]
    rec.undo("new")
    assert "i12" in ids(rec.recommend(user="new"))[:2]


def test_a_new_item_gets_a_row_from_its_words_and_nothing_is_trained(rec):
    by_behavior_alone(rec)
    rec.recommend(history=["i0", "i1"])
    rec.add_items([Item("new", "green thing of shelf1"), Item("odd", "xyzzy")])
    found = ids(rec.recommend(history=["i6"], k=N_ITEMS))
    assert "new" in found
    assert "odd" not in found  # nothing is known of it
    assert ids(rec.recommend(history=["i6", "new"]))


def test_an_item_that_was_removed_is_not_recommended_but_still_read(rec):
    by_behavior_alone(rec)
    rec.remove_items(["i3"])
    assert "i3" not in ids(rec.recommend(history=["i0", "i1", "i2"], k=N_ITEMS))
    rec.add_events([Event("v", f"i{k}", "purchase", None, 5e6 + k) for k in (1, 2, 3)])
    assert "i4" in ids(rec.recommend(user="v"))[:2]


def test_a_slate_is_a_sequence_each_item_after_those_before_it(rec):
    by_behavior_alone(rec)
    slate = rec.recommend(history=["i3", "i4"], generate="slate", k=6)
    walked = [int(i[1:]) for i in ids(slate)]
    steps = np.diff([4, *walked])
    assert (steps == 1).mean() > 0.7
    assert len(set(walked)) == 6
    assert "list by beam, each item after those before it" in slate.path
    told = rec.recommend(generate="slate").path
    assert "no list generated: no behavior model that counts and knows this history" in told


def test_in_a_slate_a_network_reads_the_model_anew_after_each_item(rec, monkeypatch):
    inner = np.array([[0.0], [1.0], [0.0], [0.0]], np.float32)  # the logarithm of its score
    one = np.ones(1, np.float32)
    network = DeepState(("behavior",), inner, np.zeros(1, np.float32), one)
    monkeypatch.setattr("pyrec.learned.Learned.deep", lambda self: network)
    rec.use_theta({"behavior": [0.0, 1e-6], "deep": [0.0, 3.0]})
    walked = [int(i[1:]) for i in ids(rec.recommend(history=["i3", "i4"], generate="slate", k=6))]
    assert (np.diff([4, *walked]) == 1).mean() > 0.7


def test_recommending_writes_nothing_and_answers_the_same_twice(rec):
    rec.recommend(history=["i3"])
    before = rec.store.db.conn.total_changes
    one = rec.recommend(history=["i3", "i4"], generate="slate")
    two = rec.recommend(history=["i3", "i4"], generate="slate")
    assert ids(one) == ids(two)
    assert [s.score for s in one] == [s.score for s in two]
    assert rec.store.db.conn.total_changes == before


def test_actions_are_read_where_they_differ(tmp_path):
    rng = np.random.default_rng(0)
    with opened(tmp_path / "rated.db") as rec:
        rec.add_items(items())
        log = []
        for event in walks([f"u{n}" for n in range(200)], rng):
            value = 5.0 if rng.random() < 0.8 else 1.0
            log.append(Event(event.user_id, event.item_id, "rating", value, event.at))
        rec.add_events(log)
        rec.train(behavior=True, config=CONFIG)
        state = rec.learned.behavior()
        assert state.actions == ("rating 5", "rating 1")
        by_behavior_alone(rec)
        rec.feedback("v", "i4", "rating", 4.0)  # a value that nobody gave: read as the nearest
        assert "i5" in ids(rec.recommend(user="v"))[:3]
        rec.feedback("v", "i5", "like")  # a kind that nobody used
        assert "i6" in ids(rec.recommend(user="v"))[:3]


# Training again


def test_an_update_learns_what_came_since(rec):
    rec.add_items([Item("late", "")])
    walk = ["i20", "late", "i5"]
    rec.add_events(
        Event(f"w{n}", item, "purchase", None, 9e6 + 10 * n + k)
        for n in range(80)
        for k, item in enumerate(walk)
    )
    assert "late" not in ids(by_behavior_alone(rec).recommend(history=["i20"], k=N_ITEMS))
    report = rec.train(behavior="update", config=CONFIG)
    assert report.behavior.used
    assert report.behavior.n_items == N_ITEMS + 1
    assert report.behavior.after >= report.behavior.before
    by_behavior_alone(rec)
    assert "late" in ids(rec.recommend(history=["i20"]))[:5]
    assert ids(rec.recommend(history=["i20", "late"]))[0] == "i5"
    assert "i11" in ids(rec.recommend(history=["i9", "i10"]))[:3]  # what it knew


def test_an_update_of_users_with_one_event_ends_and_says_so(rec):
    rec.feedback("visitor", "i3", "click")
    report = rec.train(behavior="update", config=CONFIG)
    assert report.behavior.why == "nothing came since it was trained"


def test_an_update_of_a_few_events_forgets_nothing(rec):
    for k in (4, 20):
        rec.feedback("visitor", f"i{k}", "click")
    report = rec.train(behavior="update", config=CONFIG)
    assert report.behavior.after > 0.9
    by_behavior_alone(rec)
    for start in (0, 10, 20):
        assert (
            f"i{start + 3}" in ids(rec.recommend(history=[f"i{start + k}" for k in range(3)]))[:2]
        )


def test_an_update_keeps_the_recipe_of_the_model(rec):
    for n in range(2):
        rec.add_events(walks([f"w{n}{k}" for k in range(30)], np.random.default_rng(n), at=8e6 + n))
        rec.train(behavior="update", config=TrainConfig())  # whose width is another
        assert rec.learned.behavior().config == CONFIG.behavior


def test_nobody_who_judges_is_nobody_who_agrees(rec, monkeypatch):
    rec.add_events(walks([f"w{n}" for n in range(30)], np.random.default_rng(8), at=8e6))
    monkeypatch.setattr("pyrec.train_behavior.BehaviorTraining._judge", lambda *_: np.nan)
    report = rec.train(behavior="update", config=CONFIG)
    assert not report.behavior.used
    assert report.behavior.why == "nobody could judge it"


def test_what_training_kept_back_is_known_later_whatever_else_comes(rec):
    state = rec.learned.behavior()
    log = read_log(rec.events)
    kept = set(state.kept_back.tolist())
    assert 20 < len(kept) < 60
    rec.add_events(
        Event("u1", f"i{n % N_ITEMS}", "click", None, 9e6 + n) for n in range(500)
    )  # long now, and no judge's last event is the one that was hidden
    unknown = unknown_to(state, read_log(rec.events))
    assert unknown.sum() == len(kept) + 500
    assert kept == set(log.event_id[unknown_to(state, log)].tolist())


def test_judges_are_drawn_evenly_whatever_the_names_are():
    for pattern in ("u{}", "{}", "user{:05d}", "{:08x}", "顾客{}"):
        names = [pattern.format(n) for n in range(10_000)]
        judges = [name for name in names if is_judge(name, 0.2)]
        assert 0.18 < len(judges) / 10_000 < 0.22
        among = [name for name in judges if is_judge(name, 0.2, "among those")]
        assert 0.15 < len(among) / len(judges) < 0.25


def test_an_update_without_anything_new_or_to_go_on_from_says_so(rec, tmp_path):
    before = rec.learned.behavior()
    report = rec.train(behavior="update", config=CONFIG)
    assert not report.behavior.used
    assert report.behavior.why == "nothing came since it was trained"
    assert rec.learned.behavior().body == before.body
    with opened(tmp_path / "fresh.db") as fresh:
        fresh.add_items(items())
        fresh.add_events(walks([f"u{n}" for n in range(100)], np.random.default_rng(1)))
        why = fresh.train(behavior="update", config=CONFIG).behavior.why
        assert why == "there is none to go on from; train one first"


def test_a_new_model_that_judges_find_worse_is_not_used(rec):
    before = rec.learned.behavior()
    worse = TrainConfig(behavior=BehaviorConfig(width=32, epochs=1, min_steps=1, batch_events=9999))
    report = rec.train(behavior=True, config=worse)
    assert not report.behavior.used
    assert report.behavior.after < report.behavior.before
    assert "worse" in report.behavior.why
    assert rec.learned.behavior().body == before.body
    assert not report.used  # nor the weights that were fitted beside it


def test_plain_training_leaves_it_and_asks_only_those_whose_answers_it_does_not_know(rec):
    before = rec.learned.behavior()
    few = rec.train(config=CONFIG)
    assert not few.used
    assert "too few users whose answers the behavior model knows not" in few.why
    rec.add_events(walks([f"v{n}" for n in range(300)], np.random.default_rng(4), at=2e6))
    report = rec.train(config=CONFIG)
    assert report.used
    assert report.behavior is None
    assert 300 < report.n_users < 360  # all who are new, and about a fifth of 200
    assert rec.learned.behavior().body == before.body
    assert any(rec.theta["behavior"])


def test_evaluation_asks_those_whose_answers_it_does_not_know(rec):
    found = rec.evaluate(EvaluateConfig(split="last"))
    assert 20 < found.n_users < 60  # about a fifth of 200
    told = f"{found.n_users} of 200 users are asked, whose answers it does not know"
    assert found.settings["behavior model"] == told
    assert found.systems[0].measured["ndcg"].mean.mean > 0.8
    # In a part of everybody's history drawn anew it knows everything.
    random = rec.evaluate(EvaluateConfig(split="random"))
    assert "left out" in random.settings["behavior model"]
    # What came since it was trained it knows of nobody.
    rec.add_events(walks([f"v{n}" for n in range(50)], np.random.default_rng(6), at=9e6))
    later = rec.evaluate(EvaluateConfig(split="temporal", share=0.05))
    assert re.match(r"(\d+) of \1 users", later.settings["behavior model"])


def test_the_doctor_knows_it(rec, path):
    rec.feedback("u1", "i3", "like")
    found = {finding.name: finding for finding in examine(path)}
    assert found["behavior model"].state == "ok"
    assert "30 items" in found["behavior model"].found
    assert "1 events since" in found["behavior model"].found


def test_the_command_says_what_was_trained_and_what_a_flag_needs(rec, path):
    rec.close()
    told = CliRunner().invoke(main, ["train", "--behavior", "--update", "--db", str(path)])
    assert told.exit_code == 0
    assert "behavior model: nothing new is used: nothing came since it was trained" in told.output
    listed = CliRunner().invoke(
        main, ["recommend", "--user", "u1", "--generate-slate", "--db", str(path)]
    )
    assert "list by beam, each item after those before it" in listed.output
    wrong = CliRunner().invoke(main, ["train", "--update", "--db", str(path)])
    assert wrong.exit_code == 2
    assert "--behavior" in wrong.output


# Beside others

VECTORS = "multilingual-e5-small"


@pytest.fixture(scope="module")
def with_vectors(tmp_path_factory):
    """The same with vectors of an embedding model."""
    path = tmp_path_factory.mktemp("vectors") / "shop.db"
    with pyrec.open(path, text_model=None, embedding_model=VECTORS) as rec:
        rec.add_items(items())
        for _ in rec.index():
            pass
        rec.add_events(walks([f"u{n}" for n in range(200)], np.random.default_rng(3)))
        assert rec.train(behavior=True, config=CONFIG).behavior.used
    return path


def test_vectors_are_read_and_a_store_without_their_model_answers(with_vectors, tmp_path):
    path = Path(shutil.copy(with_vectors, tmp_path / "shop.db"))
    with pyrec.open(path, text_model=None, embedding_model=VECTORS) as rec:
        assert rec.learned.behavior().embedding == VECTORS
        by_behavior_alone(rec)
        rec.add_items([Item("wordless", "xyzzy"), Item("new", "green thing")])
        assert "wordless" not in ids(rec.recommend(history=["i1"], k=N_ITEMS))
        rec.add_items([Item("short-lived", "blue thing")])
        assert "short-lived" in ids(rec.recommend(history=["i1"], k=N_ITEMS + 3))
        rec.remove_items(["short-lived"])
        for _ in rec.index():
            pass
        assert "i2" in ids(rec.recommend(history=["short-lived", "i1"]))[:2]
        # Its vector came later: it has a row now, and nothing else changed.
        found = ids(rec.recommend(history=["i1"], k=N_ITEMS))
        assert {"wordless", "new"} <= {*found, *ids(rec.recommend(history=["i0"], k=N_ITEMS))}
        assert "i2" in found[:2]
    with opened(path) as rec:
        by_behavior_alone(rec)
        found = ids(rec.recommend(history=["i1"], k=N_ITEMS + 2))
        assert "new" in found  # by its words
        assert "wordless" not in found
        rec.add_events(walks([f"w{n}" for n in range(30)], np.random.default_rng(8), at=8e6))
        report = rec.train(behavior="update", config=CONFIG)
        assert "reads vectors of multilingual-e5-small" in report.behavior.why


def test_lists_shown_leave_what_was_taken_in_sight(rec):
    for k in range(3):
        rec.feedback("v", f"i{10 + k}", "purchase")
    rec.events.append_many(Event("v", f"i{n % 5}", "impression", n % 10) for n in range(250))
    assert rec.question(user="v").stream == [(f"i{10 + k}", "purchase") for k in range(3)]
    assert "i13" in ids(by_behavior_alone(rec).recommend(user="v"))[:2]


def test_a_long_history_is_read_from_the_same_place_for_a_while(rec):
    starts = []
    for n in range(40):
        rec.feedback("v", f"i{n % N_ITEMS}", "purchase")
        starts.append(n + 1 - len(rec.question(user="v").stream))
    assert sorted(set(starts)) == [0, 5, 10, 15, 20, 25, 30]


def test_what_was_disliked_is_not_read_and_a_low_rating_is(rec):
    rec.feedback("v", "i3", "purchase")
    rec.feedback("v", "i9", "rating", 1.0)
    rec.feedback("v", "i3", "dislike")
    assert rec.question(user="v").stream == [("i9", "rating 1")]


def test_ratings_of_many_values_are_a_few_actions(tmp_path):
    rng = np.random.default_rng(0)
    with opened(tmp_path / "rated.db") as rec:
        rec.add_items(items())
        rec.add_events(
            Event(e.user_id, e.item_id, "rating", float(rng.uniform(1, 5)), e.at)
            for e in walks([f"u{n}" for n in range(60)], rng)
        )
        log = read_log(rec.events)
        told = tell(log, np.ones(len(log.user), bool))
        assert len(told.actions) == 20
        values = [float(name.split()[1]) for name in told.actions]
        assert (min(values), max(values)) == (pytest.approx(1, abs=0.3), pytest.approx(5, abs=0.3))


def test_a_list_longer_than_the_beam_goes_on_in_the_usual_order(rec):
    by_behavior_alone(rec)
    found = ids(rec.recommend(history=["i3", "i4"], generate="slate", k=N_ITEMS))
    assert len(found) == len(set(found)) == N_ITEMS - 2
