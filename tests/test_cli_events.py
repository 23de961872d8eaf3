"""`pyrec events import` and `export` as they are typed, and an import that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import TOY_ITEMS

import pyrec
from pyrec.cli import main
from pyrec.events import EventLog
from pyrec.store import Store
from pyrec.types import Event

RATINGS = "userId,itemId,rating,timestamp\nanna,s1,4.5,1500000000\nanna,x9,2,1500000100\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("PYREC_DB", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def shop(place: Path) -> Path:
    with pyrec.open("pyrec.db") as rec:
        rec.add_items(TOY_ITEMS)
    return place / "pyrec.db"


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["events", *arguments], input=stdin)


def log_of(db: str | Path) -> list[tuple]:
    with Store.open(db) as store:
        events = EventLog(store).walk()
        return [(e.user_id, e.item_id, e.kind, e.value, e.at, e.session) for e in events]


def test_import_says_what_is_new_and_what_is_not_in_the_catalog(shop: Path) -> None:
    Path("ratings.csv").write_text(RATINGS)
    result = run("import", "ratings.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "imported 2 new events into pyrec.db; 0 were there" in result.stderr
    assert "1 event of 1 item that is not in the catalog yet" in result.stderr
    again = run("import", "ratings.csv")
    assert "imported 0 new events into pyrec.db; 2 were there" in again.stderr
    assert log_of(shop) == [
        ("anna", "s1", "rating", 4.5, 1.5e9, None),
        ("anna", "x9", "rating", 2.0, 1500000100.0, None),
    ]


def test_import_makes_a_database_where_there_is_none(place: Path) -> None:
    table = "who\twhat\nanna\ts1\nanna\ts1\n"
    result = run(
        "import", "-", "--format", "tsv", "--kind", "purchase",
        "--column", "user=who", "--column", "item=what", stdin=table,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert log_of("pyrec.db") == [("anna", "s1", "purchase", None, 0.0, None)] * 2


def test_times_that_are_unknown_are_shown_as_none(shop: Path) -> None:
    run("import", "-", stdin="user,item\nanna,s1\n")
    rows = CliRunner().invoke(main, ["history", "anna"]).stdout
    assert [(row["at"], row["kind"]) for row in json.loads(rows)] == [(None, "click")]


def test_bad_rows_are_named_and_strict_ends_at_the_first(place: Path) -> None:
    Path("log.csv").write_text("user,item,kind\nu,i,like\nu,i,view\n,i,like\n")
    result = run("import", "log.csv", "--strict")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: log.csv: line 3: event kind 'view' is unknown")
    assert result.stderr.endswith("; nothing was imported\n")
    assert log_of("pyrec.db") == []
    told = run("import", "log.csv").stderr
    assert "log.csv: line 3: event kind 'view' is unknown" in told
    assert "log.csv: line 4: the user of a like event is empty" in told
    assert "left out 2 of 3 rows, which could not be read, see above" in told
    assert len(log_of("pyrec.db")) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "log.csv holds no event; nothing was imported"),
        ("user,item,kind\nu,i,view\n", "log.csv holds no event; nothing was imported"),
        ("a,b\n1,2\n", "no column is known to hold the user"),
    ],
)
def test_a_file_without_events_is_an_error_and_makes_no_database(
    place: Path, content: str, reason: str
) -> None:
    Path("log.csv").write_text(content)
    result = run("import", "log.csv")
    assert result.exit_code == 1
    assert reason in result.stderr
    assert not Path("pyrec.db").exists()


def test_a_missing_file_is_not_found_and_a_wrong_column_is_wrong_usage(place: Path) -> None:
    assert run("import", "nothing.csv").exit_code == 3
    result = run("import", "-", "--column", "title=x", stdin="user,item\n")
    assert result.exit_code == 2
    assert "FIELD is one of user, item, kind, value, time, session" in result.stderr
    assert run("export").exit_code == 3
    assert list(place.iterdir()) == []


@pytest.fixture
def lived(shop: Path) -> Path:
    """A store with events of all sorts."""
    with Store.open(shop) as store:
        log = EventLog(store)
        log.append_many([Event("anna", "s1", "like"), Event("bea", "运动鞋, 男", "click")])
        log.add([
            Event("anna", "k1", "rating", 0.1 + 0.2, 1500000000.1234567, "evening"),
            Event("anna", "k1", "click"), Event("anna", "k1", "click"),
            Event("bea", 'a "b"', "impression", 3.0, 5e-324),
            Event("bea", "b2", "dislike", None, 1500000000.0),
            Event("bea", "b1", "dislike", None, 1500000000.0),
        ])  # fmt: skip
    return shop


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.jsonl", "log.json", "log.txt"])
def test_an_export_is_read_back_just_so_and_adds_nothing_to_its_own_store(
    lived: Path, name: str
) -> None:
    result = run("export", name)
    assert result.stderr == f"wrote 8 events to {name}\n"
    assert "8 were there" in run("import", name, "--strict").stderr
    assert len(log_of(lived)) == 8
    assert run("import", name, "--strict", "--db", "new.db").exit_code == 0
    assert log_of("new.db") == log_of(lived)
    assert sorted(path.name for path in lived.parent.glob("*.part")) == []


def test_export_writes_one_users_events_in_order_on_stdout(lived: Path) -> None:
    lines = run("export", "--user", "anna").stdout.splitlines()
    assert lines[0] == "user,item,kind,value,time,session"
    assert lines[1:3] == ["anna,k1,click,,,"] * 2
    evening = "anna,k1,rating,0.30000000000000004,2017-07-14T02:40:00.1234567Z,evening"
    assert lines[3] == evening
    assert lines[4].startswith("anna,s1,like,,2")
    assert len(lines) == 5
    last = run("export", "-", "--format", "jsonl").stdout.splitlines()[-1]
    assert json.loads(last).keys() == {"user", "item", "kind", "value", "time", "session"}


def test_an_export_that_cannot_be_written_leaves_the_file_that_was_there(shop: Path) -> None:
    with Store.open(shop) as store:
        EventLog(store).append(Event(" u", "i", "like"))
    Path("log.csv").write_text("before")
    result = run("export", "log.csv")
    assert result.exit_code == 1
    assert "export as JSONL" in result.stderr
    assert Path("log.csv").read_text() == "before"
    assert run("export", "no/log.csv").exit_code == 3


def many(path: Path, n: int) -> Path:
    with path.open("w") as file:
        file.write("user,item,rating,time\n")
        for number in range(n):
            file.write(f"u{number % 977},i{number % 89},{number % 5},{1.5e9 - 7 * number}\n")
    return path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs SIGKILL")
@pytest.mark.parametrize("what", ["killed", "stopped"])
def test_a_large_import_that_is_ended_from_outside_leaves_the_log_as_it_was(
    lived: Path, what: str
) -> None:
    before = log_of(lived)
    command = [sys.executable, "-m", "pyrec", "events", "import", many(Path("many.csv"), 150_000)]
    began = time.monotonic()
    assert subprocess.run([*command, "--db", "whole.db"], capture_output=True).returncode == 0
    whole_s = time.monotonic() - began
    # While the file is read, and while the events are put in their places.
    for share in (0.25, 0.5, 0.7, 0.85):
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            time.sleep(share * whole_s)
            process.send_signal(signal.SIGKILL if what == "killed" else signal.SIGINT)
            told = process.communicate()[1].decode()
        with Store.open(lived) as store:
            assert store.check() == []
        after = log_of(lived)
        if len(after) == len(before) + 150_000:
            break  # it was quicker this time
        assert after == before
        if what == "stopped":
            # Or ended by the signal itself, where Python was still starting.
            assert process.returncode in (130, -signal.SIGINT)
            assert "stopped; nothing was imported" in told
    else:
        share = 1.0
    assert share > 0.25, "it was never ended before its end"
    with Store.open("whole.db") as store:
        assert store.check() == []
        (n,) = store.db.execute("SELECT count(*) FROM events").fetchone()
        assert n == 150_000
