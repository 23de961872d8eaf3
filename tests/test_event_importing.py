from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyrec
import pyrec.event_importing
from pyrec.catalog import Catalog
from pyrec.errors import InvalidEventError
from pyrec.event_importing import EventImportReport
from pyrec.events import EventLog
from pyrec.schema import EVENT_INDEXES
from pyrec.store import Store
from pyrec.types import Event


@pytest.fixture
def log(store: Store) -> EventLog:
    return EventLog(store)


def content(log: EventLog) -> list[tuple]:
    return [(e.user_id, e.item_id, e.kind, e.value, e.at, e.session) for e in log.walk()]


# Few values, so that many are equal.
some = st.builds(
    Event,
    st.sampled_from("uv"),
    st.sampled_from("ij"),
    st.sampled_from(["click", "like"]),
    st.sampled_from([None, 1.0, 2.5]),
    st.sampled_from([0.0, 1.0, 1.5]),
    st.sampled_from([None, "s"]),
)


@pytest.mark.parametrize("few", [0, 1000], ids=["sorted", "looked up"])
@pytest.mark.parametrize("many", [0, 1000], ids=["indexes anew", "indexes kept"])
@given(files=st.lists(st.lists(some, max_size=12), min_size=1, max_size=4))
def test_the_nth_of_equal_events_in_a_file_is_the_nth_in_the_log(
    files: list[list[Event]], few: int, many: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, Store.open(":memory:") as store:
        patch.setattr(pyrec.event_importing, "_FEW", few)
        patch.setattr(pyrec.event_importing, "_MANY", many)
        log = EventLog(store)
        expected: Counter[Event] = Counter()
        for file in files:
            counted = Counter(file)
            added = sum((counted - expected).values())
            report = log.add(file)
            assert (report.added, report.already) == (added, len(file) - added)
            expected |= counted
        found = Counter(Event(*row) for row in content(log))
        assert found == expected
        assert store.check() == []
        indexes = store.db.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'events'")
        assert {row[0] for row in indexes} == {"events", *EVENT_INDEXES}


def test_two_equal_clicks_of_a_file_are_both_kept_and_not_added_again(log: EventLog) -> None:
    file = [Event("u", "i", "click", at=5.0)] * 2
    assert log.add(file) == EventImportReport(2, 0, 2, 1)
    assert log.add(file) == EventImportReport(0, 2, 2, 1)
    assert log.add([*file, file[0]]) == EventImportReport(1, 2, 3, 1)


def test_a_file_that_has_grown_adds_what_is_new(log: EventLog) -> None:
    file = [Event("u", f"i{n}", "click", at=float(n)) for n in range(1, 30)]
    log.add(file[:20])
    assert log.add(file).added == 9
    assert [row[4] for row in content(log)] == [float(n) for n in range(1, 30)]


def test_events_without_a_time_come_first_in_the_order_of_arrival(log: EventLog) -> None:
    log.append(Event("u", "live", "like"))
    log.add([Event("u", "b", "like"), Event("u", "timed", "like", at=9.0), Event("u", "a", "like")])
    log.add([Event("u", "c", "like")])
    assert [e.item_id for e in log.history("u")] == ["b", "a", "c", "timed", "live"]
    assert [e.at for e in log.history("u")][:4] == [0.0, 0.0, 0.0, 9.0]


def test_events_of_items_that_are_not_in_the_catalog_are_kept_and_counted(
    toy_catalog: Catalog, log: EventLog
) -> None:
    report = log.add(Event("u", item, "like") for item in ("s1", "x", "x", "y", "k1"))
    assert (report.added, report.n_unknown_events, report.n_unknown_items) == (5, 3, 2)
    assert len(log.history("u")) == 5


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Event("u", "i", "love"), "'love' is unknown"),
        (Event("u", "i", "like", at=time.time() + 90_000), "more than a day in the future"),
        (Event("u", "i", "like", at=-1.0), "before 1970"),
    ],
)
def test_one_bad_event_leaves_the_log_as_it_was(
    log: EventLog, event: Event, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyrec.event_importing, "_CHUNK", 2)
    log.append(Event("u", "before", "like"))
    with pytest.raises(InvalidEventError, match=reason):
        log.add([*[Event("u", "i", "like")] * 5, event])
    assert [e.item_id for e in log.history("u")] == ["before"]
    assert log.state() == (1, 0)


