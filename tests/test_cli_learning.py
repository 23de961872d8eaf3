"""`pyrec train` and `pyrec evaluate` as they are typed."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import pyrec
from pyrec.cli import main
from pyrec.types import Event

N_PAIRS = 10
MEASURES = {
    "ndcg", "recall", "precision", "f1", "hit_rate", "reciprocal_rank", "average_precision",
    "novelty", "coverage",
}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("PYREC_DB", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def make(n_users: int) -> None:
    """Fill pyrec.db with users who take two pairs, b always after a."""
    with pyrec.open("pyrec.db") as rec:
        rec.add_items({"id": f"{h}{n}", "title": f"{h}{n}"} for n in range(N_PAIRS) for h in "ab")
        taken = [
            (f"u{user}", f"{half}{pair}")
            for user in range(n_users)
            for pair in (user % N_PAIRS, (user // N_PAIRS + user + 1) % N_PAIRS)
            for half in "ab"
        ]
        rec.add_events(
            Event(user, item, "click", None, 1.6e9 + n) for n, (user, item) in enumerate(taken)
        )


@pytest.fixture
def shop(place: Path) -> None:
    make(80)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert "nan" not in result.stdout.lower()
    assert not re.search(r"\bnan\b", result.stderr.lower())
    return result


def rows(*arguments: str) -> dict[tuple[str, str], dict]:
    result = run("evaluate", *arguments)
    assert result.exit_code == 0, result.stderr
    return {(row["system"], row["measure"]): row for row in json.loads(result.stdout)}


def test_train_says_who_was_asked_and_what_it_led_to(shop):
    result = run("train")
    assert (result.exit_code, result.stdout) == (0, "")
    last = result.stderr.splitlines()[-1]
    found = re.fullmatch(
        r"asked 80 users; the new weights are used from now on"
        r" \(loss ([\d.]+) before, ([\d.]+) after\); what items go together was worked out anew",
        last,
    )
    assert found, last
    assert float(found[2]) <= float(found[1])
    assert "asking" in result.stderr


def test_evaluate_prints_each_measure_of_each_system_with_its_interval(shop):
    run("train")
    found = rows("-k", "3")
    assert {system for system, _ in found} == {"pyrec", "popularity"}
    assert {measure for _, measure in found} == MEASURES
    ours, popular = found["pyrec", "recall"], found["popularity", "recall"]
    assert ours["mean"] > 0.95
    assert ours["low"] <= ours["mean"] <= ours["high"]
    assert (ours["n_users"], ours["gain"]) == (80, None)
    assert popular["gain_low"] > 0.3
    assert popular["gain"] == pytest.approx(ours["mean"] - popular["mean"], abs=2e-4)
    assert found["pyrec", "coverage"]["low"] is None


def test_the_table_shows_a_row_a_measure_and_what_each_signal_adds(shop):
    run("train")
    result = run("evaluate", "-t", "--ablation")
    table, worth = result.stdout.split("\n\n")
    names = [line.split("  ")[0] for line in table.splitlines()]
    assert names[0] == "measure"
    assert set(names[2:]) == MEASURES
    assert "popularity" in table.splitlines()[0]
    assert worth.startswith("signal")
    assert {"after", "near", "linear"} <= {line.split()[0] for line in worth.splitlines()}
    for setting in ("k: 10", "hidden: the last event of each user", "seen items: removed"):
        assert setting in result.stderr


def test_programs_get_the_same_rows_as_csv_and_lines_and_signals_by_name(shop):
    lines = [json.loads(line) for line in run("evaluate", "--nl").stdout.splitlines()]
    read = list(csv.DictReader(io.StringIO(run("evaluate", "--csv").stdout)))
    assert [row["measure"] for row in read] == [row["measure"] for row in lines]
    assert read[-1]["low"] == ""
    assert ("without content", "ndcg") in rows("--ablation")


def test_split_share_users_and_seen_items_are_as_asked_for(shop):
    told = run("evaluate", "--split", "random", "--share", "0.5", "--users", "20").stderr
    assert "hidden: 50% of each user's events, at random" in told
    assert "users drawn: 20" in told
    assert "only 20 users could be asked: chance moves these means a lot" in told
    assert "seen items: included" in run("evaluate", "--include-seen").stderr
    assert rows("-k", "5", "--exclude-seen") == rows("-k", "5")


def test_the_page_needs_nothing_else(shop):
    result = run("evaluate", "--ablation", "--html", "report.html")
    assert result.stderr.endswith("wrote report.html\n")
    page = Path("report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "What each signal is worth" in page
    assert not re.search(r"<script|<link|src=|@import|url\(|https?://(?!www\.w3\.org/)", page)
    assert [path.name for path in Path().glob("report*")] == ["report.html"]


def test_a_page_that_cannot_be_written_is_said_before_the_work(shop):
    result = run("evaluate", "--html", "none/report.html")
    assert result.exit_code == 3
    assert "there is no folder none" in result.stderr
    assert "asking" not in result.stderr


def test_three_users_keep_the_weights_and_are_measured_with_a_warning(place):
    make(3)
    trained = run("train")
    assert trained.exit_code == 0
    assert (
        "3 users could be asked; what histories weigh stays as it was: too few users"
        in trained.stderr
    )
    result = run("evaluate", "--ablation")
    assert result.exit_code == 0
    assert "only 3 users could be asked: chance moves these means a lot" in result.stderr


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_without_events_or_database_it_is_said_what_to_do(place, command):
    assert run(command).exit_code == 3
    with pyrec.open("pyrec.db") as rec:
        rec.add_items([{"id": "a", "title": "A"}])
    result = run(command)
    assert result.exit_code == 1
    assert "pyrec events import FILE" in result.stderr


def test_without_catalog_there_is_nothing_to_evaluate(place):
    with pyrec.open("pyrec.db") as rec:
        rec.add_events(Event(f"u{n}", f"i{m}", "click") for n in range(60) for m in range(4))
    result = run("evaluate", "--html", "report.html")
    assert result.exit_code == 1
    assert "the catalog is empty; fill it with `pyrec import FILE`" in result.stderr
    assert list(Path().glob("report*")) == []
    assert run("train").exit_code == 0


@pytest.mark.parametrize("option", [["--share", "1"], ["--split", "first"], ["-k", "0"]])
def test_options_out_of_range_are_wrong_usage(shop, option):
    assert run("evaluate", *option).exit_code == 2


def test_ctrl_c_changes_nothing(shop, monkeypatch):
    from pyrec import train

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit_linear", interrupted)
    result = run("train")
    assert result.exit_code == 130
    assert result.stderr.endswith("stopped; nothing was changed\n")
    with pyrec.open("pyrec.db") as rec:
        assert (rec.learned.version, rec.learned.theta()) == (0, {})


def test_adapting_the_text_model_needs_one_and_is_not_mixed_with_the_other_training(shop):
    result = run("train", "--text")
    assert result.exit_code == 3
    assert "pyrec models pull" in result.stderr
    assert run("train", "--text", "--behavior").exit_code == 2
