"""Forgetting a user, private sessions, and one's own data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import walks
from test_feedback import items, learned, lists, opened, walk

import pyrec
from pyrec import deep
from pyrec.errors import StoreBusyError

N_MARKERS = 200
EVENTS = walk(1, 120)


def filled(path: Path, *, with_user: bool) -> pyrec.recommender.Recommender:
    """Open a store in which others lived, and where asked for a user who is to be forgotten."""
    rec = opened(path)
    rec.add_items(items())
    for n, (user, item) in enumerate(EVENTS):
        rec.feedback(user, item, "purchase")
        if with_user and n % 6 == 0:
            rec.feedback("x-marks", f"i{n * 7 % 40}", "purchase")
    return rec


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def test_lists_and_weights_are_those_of_a_store_that_never_saw_the_user(tmp_path):
    with filled(tmp_path / "a.db", with_user=True) as rec:
        assert rec.forget("x-marks").n_events == 20
        found = learned(rec), lists(rec)
        assert rec.history("x-marks") == []
    with filled(tmp_path / "b.db", with_user=False) as twin:
        assert found == (learned(twin), lists(twin))
    with opened(tmp_path / "a.db") as again:
        assert lists(again) == found[1]


@pytest.mark.parametrize("min_pools", [deep.MIN_POOLS, 50], ids=["wide", "wide and deep"])
def test_the_same_holds_for_a_store_that_was_trained(tmp_path, monkeypatch, min_pools):
    monkeypatch.setattr(deep, "MIN_POOLS", min_pools)
    rng = np.random.default_rng(3)
    others = list(walks.walks([f"u{n}" for n in range(200)], rng))
    stores = []
    for name in ("a", "b"):
        rec = walks.opened(tmp_path / f"{name}.db")
        rec.add_items(walks.items())
        rec.add_events(others)
        if name == "a":
            for item in ("i1", "i2", "i3", "i5", "i8"):
                rec.feedback("x-marks", item, "purchase")
        rec.train()
        stores.append(rec)
    a, b = stores
    assert (b.learned.deep() is not None) == (min_pools == 50)
    assert a.forget("x-marks").trained
    assert a.theta == b.theta
    for user in ("u1", "u7", "u50"):
        told = [[(s.item_id, s.score) for s in rec.recommend(user=user)] for rec in stores]
        assert told[0] == told[1]
    a.close()
    b.close()


def test_no_byte_of_the_user_is_left_in_any_file(tmp_path):
    marks = [f"MARK{n:03d}x" for n in range(N_MARKERS)]
    path = tmp_path / "shop.db"
    with filled(path, with_user=False) as rec:
        user = marks[0]
        rec.add_events(  # ids of items that only this user named, and sessions
            {"user": user, "item": marks[n], "kind": "click", "session": marks[n + 60]}
            for n in range(1, 61)
        )
        rec.add_items([{"id": "c1", "title": "Cap", "color": "brown"}])
        rec.feedback(user, "i1", "like")
        rec.feedback(user, "i2", "like")
        rec.undo(user)
        rec.correct(user, "color!=brown")
        rec.recommend("thing", user=user).shown()
        rec.add_events(
            {"user": user, "item": marks[n], "kind": "rating", "value": 3} for n in range(121, 200)
        )
        rec.pause(user)
        rec.train()
        rec.store.db.execute("PRAGMA wal_checkpoint")
        data = raw(tmp_path)
        assert sum(mark.encode() in data for mark in marks) == N_MARKERS
        rec.forget(user)
        data = raw(tmp_path)
        assert [mark for mark in marks if mark.encode() in data] == []
        assert lists(rec)  # the store goes on
    data = raw(tmp_path)
    assert [mark for mark in marks if mark.encode() in data] == []


def test_a_store_whose_training_found_nothing_better_learns_again_from_the_others(tmp_path):
    told = []
    for name, with_user in (("a", True), ("b", False)):
        with filled(tmp_path / f"{name}.db", with_user=with_user) as rec:
            assert not rec.train().used
            if with_user:
                assert rec.forget("x-marks").trained
            told.append((learned(rec), lists(rec)))
    assert told[0] == told[1]


def test_events_that_were_taken_back_before_are_forgotten_too(tmp_path):
    with filled(tmp_path / "a.db", with_user=False) as rec, opened(tmp_path / "a.db") as other:
        rec.add_events(
            {"user": "x-marks", "item": f"x-thing{n}", "kind": "click"} for n in range(3)
        )
        rec.feedback("x-marks", "i1", "click")
        rec.train()
        assert lists(other) == lists(rec)
        while rec.undo("x-marks"):
            pass
        assert b"x-thing1" in rec.store.derived("linear")[1]
        rec.forget("x-marks")
        assert lists(other) == lists(rec)
        now = lists(rec)
    assert b"x-marks" not in raw(tmp_path)
    assert b"x-thing" not in raw(tmp_path)
    with opened(tmp_path / "a.db") as again:
        assert lists(again) == now


def test_what_others_think_is_what_is_left_to_think(tmp_path):
    with filled(tmp_path / "a.db", with_user=False) as rec:
        before = rec.rating(["i1"], user="newcomer")
        rec.add_events(
            {"user": "x-marks", "item": f"i{n % 40}", "kind": "rating", "value": 1 + n % 9}
            for n in range(80)
        )
        rec.train()
        assert max(rec.rating(["i1"], user="newcomer")[0].distribution) == 9.0
        rec.forget("x-marks")
        assert rec.rating(["i1"], user="newcomer") == before


def test_a_forgetting_that_was_cut_short_is_finished_when_it_is_asked_for_again(
    tmp_path, monkeypatch
):
    path = tmp_path / "shop.db"
    with filled(path, with_user=True) as rec:
        rec.add_events({"user": "x-marks", "item": "x-thing", "kind": "click"} for _ in range(2))
        rec.train()

        def cut():
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(rec, "train", cut)
            with pytest.raises(KeyboardInterrupt):
                rec.forget("x-marks")
        assert rec.history("x-marks") == []
        found = rec.forget("x-marks")
        assert (found.n_events, found.trained) == (0, True)
        now = learned(rec), lists(rec)
    assert b"x-marks" not in raw(tmp_path)
    assert b"x-thing" not in raw(tmp_path)
    with filled(tmp_path / "b.db", with_user=False) as twin:
        twin.train()
        assert now == (learned(twin), lists(twin))


def test_a_training_that_read_the_user_keeps_nothing(tmp_path):
    path = tmp_path / "shop.db"
    with filled(path, with_user=True) as rec, opened(path) as other:
        told = []

        def forget_meanwhile(step, share):
            if not told:
                told.append(other.forget("x-marks"))

        with pytest.raises(StoreBusyError, match="train again"):
            rec.train(progress=forget_meanwhile)
        rec.train()
    assert b"x-marks" not in raw(tmp_path)


def test_a_behavior_model_that_knew_the_user_goes_away_and_says_so(trained_path):
    with walks.opened(trained_path) as rec:
        assert rec.questions.behavior() is not None
        found = rec.forget("u1")
        assert found.behavior
        assert rec.questions.behavior() is None
        assert len(rec.recommend(user="u2")) > 0


def test_what_an_interrupted_training_left_goes_too(tmp_path):
    path = tmp_path / "shop.db"
    with filled(path, with_user=True) as rec:
        for name in ("", "-first", "-second", "-update"):
            (tmp_path / f"shop.db-behavior{name}").write_bytes(b"x-marks")
        rec.forget("x-marks")
    assert b"x-marks" not in raw(tmp_path)


def test_forgetting_somebody_unknown_leaves_an_interrupted_training_alone(tmp_path):
    with filled(tmp_path / "shop.db", with_user=False) as rec:
        (tmp_path / "shop.db-behavior-first").write_bytes(b"hours of work")
        rec.forget("nobody at all")
        assert (tmp_path / "shop.db-behavior-first").exists()


def test_copies_in_the_same_folder_are_named(tmp_path):
    path = tmp_path / "shop.db"
    with filled(path, with_user=True) as rec:
        rec.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(path, tmp_path / "copy.db")
        (tmp_path / "notes.txt").write_text("nothing")
        assert rec.forget("x-marks").backups == (tmp_path / "copy.db",)


def test_another_process_reads_the_new_state(tmp_path):
    path = tmp_path / "shop.db"
    with filled(path, with_user=True) as rec, opened(path) as other:
        other.recommend(user="u1")
        rec.forget("x-marks")
        assert lists(other) == lists(rec)
        assert other.history("x-marks") == []


def test_somebody_who_still_reads_the_old_state_is_told_of(tmp_path, monkeypatch):
    path = tmp_path / "shop.db"
    with filled(path, with_user=True) as rec, opened(path) as other:
        rec.store.db.execute("PRAGMA busy_timeout=100")
        reader = other.store.db
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        with pytest.raises(StoreBusyError, match="forget the user again"):
            rec.forget("x-marks")
        reader.execute("ROLLBACK")
        assert rec.forget("x-marks").n_events == 0
    assert b"x-marks" not in raw(tmp_path)


def test_forgetting_somebody_unknown_changes_nothing(tmp_path):
    with filled(tmp_path / "a.db", with_user=False) as rec:
        before = learned(rec), lists(rec)
        found = rec.forget("nobody")
        assert (found.n_events, found.trained, found.behavior) == (0, False, False)
        assert (learned(rec), lists(rec)) == before


def test_a_paused_user_is_answered_and_leaves_no_trace(tmp_path):
    path = tmp_path / "a.db"
    with filled(path, with_user=True) as rec:
        before = learned(rec), rec.history("x-marks")
        rec.pause("x-marks")
        slate = rec.recommend(user="x-marks")
        assert len(slate) == 10
        slate.shown()
        assert slate.like(0).event_id is None
        rec.add_items([{"id": "c1", "title": "Cap", "color": "brown"}])
        assert rec.correct("x-marks", "color!=brown")
        assert rec.export_data("x-marks")["corrections"] == []
        assert (learned(rec), rec.history("x-marks")) == before
        assert list(rec.shown.walk("x-marks")) == []
        with pytest.raises(pyrec.errors.InvalidEventError):
            rec.feedback("x-marks", "i1", "rating")
    with opened(path) as again:  # it holds after a restart
        again.feedback("x-marks", "i1", "like")
        assert again.history("x-marks") == before[1]
        assert again.resume("x-marks")
        assert not again.resume("x-marks")
        assert again.feedback("x-marks", "i1", "like").event_id is not None


def test_ones_own_data_are_all_that_is_kept(tmp_path):
    with filled(tmp_path / "a.db", with_user=True) as rec:
        rec.add_items([{"id": "c1", "title": "Cap", "color": "brown"}])
        rec.correct("x-marks", "color!=brown")
        rec.recommend(user="x-marks", k=4).shown()
        told = json.loads(json.dumps(rec.export_data("x-marks")))
        assert len(told["events"]) == 24
        assert told["corrections"] == [{"column": "color", "value": "brown", "likes": False}]
        assert len(told["lists_shown"][0]["items"]) == 4
        assert "after" in told["weights"]
        assert not told["paused"]
        rec.forget("x-marks")
        told = rec.export_data("x-marks")
        kept = (told["events"], told["corrections"], told["lists_shown"], told["weights"])
        assert kept == ([], [], [], {})


@pytest.mark.parametrize("call", ["pause", "resume", "forget", "export_data", "undo"])
@pytest.mark.parametrize(
    ("user", "error"), [("", ValueError), ("\ud800", ValueError), (None, TypeError), (5, TypeError)]
)
def test_what_is_no_id_is_refused(tmp_path, call, user, error):
    with opened(tmp_path / "a.db") as rec, pytest.raises(error, match="user"):
        getattr(rec, call)(user)
