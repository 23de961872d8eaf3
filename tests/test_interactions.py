"""Histories that follow the log, held against a fresh reading of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.interactions import TAKEN, Crowd, Interactions
from pyrec.store import Store
from pyrec.types import EVENT_KINDS, Event, Item

USERS = ("u", "v", "w")
ITEMS = ("a", "b", "c", "d")
EVERY_ITEM = (*ITEMS, "stranger")


class Reader:
    """One process beside others: its own connection, and histories that follow."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(path)
        self.log = EventLog(self.store)
        self.catalog = Catalog(self.store)
        self.interactions = Interactions(self.log, self.catalog)

    def follow(self) -> Crowd:
        return self.interactions.follow(len(self.catalog.live()), self.catalog.version)


def histories(crowd: Crowd) -> dict[str, list[tuple[str, bool]]]:
    """Return per user with a history the item ids and whether each is at the time of the last."""
    names = list(crowd.items)
    found = {}
    for user_id in USERS:
        numbers, same = crowd.histories.history(crowd.user(user_id))
        if len(numbers):
            pairs = zip(numbers.tolist(), same.tolist(), strict=True)
            found[user_id] = [(names[n], bool(flag)) for n, flag in pairs]
    return found


def transitions(crowd: Crowd, item_id: str) -> dict[str, list[float]]:
    """Return what comes after, near and together with an item, by item id."""
    number = crowd.numbers([item_id])
    sums = crowd.histories.transitions(
        number[number >= 0], np.ones((number >= 0).sum(), np.float32), crowd.n_items,
        50, 0.85, 0.5, 0.0, 0.3,
    )  # fmt: skip
    rows = zip(crowd.items, *(each.tolist() for each in sums), strict=False)
    return {row[0]: list(row[1:]) for row in rows if any(row[1:])}


def counts(crowd: Crowd) -> dict[str, float]:
    return {i: n for i, n in zip(crowd.items, crowd.count.tolist(), strict=False) if n}


def assert_same_as_fresh(reader: Reader, path: Path) -> None:
    crowd = reader.follow()
    fresh_reader = Reader(path)
    fresh = fresh_reader.follow()
    assert histories(crowd) == histories(fresh)
    assert counts(crowd) == counts(fresh)
    for item_id in EVERY_ITEM:
        held, anew = transitions(crowd, item_id), transitions(fresh, item_id)
        assert held.keys() == anew.keys()
        for other, sums in held.items():
            assert sums == pytest.approx(anew[other], rel=1e-5)
    rows = reader.catalog.idxs(list(crowd.items)).tolist()
    assert crowd.row_of.tolist() == rows
    numbers = {row: number for number, row in enumerate(rows) if row >= 0}
    assert crowd.number_of.tolist() == [
        numbers.get(row, -1) for row in range(len(reader.catalog.live()))
    ]
    fresh_reader.store.close()


kinds = st.sampled_from([*TAKEN, *EVENT_KINDS])
# Explicit times meet each other often; 0 is unknown.
imported = st.builds(
    Event, st.sampled_from(USERS), st.sampled_from(EVERY_ITEM), kinds, st.just(3.0),
    st.sampled_from([0.0, 1.0, 2.0, 5.0, 1e9]),
)  # fmt: skip
steps = st.lists(
    st.one_of(
        st.tuples(st.just("feedback"), st.sampled_from(USERS), st.sampled_from(EVERY_ITEM), kinds),
        st.tuples(st.just("import"), st.lists(imported, max_size=6)),
        st.tuples(st.just("append"), imported),
        st.tuples(st.just("undo"), st.sampled_from(USERS)),
        st.tuples(st.sampled_from(["add", "remove"]), st.sampled_from(ITEMS)),
        st.tuples(st.just("follow"), st.sampled_from([0, 1])),
    ),
    max_size=14,
)


def act(reader: Reader, step: tuple) -> None:
    """Let a process do something."""
    what, rest = step[0], step[1:]
    if what == "feedback":
        reader.log.append(Event(*rest, 3.0))
    elif what == "import":
        reader.log.add(rest[0])
    elif what == "append":
        reader.log.append(rest[0])
    elif what == "undo":
        reader.log.undo(rest[0])
    elif what == "add":
        reader.catalog.add([Item(rest[0], f"Thing {rest[0]}")])
    elif what == "remove" and reader.catalog.idxs(rest)[0] >= 0:
        reader.catalog.remove(rest)


