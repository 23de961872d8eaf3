"""What an event teaches, at once and for good, and how it is taken back."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path

import numpy as np
import pytest
import walks

import pyrec
from pyrec.errors import InvalidEventError, StoreError
from pyrec.mixer import StepConfig
from pyrec.recommender import Recommender

N_ITEMS = 40


def items():
    return [{"id": f"i{n}", "title": f"thing w{n % 7} v{n % 5}"} for n in range(N_ITEMS)]


def walk(seed: int, n: int) -> list[tuple[str, str]]:
    """Users who mostly take the next item of a circle: histories with something to learn."""
    rng = random.Random(seed)
    at: dict[str, int] = {}
    events = []
    for _ in range(n):
        user = f"u{rng.randrange(12)}"
        at[user] = (at.get(user, rng.randrange(N_ITEMS)) + rng.choice((1, 1, 1, 2, 5))) % N_ITEMS
        events.append((user, f"i{at[user]}"))
    return events


def opened(path: Path | str) -> Recommender:
    return pyrec.open(path, text_model=None, embedding_model=None)


def lived(path: Path | str, events: list[tuple[str, str]]) -> Recommender:
    rec = opened(path)
    rec.add_items(items())
    for user, item in events:
        rec.feedback(user, item, "purchase")
    return rec


def learned(rec: Recommender) -> dict[str, list]:
    """All that feedback taught."""
    ask = rec.store.db.execute
    return {
        "shared": ask("SELECT name, value, g2 FROM weights ORDER BY name").fetchall(),
        "own": ask("SELECT * FROM own_weights ORDER BY user_id").fetchall(),
        "steps": ask("SELECT user_id, nth FROM steps ORDER BY event_id").fetchall(),
    }


def lists(rec: Recommender) -> dict[str, list]:
    return {
        f"u{n}": [(s.item_id, round(s.score, 6)) for s in rec.recommend(user=f"u{n}", k=10)]
        for n in range(12)
    }


def test_what_is_taken_again_and_again_for_one_reason_raises_what_spoke_for_it(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 40)) as rec:
        before = rec.theta
        for user, item in walk(2, 120):
            rec.feedback(user, item, "purchase")
        moved = {n: np.abs(np.subtract(rec.theta[n], before[n])).max() for n in before}
        assert moved["after"] > 1e-3
        assert moved["lexical"] == 0.0  # nobody asked in words
        assert rec.steps.last > 100


def test_a_user_who_is_unlike_the_others_gets_weights_of_their_own(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 200)) as rec:
        own = rec.steps.own("u0")
        assert np.abs(own["after"]).max() > 0.0
        assert rec.steps.own("nobody") == {}
        assert max(np.abs(row).max() for row in own.values()) <= StepConfig().own_most


def test_what_was_learned_counts_in_the_next_list_and_after_opening_again(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 100)) as rec:
        now = lists(rec)
        rec.use_theta(pyrec.mixer.shipped_theta())
        assert lists(rec) != now
    with opened(tmp_path / "a.db") as again:
        assert lists(again) == now


def test_two_recommenders_of_one_store_rank_by_the_same_weights(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec, opened(tmp_path / "a.db") as other:
        assert lists(other) == lists(rec)
        rec.feedback("u1", "i7", "purchase")
        assert other.theta == rec.theta
        assert lists(other) == lists(rec)


def test_undo_takes_theta_back_to_the_last_bit(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 80)) as rec:
        before, ranked = learned(rec), lists(rec)
        event = rec.feedback("u3", rec.recommend(user="u3")[0].item_id, "purchase")
        assert learned(rec) != before
        assert rec.undo("u3").event_id == event.event_id
        assert learned(rec) == before
        assert lists(rec) == ranked


def test_undo_of_an_older_event_leaves_what_the_others_alone_would_have_taught(tmp_path):
    events = walk(1, 150)
    gone = max(n for n, (user, _) in enumerate(events) if user == "u5")
    with lived(tmp_path / "a.db", events) as rec:
        rec.undo("u5")
        found = learned(rec), lists(rec)
    with lived(tmp_path / "b.db", [e for n, e in enumerate(events) if n != gone]) as twin:
        assert found == (learned(twin), lists(twin))


def test_undo_of_a_dislike_lets_the_item_come_back(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        best = rec.recommend(user="u2")[0].item_id
        rec.feedback("u2", best, "dislike")
        assert best not in [s.item_id for s in rec.recommend(user="u2")]
        rec.undo("u2")
        assert rec.recommend(user="u2")[0].item_id == best


def test_who_keeps_disliking_teaches_that_habits_tell_of_clicks(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 20)) as rec:
        before = dict(rec.weights.of_task("click"))["habit"]
        for n in range(30):
            rec.feedback(f"v{n % 5}", f"i{n}", "dislike")
        assert sum(rec.weights.of_task("click")["habit"]) > sum(before)


def test_ratings_move_what_is_expected_of_others(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 20)) as rec:
        before = rec.rating(["i1"], user="newcomer")[0].mean
        for n in range(8):
            rec.feedback(f"u{n}", f"i{n + 20}", "rating", 1.0)
        assert rec.rating(["i1"], user="newcomer")[0].mean < before


def test_one_account_that_clicks_one_item_a_thousand_times_moves_nobodys_list(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 200)) as rec:
        before = lists(rec)
        for _ in range(1000):
            rec.feedback("spammer", "i9", "click")
        now = lists(rec)
        same = [len({i for i, _ in before[u]} & {i for i, _ in now[u]}) / 10 for u in before]
        assert np.mean(same) >= 0.95


def test_a_long_run_of_events_leaves_no_more_than_the_newest_ways_back(tmp_path, monkeypatch):
    monkeypatch.setattr("pyrec.steps.N_BEFORE", 20)
    with lived(tmp_path / "a.db", walk(1, 400)) as rec:
        for _ in range(5):  # numbers of events that are no steps
            rec.recommend(user="u3", k=7).shown()
            rec.feedback("u3", rec.recommend(user="u3")[0].item_id, "click")
        (n_kept,) = rec.store.db.execute("SELECT count(*) FROM befores").fetchone()
        assert n_kept in (20, 21)
        before = learned(rec)
        rec.feedback("u1", "i7", "purchase")
        rec.undo("u1")
        assert learned(rec) == before


def test_an_item_taken_again_teaches_nothing_of_lists_that_leave_it_out(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        rec.feedback("u1", "i7", "purchase")
        before = learned(rec)
        rec.feedback("u1", "i7", "purchase")
        assert learned(rec) == before


def test_no_weight_leaves_its_bounds_however_one_sided_the_events(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        for n in range(300):
            rec.feedback("one", f"i{n * 3 % N_ITEMS}", "purchase")
        assert max(abs(w) for row in rec.theta.values() for w in row) <= StepConfig().most
        own = rec.steps.own("one").values()
        assert max(abs(w) for row in own for w in row) <= StepConfig().own_most


def test_an_event_of_an_item_that_left_the_catalog_is_refused_and_its_past_is_fine(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        rec.feedback("u1", "i7", "purchase")
        rec.remove_items(["i7"])
        with pytest.raises(pyrec.errors.UnknownItemError, match="i7"):
            rec.feedback("u1", "i7", "purchase")
        rec.feedback("u2", "i8", "purchase")
        assert "i7" not in [s.item_id for s in rec.recommend(user="u2")]
        assert rec.undo("u2").item_id == "i8"


def test_an_event_that_makes_no_sense_teaches_nothing(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        before = learned(rec)
        for user, kind, value in ((" ", "like", None), ("u1", "rating", None), ("u1", "no", None)):
            with pytest.raises(InvalidEventError):
                rec.feedback(user, "i1", kind, value)
        assert learned(rec) == before


class Broken:
    """A signal of a package that gives what is no number."""

    name = "after"  # has a weight

    def admit(self, question, n):
        return np.arange(10, dtype=np.int32)

    def score(self, question, pool):
        return np.full(len(pool), np.inf, np.float32)

    def why(self, question, item_idx, item):
        return ""


def test_a_signal_without_numbers_costs_the_lesson_and_not_the_event(tmp_path, monkeypatch):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        ranker = rec.weights.learning
        monkeypatch.setattr(
            ranker, "signals", tuple(Broken() if s.name == "after" else s for s in ranker.signals)
        )
        before = learned(rec)
        with pytest.warns(RuntimeWarning, match="teaches nothing.*inf"):
            event = rec.feedback("u1", "i7", "purchase")
        assert rec.history("u1")[-1] == event
        assert learned(rec)["shared"] == before["shared"]


def test_theta_of_other_signals_is_mapped_by_name(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        theta = rec.theta
        rec.store.db.execute("DELETE FROM weights WHERE name LIKE 'near:%'")
        rec.store.db.execute("INSERT INTO weights VALUES ('', 'of_old:linear', 9.0, 1.0)")
        path = rec.store.path
    with opened(path) as again:
        shipped = pyrec.mixer.shipped_theta()
        assert again.theta["near"] == shipped["near"]
        assert again.theta["after"] == theta["after"]
        again.feedback("u1", "i7", "purchase")  # learning goes on from there
        assert again.theta["near"] != shipped["near"]


def test_training_begins_anew_and_single_events_go_on_from_it(tmp_path):
    with walks.opened(tmp_path / "a.db") as rec:
        rec.add_items(walks.items())
        rec.add_events(walks.walks([f"u{n}" for n in range(200)], np.random.default_rng(3)))
        for n in range(9):
            rec.feedback("new", f"i{n}", "purchase")
        assert rec.steps.own("new") != {}
        assert rec.train().used
        assert rec.steps.last == 0
        assert rec.steps.own("new") == {}
        trained = rec.theta
        rec.feedback("new", "i20", "purchase")
        assert rec.theta != trained
        rec.undo("new")
        assert rec.theta == trained
        rec.undo("new")  # what is older than the training stays learned
        assert rec.theta == trained


def test_a_training_that_finds_nothing_better_leaves_what_events_taught(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 100)) as rec:
        before, own = rec.theta, rec.steps.own("u1")
        assert not rec.train().used
        assert (rec.theta, rec.steps.own("u1")) == (before, own)


def test_undo_after_a_training_and_late_events_leaves_the_right_lists(trained_path):
    """The linear model is kept by item numbers, which differ in the log that undo replays."""
    with walks.opened(trained_path) as rec:
        rec.feedback("a", "i1", "purchase")
        for user, item in (("a", "i7"), ("b", "i3"), ("b", "i9"), ("a", "i4"), ("b", "i5")):
            rec.feedback(user, item, "purchase")
        rec.add_events(
            [{"user": "late", "item": f"i{n}", "kind": "click", "time": 5} for n in (9, 2)]
        )
    with walks.opened(trained_path) as rec:
        rec.undo("a")
        found = [[(s.item_id, s.score) for s in rec.recommend(user=u)] for u in ("u1", "b", "u50")]
    with walks.opened(trained_path) as again:
        told = [[(s.item_id, s.score) for s in again.recommend(user=u)] for u in ("u1", "b", "u50")]
    assert found == told


def test_undo_in_a_fresh_store_leaves_the_weights_that_come_with_pyrec(tmp_path):
    with lived(tmp_path / "a.db", [("u", "i1")]) as rec:
        rec.feedback("u", "i2", "like")
        rec.undo("u")
        assert rec.store.db.execute("SELECT count(*) FROM weights").fetchone() == (0,)


def test_of_an_event_with_too_much_after_it_only_the_log_is_taken_back(tmp_path, monkeypatch):
    monkeypatch.setattr("pyrec.steps.N_BEFORE", 5)
    events = [("u5", "i1"), ("u5", "i2"), *((u, i) for u, i in walk(1, 60) if u != "u5")]
    with lived(tmp_path / "a.db", events) as rec:
        before = rec.theta
        assert rec.undo("u5").item_id == "i2"
        assert rec.theta == before
        assert [e.item_id for e in rec.history("u5")] == ["i1"]
        rec.undo(events[-1][0])  # and what came last can be taken back as ever
        assert rec.theta != before


def teach(path: str, seed: int) -> None:
    with opened(path) as rec:
        for user, item in walk(seed, 60):
            rec.feedback(user, item, "purchase")


def test_two_processes_that_learn_at_once_lose_nothing(tmp_path):
    path = tmp_path / "a.db"
    with opened(path) as rec:
        rec.add_items(items())
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=teach, args=(str(path), seed)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    with opened(path) as rec:
        db = rec.store.db
        assert db.execute("SELECT count(*) FROM events").fetchone() == (120,)
        # Every step counted: a user's are numbered without a gap.
        for (nths,) in db.execute(
            "SELECT group_concat(nth) FROM steps GROUP BY user_id"
        ).fetchall():
            assert sorted(map(int, nths.split(","))) == list(range(len(nths.split(","))))


def test_an_event_whose_weights_cannot_be_written_is_not_written_either(tmp_path):
    with lived(tmp_path / "a.db", walk(1, 60)) as rec:
        before = learned(rec), rec.history("u1")
        rec.store.db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON steps BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        with pytest.raises(StoreError, match="full"):
            rec.feedback("u1", "i7", "purchase")
        assert (learned(rec), rec.history("u1")) == before