def test_an_import_that_is_interrupted_leaves_the_log_as_it_was(log: EventLog) -> None:
    def rows() -> Iterator[Event]:
        yield from [Event("u", "i", "like")] * 3
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.add(rows())
    assert log.history("u") == []
    assert log.add([Event("u", "i", "like")]).added == 1


def test_others_write_while_a_file_is_read(store: Store, log: EventLog) -> None:
    def rows() -> Iterator[Event]:
        yield Event("u", "a", "like", at=1.0)
        with Store.open(store.path) as other:
            EventLog(other).append(Event("u", "live", "like"))
        yield Event("u", "b", "like", at=2.0)

    assert log.add(rows()).added == 2
    assert [e.item_id for e in log.history("u")] == ["a", "b", "live"]


def test_an_import_within_a_transaction_is_the_callers_slip(store: Store, log: EventLog) -> None:
    with pytest.raises(ValueError, match="its own transaction"), store.transact():
        log.add([])


def test_nothing_adds_nothing(log: EventLog) -> None:
    assert log.add([]) == EventImportReport()


def test_temporary_files_and_caches_go_with_the_import(store: Store, log: EventLog) -> None:
    before = store.db.execute("PRAGMA cache_size").fetchone()
    log.add([Event("u", "i", "like")])
    assert store.db.execute("PRAGMA cache_size").fetchone() == before
    assert [row[1] for row in store.db.execute("PRAGMA database_list").fetchall()] == ["main"]


def test_an_undone_event_can_be_imported_again(log: EventLog) -> None:
    file = [Event("u", "a", "like", at=1.0), Event("u", "b", "like", at=2.0)]
    log.add(file)
    log.undo("u")
    assert log.add(file).added == 1
    assert [e.item_id for e in log.history("u")] == ["a", "b"]


def test_another_process_reads_on_while_indexes_are_built_anew(
    store: Store, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyrec.event_importing, "_MANY", 0)
    log.append(Event("u", "a", "like"))
    other = sqlite3.connect(store.path)
    rows = other.execute("SELECT item_id FROM events ORDER BY at, event_id")
    log.add(Event("u", f"i{n}", "like", at=1.0) for n in range(100))
    assert rows.fetchall() == [("a",)]
    assert len(other.execute("SELECT * FROM events WHERE user_id = 'u'").fetchall()) == 101
    other.close()


# From Python


def test_rows_may_be_dictionaries_with_usual_names_or_events() -> None:
    with pyrec.open(":memory:", text_model=None, embedding_model=None) as rec:
        report = rec.add_events(
            [
                {"user_id": 7, "movieId": 12, "rating": "4.5", "timestamp": 1_500_000_000},
                {"user": "7", "item": "13", "action": "Purchase", "time": "2020-01-01"},
                Event("7", "14", "like"),
            ]
        )
        assert (report.added, report.n_unknown_items) == (3, 3)
        assert [(e.item_id, e.kind, e.value, e.at) for e in rec.history("7")] == [
            ("14", "like", None, 0.0),
            ("12", "rating", 4.5, 1.5e9),
            ("13", "purchase", None, 1577836800.0),
        ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"user": "u", "item": "i", "kind": "love"}, "row 1: event kind 'love' is unknown"),
        ({"user": "u"}, "row 1: no column is known to hold the item"),
        ({"user": "u", "item": "i", "time": "soon"}, "row 1: the time 'soon' is neither unix"),
        ({"user": "u", "item": ["i"]}, "row 1: the item .* is no text"),
    ],
)
def test_a_dictionary_that_is_no_event_is_named_by_its_place(row: dict, reason: str) -> None:
    with pyrec.open(":memory:", text_model=None, embedding_model=None) as rec:
        with pytest.raises(InvalidEventError, match=reason):
            rec.add_events([{"user": "u", "item": "i"}, row])
        assert rec.history("u") == []
        with pytest.raises(TypeError, match="row 0 is 5; give an Event or a dictionary"):
            rec.add_events([5])
