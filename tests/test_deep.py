"""The network beside the mixer's sum: its gradient, what it learns, and its life in a store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_train import N_PAIRS, events, filled, opened

from pyrec import deep, mixer, signals
from pyrec.asking import is_judge
from pyrec.deep import DeepConfig, DeepState, Taught
from pyrec.evaluate import EvaluateConfig
from pyrec.signals.deep import said
from pyrec.train_config import TrainConfig

NAMES = ("one", "two")


def agreeing(n_pools, seed):
    """Pools of which the answer is where both signals are strong, or both are weak."""
    rng = np.random.default_rng(seed)
    for _ in range(n_pools):
        values = np.array([[1, 1], [1, 0.1], [0.1, 1], [0.1, 0.1]], np.float32)
        right = rng.choice([0, 3])
        values = values[[right, *rng.permutation([1, 2])]]
        yield Taught(values, np.array([1, 0, 0], np.float32), 0.5)


def loss(pools, theta, state=None):
    found = []
    for pool in pools:
        phi = mixer.depth_features(pool.values, pool.depth)
        logits = phi @ theta + (0.0 if state is None else state.logits(phi))
        found.append(np.log(np.exp(logits).sum()) - logits[pool.target.argmax()])
    return float(np.mean(found))


def quiet(share):
    pass


def test_it_learns_what_no_sum_of_signals_can_say():
    pools, others = list(agreeing(600, 0)), list(agreeing(100, 1))
    theta = np.zeros(8, np.float32)
    fitted, _ = mixer.fit(
        np.concatenate([p.values for p in pools]),
        np.concatenate([p.target for p in pools]),
        np.arange(0, 3 * len(pools) + 1, 3),
        mixer.Mixer(NAMES, {}),
        l2=0.0,
    )
    assert loss(others, fitted.theta) > 0.9  # of log 3 = 1.1
    state = deep.fit(NAMES, pools, theta, quiet, DeepConfig(epochs=40, rate=0.03))
    assert loss(others, theta, state) < 0.1


def test_back_propagation_gives_the_slope_of_the_loss():
    rng = np.random.default_rng(0)
    pools = [
        Taught(
            rng.random((n, 2), np.float32),
            rng.dirichlet(np.ones(n)).astype(np.float32),
            float(rng.random()),
        )
        for n in (3, 1, 5)
    ]
    theta = rng.standard_normal(8).astype(np.float32)
    batch = deep._Batch.of(pools, theta)
    mean, spread = batch.phi.mean(axis=0), batch.phi.std(axis=0) + np.float32(0.1)
    weights = [rng.standard_normal(s).astype(np.float64) for s in ((8, 4), 4, 4)]

    def value():
        inner, bias, outer = weights
        logits = batch.wide + np.maximum((batch.phi - mean) / spread @ inner + bias, 0) @ outer
        parts = np.split(logits, batch.begins[1:])
        targets = np.split(batch.target, batch.begins[1:])
        each = [np.log(np.exp(p).sum()) - t @ p for p, t in zip(parts, targets, strict=True)]
        return float(np.mean(each))

    for w, gradient in zip(weights, batch.gradients(weights, mean, spread), strict=True):
        for place in np.ndindex(w.shape):
            before = w[place]
            w[place] = before + 1e-5
            above = value()
            w[place] = before - 1e-5
            below = value()
            w[place] = before
            assert gradient[place] == pytest.approx((above - below) / 2e-5, abs=2e-4)


def test_the_same_pools_give_the_same_network_and_it_is_kept_whole():
    pools = list(agreeing(100, 0))
    theta = np.ones(8, np.float32)
    one, two = (deep.fit(NAMES, pools, theta, quiet, DeepConfig(epochs=2)) for _ in range(2))
    phi = mixer.depth_features(pools[0].values, 0.5)
    assert np.array_equal(one.logits(phi), two.logits(phi))
    again = DeepState.unpack(one.pack())
    assert again.names == NAMES
    assert np.array_equal(again.logits(phi), one.logits(phi))


# In a store


@pytest.fixture
def rec(tmp_path, monkeypatch):
    monkeypatch.setattr(deep, "MIN_POOLS", 100)
    with filled(tmp_path / "shop.db", 300) as rec:
        yield rec


def falling(n):
    return np.arange(n, 0, -1, dtype=np.float32)


def deep_in(rec, **asked):
    """Return what the network says of a list's items."""
    question = rec.question(**asked)
    rows = rec.catalog.idxs([f"b{n}" for n in range(N_PAIRS)]).astype(np.int32)
    signal = next(s for s in signals.every() if s.name == "deep")
    return signal.score(question, rows)


