"""What training leaves in the store, and how it comes back."""

from __future__ import annotations

import numpy as np
import pytest

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.interactions import Interactions
from pyrec.learned import Learned, renumbered
from pyrec.linear_model import LinearModel
from pyrec.store import Store
from pyrec.types import Event

IDS = ("a", "b", "c")
# a speaks for b and against c, c speaks for a.
THETA = {"after": (1.0, 2.5, -3.0, 4.0), "x:y": (0.5, 0.0, 0.0, 0.0)}
MODEL = LinearModel(
    np.array([0, 2, 2, 3], np.int64),
    np.array([1, 2, 0], np.int32),
    np.array([0.5, -0.25, 1.0], np.float32),
)


def pairs(model, ids):
    """Return the weights by the ids of both items."""
    source = np.repeat(np.arange(len(model.ptr) - 1), np.diff(model.ptr)).tolist()
    rows = zip(source, model.idx.tolist(), model.weights.tolist(), strict=True)
    return {(ids[a], ids[b]): weight for a, b, weight in rows}


@pytest.fixture
def taken(store):
    """Let a user take items, and return the crowd then."""
    log, catalog = EventLog(store), Catalog(store)
    interactions = Interactions(log, catalog)

    def take(*item_ids, at=0.0):
        log.append_many(Event("u", i, "like", at=at) for i in item_ids)
        return interactions.follow(0, catalog.version)

    return take


def test_before_training_there_is_nothing(store, taken):
    learned = Learned(store)
    assert learned.theta() == {}
    assert learned.version == 0
    assert learned.linear(taken("a")) is None


def test_what_is_kept_comes_back_after_opening_the_file_again(store, taken):
    crowd = taken("c", "b", "a")
    Learned(store).keep({"recommend": THETA}, MODEL, IDS)
    with Store.open(store.path) as again:
        learned = Learned(again)
        assert learned.theta() == {"after": [1.0, 2.5, -3.0, 4.0], "x:y": [0.5, 0.0, 0.0, 0.0]}
        assert learned.version == 1
        linear = learned.linear(crowd)
        assert pairs(linear, ["c", "b", "a"]) == pairs(MODEL, IDS)


def test_a_later_training_replaces_the_model_and_may_leave_theta(store, taken):
    crowd, learned = taken(*IDS), Learned(store)
    learned.keep({"recommend": {"after": (1.0, 2.0, 3.0, 4.0)}}, MODEL, IDS)
    assert len(learned.linear(crowd).idx) == 3
    nothing = LinearModel(np.zeros(2, np.int64), MODEL.idx[:0], MODEL.weights[:0])
    learned.keep({"recommend": None}, nothing, ["a"])
    assert learned.version == 2
    assert learned.theta() == {"after": [1.0, 2.0, 3.0, 4.0]}
    assert len(learned.linear(crowd).idx) == 0


def test_the_model_counts_items_that_were_taken_since(store, taken):
    learned = Learned(store)
    learned.keep({"recommend": None}, MODEL, IDS)
    assert learned.linear(taken("a")) is not None
    crowd = taken("new", "c")
    assert pairs(learned.linear(crowd), ["a", "new", "c"]) == {("a", "c"): -0.25, ("c", "a"): 1.0}
    # Nothing is read again for an item that the model says nothing of.
    held = learned.linear(crowd)
    assert learned.linear(taken("another")) is held


def test_numbers_that_are_given_out_anew_are_followed(store, taken):
    learned = Learned(store)
    learned.keep({"recommend": None}, MODEL, IDS)
    before = taken("a", "c", at=5.0)
    learned.linear(before)
    crowd = taken("b", at=1.0)
    assert list(crowd.items) == ["b", "a", "c"]
    assert pairs(learned.linear(crowd), ["b", "a", "c"]) == pairs(MODEL, IDS)
    # A question that began before still speaks of the old ones.
    assert pairs(learned.linear(before), ["a", "c"]) == {("a", "c"): -0.25, ("c", "a"): 1.0}


def test_an_earlier_state_gets_no_item_that_it_does_not_know(store, taken):
    learned = Learned(store)
    learned.keep({"recommend": None}, MODEL, IDS)
    earlier = taken("a", "b")
    later = taken("c")
    assert len(learned.linear(later).ptr) == 4
    linear = learned.linear(earlier)
    assert len(linear.ptr) == 3
    assert linear.idx.max() < earlier.n_items


def test_renumbering_drops_what_has_no_number():
    numbers = np.array([3, -1, 0], np.int32)  # a is 3, b unknown, c is 0
    model = renumbered(MODEL, numbers, 5)
    assert pairs(model, ["c", "?", "?", "a", "?"]) == {("a", "c"): -0.25, ("c", "a"): 1.0}
    assert model.ptr.tolist() == [0, 1, 1, 1, 2, 2]
    assert (model.ptr.dtype, model.idx.dtype, model.weights.dtype) == (
        np.int64,
        np.int32,
        np.float32,
    )
    nobody = renumbered(MODEL, np.full(3, -1, np.int32), 2)
    assert nobody.ptr.tolist() == [0, 0, 0]
