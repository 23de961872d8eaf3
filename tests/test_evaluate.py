"""Evaluation on stores where what comes next is known: item b of a pair always follows item a."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import pyrec
from pyrec.errors import CatalogError, EventError
from pyrec.evaluate import EvaluateConfig, evaluate
from pyrec.evaluation import Evaluation
from pyrec.mixer import Mixer
from pyrec.ranking import Ranker
from pyrec.signals.histories import After, Taken
from pyrec.types import Event, Item
from pyrec.vectors import Vectors

N_PAIRS = 10
BEGAN = 1.6e9


def pairs(n_users: int, n_each: int = 3) -> list[Event]:
    """Return users who take some pairs, one item of a pair after the other."""
    rng = np.random.default_rng(0)
    taken = [
        (f"u{user}", f"{half}{pair}")
        for user in range(n_users)
        for pair in rng.permutation(N_PAIRS)[:n_each]
        for half in "ab"
    ]
    return [Event(user, item, "click", None, BEGAN + n) for n, (user, item) in enumerate(taken)]


def goods() -> list[Item]:
    return [Item(f"{half}{n}", f"{half}{n}") for n in range(N_PAIRS) for half in "ab"]


@pytest.fixture
def rec() -> Iterator[pyrec.Recommender]:
    with pyrec.open(":memory:", text_model=None, embedding_model=None) as opened:
        yield opened


@pytest.fixture
def shop(rec: pyrec.Recommender) -> pyrec.Recommender:
    rec.add_items(goods())
    rec.add_events(pairs(80, 2))
    return rec


def measured(rec: pyrec.Recommender, **options) -> Evaluation:
    """Evaluate by what follows and, hardly, by what is taken most."""
    theta = {"after": (5.0, 1.0), "taken": (0.0, 0.1)}
    task = Ranker([After(), Taken()], Mixer(tuple(theta), theta))
    config = EvaluateConfig(**options)
    return evaluate(rec.catalog, rec.events, rec.questions, task, config, lambda *_: None)


def mean(found: Evaluation, measure: str, system: int = 0) -> float:
    return found.systems[system].measured[measure].mean.mean


def test_what_always_follows_is_foretold_and_beats_popularity(shop):
    found = measured(shop, k=3)
    assert [system.name for system in found.systems] == ["pyrec", "popularity"]
    assert found.n_users == 80
    assert mean(found, "recall") > 0.95
    assert mean(found, "ndcg") > 0.85
    assert mean(found, "recall", 1) < 0.5
    gain = found.systems[1].measured["recall"].gain
    assert gain is not None
    assert gain.low > 0.3


def test_without_the_signal_that_knows_the_rest_is_as_good_as_popularity(shop):
    found = measured(shop, ablation=True, k=3)
    worth = {s.name: s.measured["recall"].gain for s in found.left_out}
    assert worth["after"].low > 0.3
    assert abs(worth["taken"].mean) < 0.1
    assert measured(shop).left_out == ()


def test_signals_that_have_nothing_to_say_are_not_listed(shop):
    # Words are not asked, and the catalog says no popularity.
    found = shop.evaluate(EvaluateConfig(ablation=True))
    assert not {"lexical", "coverage", "phrases", "popular"} & {s.name for s in found.left_out}


def test_training_leads_to_what_evaluation_finds(shop):
    before = mean(shop.evaluate(), "ndcg")
    steps: list[str] = []
    report = shop.train(progress=lambda step, share: steps.append(step))
    assert report.used
    assert report.after <= report.before
    found = shop.evaluate(progress=lambda step, share: steps.append(step))
    assert mean(found, "recall") > 0.95
    assert mean(found, "ndcg") >= before
    assert (
        found.settings["weights"] == "not as shipped; if trained on this log, they saw its answers"
    )
    assert {"asking", "measuring"} <= set(steps)


def test_evaluation_writes_nothing_and_is_the_same_again(shop):
    log, theta = list(shop.events.walk()), shop.theta
    first, second = (shop.evaluate(EvaluateConfig(n_users=30, seed=3)) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first.n_users == 30
    assert (list(shop.events.walk()), shop.theta) == (log, theta)


def test_a_temporal_split_hides_what_came_late_of_all_users(shop):
    # The last tenth of the log are whole users of four events, and nobody's past.
    with pytest.raises(EventError, match="no user has an earlier event"):
        measured(shop, split="temporal", share=0.1)
    shop.add_events([Event(f"u{n}", "a1", "click", None, BEGAN + 1e6 + n) for n in range(5)])
    found = measured(shop, split="temporal", share=5 / 325)
    assert "all events after 2020-09" in str(found.settings["hidden"])
    assert 0 < found.n_users <= 5


def test_a_random_split_hides_a_share_of_each_user(shop):
    found = measured(shop, split="random", share=0.5)
    assert found.n_users == 80
    # Two answers each, so that two places of ten at most hold one.
    assert 0.1 < mean(found, "precision") <= 0.2


def test_what_was_taken_before_is_an_answer_only_where_seen_items_are_included(rec):
    rec.add_items(goods())
    again = [Event(f"u{n}", "a1", "click", None, BEGAN + 1e6 + n) for n in range(10)]
    first = [Event(f"u{n}", i, "click", None, BEGAN + n) for n in range(10) for i in ("a1", "b1")]
    rec.add_events(first + again)
    with pytest.raises(EventError, match="that they did not take before"):
        measured(rec)
    found = measured(rec, include_seen=True, k=2)
    assert mean(found, "recall", 1) == 1.0  # popularity may say a1 again
    assert found.settings["seen items"] == "included"


def test_answers_that_no_signal_names_count_and_those_outside_the_catalog_do_not(rec):
    rec.add_items(goods())
    rec.add_events(pairs(60, 2))
    late = BEGAN + 1e6
    rec.add_events([Event("u0", "gone", "click", None, late)])
    rec.add_items([Item("new", "new")])
    rec.add_events([Event("u2", "new", "click", None, late + 1)])
    found = measured(rec, k=40)
    assert (found.settings["users drawn"], found.settings["users left out"]) == (60, 1)
    assert found.n_users == 59
    assert mean(found, "recall") < 1.0  # nobody else took "new"


def test_three_users_are_measured_without_a_nan(rec):
    rec.add_items(goods())
    rec.add_events(pairs(3, 2))
    found = measured(rec, ablation=True)
    assert found.n_users == 3
    assert all(np.isfinite(v) for row in found.as_rows() for v in row.values() if _is_number(v))
    assert "NaN" not in found.to_json()


def test_lists_are_told_apart_by_vectors_where_there_are_any(shop):
    assert "intra_list_diversity" not in measured(shop).metrics
    vectors = Vectors(shop.store, shop.catalog, "toy")
    for _ in vectors.compute(lambda texts: np.eye(len(texts), 64, dtype=np.float32)):
        pass
    shop.questions._vectors = vectors
    found = measured(shop)
    assert mean(found, "intra_list_diversity") == pytest.approx(1.0)


def test_an_empty_catalog_and_an_empty_log_say_what_to_do(rec):
    with pytest.raises(CatalogError, match="catalog is empty; fill it with `pyrec import"):
        rec.evaluate()
    rec.add_items(goods())
    with pytest.raises(EventError, match=r"nobody took anything yet.*pyrec events import"):
        rec.evaluate()
    rec.add_events([Event("u", "a1", "click", None, BEGAN), Event("v", "a1", "click", None, BEGAN)])
    with pytest.raises(EventError, match="none is the second of a user; log more"):
        rec.evaluate()
    with pytest.raises(EventError, match="none came after the others"):
        rec.evaluate(EvaluateConfig(split="temporal"))


@pytest.mark.parametrize(
    "options", [{"k": 0}, {"split": "first"}, {"share": 1.0}, {"share": 0.0}, {"n_users": 0}]
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        EvaluateConfig(**options)


def _is_number(value: object) -> bool:
    return isinstance(value, float)