@settings(max_examples=60, deadline=None)
@given(steps, st.booleans())
def test_whoever_follows_holds_what_a_fresh_reading_finds(script: list[tuple], often: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        readers = [Reader(path), Reader(path)]
        readers[0].catalog.add([Item(i, f"Thing {i}") for i in ITEMS])
        try:
            for n, step in enumerate(script):
                act(readers[n % 2], step)
                if step[0] == "follow":
                    assert_same_as_fresh(readers[step[1]], path)
                elif often:
                    assert_same_as_fresh(readers[0], path)
            for reader in readers:
                assert_same_as_fresh(reader, path)
        finally:
            for reader in readers:
                reader.store.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path / "shop.db")
    reader.catalog.add([Item(i, f"Thing {i}") for i in ITEMS])
    yield reader
    reader.store.close()


def test_equal_times_have_no_order_and_unknown_times_have_the_file_s(reader: Reader) -> None:
    reader.log.add([Event("u", i, "like", at=7.0) for i in "abc"])
    reader.log.add([Event("v", i, "like") for i in "abc"])
    assert histories(reader.follow()) == {
        "u": [("a", False), ("b", True), ("c", True)],
        "v": [("a", False), ("b", False), ("c", False)],
    }


@pytest.mark.parametrize("kind", sorted({*EVENT_KINDS} - {*TAKEN}))
def test_what_was_only_shown_passed_over_or_disliked_was_not_taken(
    reader: Reader, kind: str
) -> None:
    reader.log.append_many([Event("u", "a", "like"), Event("u", "b", kind)])
    crowd = reader.follow()
    assert histories(crowd) == {"u": [("a", False)]}
    assert crowd.numbers(["a", "b"]).tolist() == [0, -1]


def test_late_events_take_their_place_though_two_imports_are_met_at_once(reader: Reader) -> None:
    reader.log.append(Event("u", "a", "like", at=10.0))
    reader.follow()
    reader.log.add([Event("u", "c", "like", at=30.0)])
    reader.log.add([Event("u", "b", "like", at=20.0)])
    assert [i for i, _ in histories(reader.follow())["u"]] == ["a", "b", "c"]


def test_what_is_taken_back_and_done_again_is_at_its_own_time(reader: Reader) -> None:
    reader.log.add([Event("u", "a", "like", at=7.0), Event("u", "b", "like", at=7.0)])
    assert histories(reader.follow())["u"] == [("a", False), ("b", True)]
    reader.log.undo("u")
    reader.log.append(Event("u", "b", "like"))
    assert histories(reader.follow())["u"] == [("a", False), ("b", False)]


def test_items_without_a_place_in_the_catalog_are_kept_and_get_one_when_they_come(
    reader: Reader,
) -> None:
    reader.log.append_many([Event("u", i, "like") for i in ("stranger", "a")])
    crowd = reader.follow()
    assert crowd.row_of.tolist() == [-1, 0]
    reader.catalog.add([Item("stranger", "At Last")])
    crowd = reader.follow()
    assert crowd.row_of.tolist() == [4, 0]
    assert crowd.number_of.tolist() == [1, -1, -1, -1, 0]
    reader.catalog.remove(["a"])
    crowd = reader.follow()
    assert crowd.row_of.tolist() == [4, -1]
    reader.catalog.add([Item("a", "Back Again")])
    crowd = reader.follow()
    row = int(reader.catalog.idx("a"))
    assert crowd.row_of.tolist() == [4, row]
    assert crowd.number_of[[0, 4, row]].tolist() == [1 if row == 0 else -1, 0, 1]


def test_an_event_that_comes_while_the_log_is_read_is_met_once(reader: Reader, tmp_path) -> None:
    reader.log.append(Event("u", "a", "like"))
    walk = reader.log.all_ordered

    def late(**options):
        with Store.open(tmp_path / "shop.db") as other:
            EventLog(other).append(Event("u", "b", "like"))
        return chain(walk(**options))

    reader.log.all_ordered = late  # type: ignore[method-assign]
    reader.follow()
    assert [i for i, _ in histories(reader.follow())["u"]] == ["a", "b"]


def test_a_state_that_others_append_to_knows_only_its_own_items(reader: Reader) -> None:
    reader.log.append(Event("u", "a", "like"))
    crowd = reader.follow()
    reader.log.append(Event("u", "b", "like"))
    assert reader.follow().numbers(["a", "b"]).tolist() == [0, 1]
    assert crowd.numbers(["a", "b"]).tolist() == [0, -1]
    # A new reading gives numbers out anew; the state keeps its own.
    reader.log.add([Event("v", "d", "like", at=1.0)])
    assert reader.follow().numbers(["d", "a"]).tolist() == [0, 1]
    assert crowd.user("u") == 0
    assert crowd.numbers(["a"]).tolist() == [0]
