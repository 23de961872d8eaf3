"""Training: what it makes of a log, when it keeps its hands off, and what is left in the store."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import pyrec
from pyrec import linear_model
from pyrec.asking import answers_of
from pyrec.replay import Replay, read_log
from pyrec.train_config import TrainConfig
from pyrec.types import Event

N_PAIRS = 12


def events(n_users, rng, *, start=0):
    """Users who each took things at random, an a, and then the b that belongs to it.

    With every third it is not the last: what is hidden of all must be known from some.
    """
    for n in range(start, start + n_users):
        pair = int(rng.integers(N_PAIRS))
        others = [f"x{i}" for i in rng.choice(30, 5, replace=False)]
        last = others[3:] if n % 3 == 0 else []
        for place, item_id in enumerate([*others[:3], f"a{pair}", f"b{pair}", *last]):
            yield Event(f"u{n}", item_id, "purchase", at=1e6 + 100.0 * n + place)


def opened(path):
    return pyrec.open(path, text_model=None, embedding_model=None)


def filled(path, n_users):
    rec = opened(path)
    names = [*(f"a{n}" for n in range(N_PAIRS)), *(f"b{n}" for n in range(N_PAIRS))]
    rec.add_items(pyrec.Item(i, f"Thing {i}") for i in [*names, *(f"x{n}" for n in range(30))])
    rec.add_events(events(n_users, np.random.default_rng(1)))
    return rec


@pytest.fixture
def rec(tmp_path):
    with filled(tmp_path / "shop.db", 300) as rec:
        yield rec


def ids(slate):
    return [s.item_id for s in slate]


def test_training_learns_what_follows_what(rec):
    report = rec.train()
    assert report.used
    assert report.why == ""
    assert report.n_users == 300
    assert report.after < report.before
    assert any(rec.theta["after"])
    right = [ids(rec.recommend(history=["x1", f"a{n}"]))[0] == f"b{n}" for n in range(N_PAIRS)]
    assert np.mean(right) > 0.8


def test_reasons_of_a_trained_store_name_an_item_of_the_history(rec):
    rec.train()
    slate = rec.recommend(history=["a3"])
    texts = [reason.text for reason in slate[0].reasons]
    assert any("Thing a3" in text for text in texts)


def test_training_is_deterministic(rec, tmp_path):
    with filled(tmp_path / "twin.db", 300) as twin:
        assert rec.train() == twin.train()
        assert rec.theta == twin.theta
        assert rec.recommend(history=["a3"]).suggestions == (
            twin.recommend(history=["a3"]).suggestions
        )


def test_a_store_with_few_users_keeps_the_weights_and_says_why(tmp_path):
    with filled(tmp_path / "small.db", 20) as rec:
        before = rec.theta
        report = rec.train()
        assert not report.used
        assert (report.n_users, report.why) == (20, "too few users")
        assert np.isnan(report.before)
        assert rec.theta == before
        assert rec.learned.theta() == {}
        # The linear item model is fitted all the same.
        assert rec.learned.version == 1


def test_users_whose_answers_no_signal_names_teach_nothing(tmp_path):
    with opened(tmp_path / "odd.db") as rec:
        rec.add_items(pyrec.Item(f"i{n}", f"Unlike {n}") for n in range(300))
        # Nobody shares an item with anybody.
        rec.add_events(Event(f"u{n // 3}", f"i{n}", "click", at=n + 1.0) for n in range(240))
        report = rec.train(config=TrainConfig(min_users=200))
        assert (report.used, report.why) == (False, "too few users")
        report = rec.train()
        assert report.why or report.after <= report.before
        assert len(rec.recommend(user="u1")) > 0


def test_an_empty_store_is_trained_without_an_error(tmp_path):
    with opened(tmp_path / "new.db") as rec:
        report = rec.train()
        assert (report.n_users, report.used, report.why) == (0, False, "too few users")
        assert len(rec.recommend(user="u")) == 0


def test_weights_that_held_out_users_find_less_likely_are_not_used(rec, monkeypatch):
    losses = iter([1.0, 1.5])
    monkeypatch.setattr("pyrec.train.loss", lambda *_: next(losses))
    before = rec.theta
    report = rec.train()
    assert (report.used, report.before, report.after) == (False, 1.0, 1.5)
    assert report.why == "held-out users find it less likely"
    assert rec.theta == before


def test_events_of_items_that_left_the_catalog_do_no_harm(rec):
    rec.add_events(Event(f"u{n}", "elsewhere", "like", at=2e6) for n in range(0, 300, 2))
    rec.remove_items(["x0", "b0"])
    report = rec.train()
    assert np.isfinite([report.before, report.after]).all()
    assert {"x0", "b0", "elsewhere"}.isdisjoint(ids(rec.recommend(history=["a0"], k=50)))


def test_progress_names_steps_and_shares(rec):
    told = []
    rec.train(progress=lambda step, share: told.append((step, share)))
    assert {step for step, _ in told} >= {"asking", "fitting the linear model"}
    assert all(0.0 <= share <= 1.0 for _, share in told)


def test_stopped_training_changes_nothing(rec):
    def stop(step, share):
        if step == "fitting the linear model":
            raise KeyboardInterrupt

    before = list(rec.store.db.conn.iterdump())
    with pytest.raises(KeyboardInterrupt):
        rec.train(progress=stop)
    assert list(rec.store.db.conn.iterdump()) == before


# What is left in the store


def test_what_was_learned_survives_closing_and_opening(rec, tmp_path):
    rec.train()
    before = rec.recommend(history=["x1", "a3"])
    with opened(tmp_path / "shop.db") as again:
        assert again.theta == rec.theta
        assert again.recommend(history=["x1", "a3"]).suggestions == before.suggestions


def pairs(rec) -> dict[tuple[str, str], float]:
    question = rec.question()
    names, model = list(question.crowd.items), question.linear
    source = np.repeat(np.arange(len(model.ptr) - 1), np.diff(model.ptr)).tolist()
    rows = zip(source, model.idx.tolist(), model.weights.tolist(), strict=True)
    return {(names[a], names[b]): weight for a, b, weight in rows}


def test_a_recommender_that_is_open_already_follows_the_linear_model(rec, tmp_path):
    with opened(tmp_path / "shop.db") as other:
        assert other.question().linear is None
        rec.train()
        first = pairs(other)
        assert first == pairs(rec)
        assert first["a3", "b3"] > 0.0
        rec.add_events(events(100, np.random.default_rng(2), start=500))
        rec.train()
        assert pairs(other) == pairs(rec)
        assert pairs(other) != first


# Replaying


def test_what_is_hidden_is_nowhere_in_what_signals_read(rec, monkeypatch):
    fitted = []
    fit = linear_model.fit
    monkeypatch.setattr(linear_model, "fit", lambda *log: fitted.append(log[:2]) or fit(*log))
    log = read_log(rec.events)
    ptr, order = log.by_user()
    hidden = np.zeros(len(log.user), bool)
    hidden[order[ptr[1:101] - 1]] = True
    replay = Replay(log, hidden, rec.catalog, rec.questions.current())
    shown = {(u, i) for u, i in zip(log.user[~hidden], log.item[~hidden], strict=True)}
    held = {
        (user, item)
        for user in range(len(log.user_ids))
        for item in replay.crowd.histories.history(user)[0].tolist()
    }
    assert held == {(int(u), int(i)) for u, i in shown}
    counts = np.bincount(log.item[~hidden], minlength=len(log.item_ids))
    np.testing.assert_array_equal(replay.crowd.count, counts)
    ((ptr, items),) = fitted
    assert {
        (user, item)
        for user in range(len(ptr) - 1)
        for item in items[ptr[user] : ptr[user + 1]].tolist()
    } == held

    asked = replay.asked(range(100), include_seen=False)
    assert len(asked) == 100
    for each in asked:
        question = replay.question(rec.questions, each, include_seen=False)
        hidden_items = {log.item_ids[n] for n in each.answers}
        past = {rec.catalog.items([p.item_idx])[0].item_id for p in question.history}
        assert hidden_items.isdisjoint(past)
        assert set(question.taken.tolist()).isdisjoint(each.answers.tolist())
        # The answer may be recommended; what was taken before may not.
        rows = replay.crowd.row_of
        assert question.mask[rows[each.answers]].all()
        assert not question.mask[rows[each.taken]].any()


def test_the_last_is_hidden_where_most_histories_are_short(rec):
    rec.add_events(Event("long", f"x{n % 30}", "click", at=2e6 + n) for n in range(50))
    log = read_log(rec.events)
    users = [0, 1, log.user_ids.index("long")]
    flags = answers_of(log, users, TrainConfig())
    hidden = [[log.item_ids[i] for i in log.item[flags & (log.user == u)]] for u in users]
    assert flags.sum() == 3
    assert hidden == [[rec.events.history(log.user_ids[u])[-1].item_id] for u in users]


def test_a_part_is_hidden_where_histories_are_long_and_always_the_same(tmp_path):
    with opened(tmp_path / "long.db") as rec:
        rec.add_items(pyrec.Item(f"x{n}", "") for n in range(30))
        for user in "abc":
            rec.add_events(Event(user, f"x{n % 30}", "click", at=2e6 + n) for n in range(200))
        log = read_log(rec.events)
        flags = answers_of(log, [0, 2], TrainConfig())
        assert set(log.user[flags].tolist()) == {0, 2}
        assert 40 < flags.sum() < 120  # about a fifth
        hidden = set(log.event_id[flags].tolist())
        rec.add_events(Event("a", f"x{n}", "click", at=3e6 + n) for n in range(20))
        log = read_log(rec.events)
        flags = answers_of(log, [0, 2], TrainConfig())
        assert hidden <= set(log.event_id[flags].tolist())
        # What is hidden now and was not before came since.
        assert all(n > 600 for n in set(log.event_id[flags].tolist()) - hidden)


def test_a_hundred_thousand_events_of_one_user_do_not_hang(rec):
    rec.add_events(Event("busy", f"x{n % 30}", "click", at=2e6 + n) for n in range(100_000))
    done = threading.Event()

    def work():
        rec.train()
        rec.recommend(user="busy")
        rec.recommend(user="u1")
        done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert done.wait(60.0)