def test_training_keeps_it_where_held_out_users_find_it_likelier(rec):
    report = rec.train()
    assert report.used
    assert report.deep
    assert any(rec.theta["deep"])
    learned = dict(rec.theta)
    before = rec.recommend(history=["x1", "a3"]).suggestions
    rec.use_theta({**learned, "deep": [0.0] * 4})
    assert rec.recommend(history=["x1", "a3"]).suggestions != before


def test_it_speaks_where_it_was_asked_in_training_and_nowhere_else(rec):
    rec.train()
    assert np.ptp(deep_in(rec, history=["x1", "a3"])) > 0.0
    assert np.isnan(deep_in(rec)).all()  # a newcomer
    assert np.isnan(deep_in(rec, text="thing", history=["x1", "a3"])).all()
    assert all(s.reasons for s in rec.recommend())


def test_what_spoke_for_the_first_time_after_training_is_not_read(rec):
    rec.train()
    before = deep_in(rec, history=["x1", "a3"])
    items = rec.catalog.items(np.arange(rec.catalog.count, dtype=np.int32))
    rec.add_items(replace(item, popularity=float(n)) for n, item in enumerate(items))
    assert np.array_equal(deep_in(rec, history=["x1", "a3"]), before)


def test_one_of_signals_that_are_not_here_says_nothing(rec, monkeypatch):
    rec.train()
    state = replace(rec.learned.deep(), names=("gone", *rec.learned.deep().names[1:]))
    monkeypatch.setattr("pyrec.learned.Learned.deep", lambda self: state)
    assert np.isnan(deep_in(rec, history=["a3"])).all()
    assert len(rec.recommend(history=["a3"])) > 0


def test_weights_that_come_without_one_leave_none_behind(rec, monkeypatch):
    assert rec.train().deep
    wide = {name: row for name, row in rec.theta.items() if name != "deep"}
    slate = rec.recommend(user="u1")
    slate.shown()
    rec.add_events(events(40, np.random.default_rng(2), start=300))
    monkeypatch.setattr(DeepState, "logits", lambda self, phi: falling(len(phi)))
    report = rec.train()
    assert report.used
    assert not report.deep
    assert {name: row for name, row in rec.theta.items() if name != "deep"} != wide
    assert rec.learned.deep() is None
    slate.feedback(0, "click")  # the list was made with one, and moves its weight
    assert np.isnan(deep_in(rec, history=["a3"])).all()


def test_weights_that_are_not_used_leave_it_as_it_is(rec, monkeypatch):
    rec.train()
    theta, state = dict(rec.theta), rec.learned.deep()
    losses = iter([1.0, 1.5])
    monkeypatch.setattr("pyrec.train.loss", lambda *_: next(losses))
    report = rec.train()
    assert (report.used, report.deep) == (False, False)
    assert 1.0 < report.after < 1.5  # it is better with one, and not good enough
    assert rec.theta == theta
    assert np.array_equal(rec.learned.deep().inner, state.inner)


def test_it_is_there_after_opening_again(rec, tmp_path):
    rec.train()
    before = rec.recommend(history=["a3"]).suggestions
    with opened(tmp_path / "shop.db") as again:
        assert again.recommend(history=["a3"]).suggestions == before


def test_an_event_moves_its_weight_as_that_of_any_signal(rec):
    rec.train()
    before = rec.theta["deep"]
    rec.feedback("u1", "b5", "purchase")
    assert rec.theta["deep"] != before
    rec.undo("u1")
    assert rec.theta["deep"] == before


def test_evaluation_asks_whom_it_never_learned_from_and_leaves_out_what_it_reads_too(rec):
    rec.train()
    found = rec.evaluate(EvaluateConfig(ablation=True))
    judges = sum(is_judge(f"u{n}", TrainConfig().held_out) for n in range(300))
    assert found.settings["users drawn"] == judges < 100
    names = [system.name for system in found.left_out]
    assert "deep" in names
    assert "after" in names


def test_a_signal_that_is_left_out_is_not_read_either(rec):
    rec.train()
    state = rec.learned.deep()
    values = np.random.default_rng(0).random((5, len(state.names)), np.float32)
    column = state.names.index("after")
    rest = values.copy()
    rest[:, column] = np.nan
    others = [n for n in range(len(state.names)) if n != column]
    names = [state.names[n] for n in others]
    without = said(state, state.names, rest, 0.0)
    assert np.array_equal(said(state, names, values[:, others], 0.0), without)
    assert not np.array_equal(said(state, state.names, values, 0.0), without)
