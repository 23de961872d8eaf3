"""What users control, as it is typed: shown lists, `pause`, `export-my-data`, `forget`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import TOY_ITEMS

import pyrec
from pyrec.cli import main


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("PYREC_DB", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pyrec.open("pyrec.db") as rec:
        rec.add_items(TOY_ITEMS)
    return folder / "pyrec.db"


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def ok(*arguments: str, stdin: str | None = None) -> Result:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def test_a_list_is_logged_as_shown_where_that_is_asked_for():
    ok("feedback", "anna", "s1", "like")
    ok("recommend", "--user", "anna", "-k", "3")
    assert json.loads(ok("export-my-data", "anna").stdout)["lists_shown"] == []
    listed = ok("recommend", "--user", "anna", "-k", "3", "--shown", "--json")
    (shown,) = json.loads(ok("export-my-data", "anna").stdout)["lists_shown"]
    assert shown["items"] == [row["item_id"] for row in json.loads(listed.stdout)]


def test_shown_without_a_user_is_wrong_usage():
    result = run("recommend", "shoes", "--shown")
    assert (result.exit_code, "--user" in result.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--diversity", "--explore"])
def test_shares_out_of_range_are_wrong_usage(option):
    assert run("recommend", "shoes", option, "1.5").exit_code == 2


def test_evaluate_by_clicks_needs_lists_that_were_left_to_chance():
    result = run("evaluate", "--logged")
    assert result.exit_code == 1
    assert "explore" in result.stderr
    for n in range(5):
        ok("recommend", "shoes", "--user", f"u{n}", "--explore", "0.5", "--shown", "-k", "3")
    ok("feedback", "u1", "s1", "click")
    result = ok("evaluate", "--logged", "--json")
    told = {row["things taken a list"]: row["mean"] for row in json.loads(result.stdout)}
    assert set(told) == {"as it was shown", "by the weights in use", "gain"}
    assert "5 lists" in result.stderr
    for option in (["--ablation"], ["--html", "page.html"], ["--split", "last"], ["-k", "3"]):
        assert run("evaluate", "--logged", *option).exit_code == 2


def test_a_private_session_keeps_nothing_and_says_so():
    assert "nothing" in ok("pause", "anna").stderr
    assert "not kept" in ok("feedback", "anna", "s1", "like").stderr
    assert json.loads(ok("export-my-data", "anna").stdout)["paused"]
    assert "kept again" in ok("pause", "anna", "--end").stderr
    assert "was not paused" in ok("pause", "anna", "--end").stderr
    assert "noted" in ok("feedback", "anna", "s1", "like").stderr


def test_ones_own_data_go_to_a_file(shop):
    ok("feedback", "anna", "s3", "rating", "--value", "4")
    result = ok("export-my-data", "anna", "anna.json")
    assert "anna.json" in result.stderr
    told = json.loads((shop.parent / "anna.json").read_text("utf-8"))
    assert [(e["item"], e["kind"], e["value"]) for e in told["events"]] == [("s3", "rating", 4.0)]


def test_forget_asks_first_and_does_nothing_without_a_yes():
    ok("feedback", "anna", "s1", "like")
    result = run("forget", "anna", stdin="n\n")
    assert result.exit_code != 0
    assert "cannot be undone" in result.stderr
    assert json.loads(ok("export-my-data", "anna").stdout)["events"] != []
    assert "1 event of anna" in ok("forget", "anna", stdin="y\n").stderr
    assert json.loads(ok("export-my-data", "anna").stdout)["events"] == []


def test_forget_names_copies_that_lie_beside(shop):
    ok("feedback", "anna", "s1", "like")
    (shop.parent / "old.db").write_bytes(shop.read_bytes())
    assert "old.db" in ok("forget", "anna", "--yes").stderr


def test_forget_says_what_was_trained_anew(shop):
    with pyrec.open("pyrec.db") as rec:
        rec.add_events({"user": f"u{n}", "item": "s1", "kind": "click"} for n in range(30))
        rec.train()
    assert "trained anew" in ok("forget", "u1", "--yes").stderr
