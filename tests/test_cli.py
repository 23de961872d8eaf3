"""The commands as they are typed, without models; what only a real process shows is elsewhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import TOY_ITEMS

import pyrec
from pyrec import connection
from pyrec.cli import main
from pyrec.cli.width import width
from pyrec.recommender import IndexProgress
from pyrec.store import Store

PRICES = ("89.9", "129", "299", "359")
BAD_ROWS = "id,title,price\n1,Red Shoe,3\n,No Id,4\n2,Blue Shoe,cheap\n3,Green Shoe,5\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, without models and without settings of the developer's own."""
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("PYREC_DB", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def shop(place: Path) -> Path:
    """The toy catalog, where commands look for a database."""
    with pyrec.open("pyrec.db") as rec:
        rec.add_items(TOY_ITEMS)
    return place / "pyrec.db"


def cut(line: str, columns: int) -> str:
    """Return the part of a line that takes so many columns on a terminal."""
    return next(line[:n] for n in range(len(line)) if width(line[:n]) == columns)


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def rows(*arguments: str) -> list[dict]:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def ids(*arguments: str) -> list[str]:
    return [row["item_id"] for row in rows(*arguments)]


# Import


def test_import_makes_a_database_and_says_what_it_holds(place: Path) -> None:
    (place / "shoes.csv").write_text(BAD_ROWS)
    result = run("import", "shoes.csv")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "imported 2 new, 0 changed, 0 as they were; pyrec.db now holds 2 items" in result.stderr
    assert ids("recommend", "red", "shoe")[0] == "1"


def test_import_names_each_bad_row_by_line_and_reason(place: Path) -> None:
    (place / "shoes.csv").write_text(BAD_ROWS)
    told = run("import", "shoes.csv").stderr
    assert "shoes.csv: line 3: the id is empty" in told
    assert "shoes.csv: line 4: the price 'cheap' is not a number" in told
    assert "left out 2 of 4 rows" in told


def test_strict_import_ends_at_the_first_bad_row_and_keeps_nothing(place: Path) -> None:
    (place / "shoes.csv").write_text(BAD_ROWS)
    result = run("import", "shoes.csv", "--strict")
    assert result.exit_code == 1
    assert result.stderr == "Error: shoes.csv: line 3: the id is empty; nothing was imported\n"
    assert run("recommend").stderr.endswith(
        "the catalog is empty; fill it with `pyrec import FILE`\n"
    )


def test_import_again_changes_what_differs(place: Path) -> None:
    (place / "a.jsonl").write_text('{"id": "1", "title": "A"}\n{"id": "2", "title": "B"}\n')
    run("import", "a.jsonl")
    (place / "a.jsonl").write_text('{"id": "1", "title": "A"}\n{"id": "2", "title": "C"}\n')
    assert "imported 0 new, 1 changed, 1 as they were" in run("import", "a.jsonl").stderr


def test_import_says_that_a_later_row_with_the_same_id_counts() -> None:
    result = run("import", "-", stdin='{"id": "1", "title": "A"}\n{"id": "1", "title": "B"}\n')
    assert "left out 1 row whose id a later row has" in result.stderr
    assert rows("recommend")[0]["title"] == "B"


def test_import_reads_stdin_with_columns_and_lists_named() -> None:
    table = "code\tlabel\tcost\tcolors\n7\t运动鞋\t299\tred, black\n"
    options = ["--column", "id=code", "--column", "title=label", "--column", "price=cost"]
    result = run("import", "-", "--format", "tsv", *options, "--list", "colors", stdin=table)
    assert result.exit_code == 0, result.stderr
    (row,) = rows("recommend", "--where", "colors=black")
    assert (row["item_id"], row["title"], row["price"]) == ("7", "运动鞋", 299.0)
    assert row["attributes"] == {"colors": ["red", "black"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty.csv holds no item; nothing was imported"),
        (b"id,title\n", "empty.csv holds no item; nothing was imported"),
        (b"x,y\n1,2\n", "there are x, y: say which it is (--column id=NAME)"),
        (b"SQLite format 3\0", "is a database"),
        (b"id,title\n1,\xff\n", "not valid UTF-8"),
    ],
)
def test_a_file_without_items_is_an_error_and_makes_no_database(
    place: Path, content: bytes, reason: str
) -> None:
    (place / "empty.csv").write_bytes(content)
    result = run("import", "empty.csv")
    assert result.exit_code == 1
    assert reason in result.stderr
    assert not (place / "pyrec.db").exists()


def test_a_missing_file_is_not_found_and_makes_no_database(place: Path) -> None:
    result = run("import", "nothing.csv")
    assert (result.exit_code, result.stderr) == (3, "Error: there is no file nothing.csv\n")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("column", ["id", "size=width", "=x"])
def test_a_column_that_maps_no_field_is_wrong_usage(column: str) -> None:
    result = run("import", "-", "--column", column, stdin="id,title\n")
    assert result.exit_code == 2
    assert "FIELD is one of id, title, text, price, popularity" in result.stderr


# The database


READ_COMMANDS = [
    ["recommend", "shoes"],
    ["similar", "s1"],
    ["need", "shoes"],
    ["index"],
    ["feedback", "anna", "s1", "like"],
    ["undo", "anna"],
    ["history", "anna"],
]


@pytest.mark.parametrize("command", READ_COMMANDS, ids=lambda command: command[0])
def test_a_missing_database_is_not_found_and_none_is_made(place: Path, command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: there is no database pyrec.db; make it with `pyrec imp")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("command", READ_COMMANDS, ids=lambda command: command[0])
def test_a_file_that_is_no_database_is_damaged_and_stays_as_it_is(
    place: Path, command: list[str]
) -> None:
    (place / "notes.txt").write_text("not a database")
    result = run(*command, "--db", "notes.txt")
    assert result.exit_code == 5
    assert "notes.txt is not a database" in result.stderr
    assert (place / "notes.txt").read_text() == "not a database"


def test_the_database_is_chosen_by_option_then_by_environment(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = '{"id": "1", "title": "A"}'
    run("import", "-", "--db", "one.db", stdin=item)
    monkeypatch.setenv("PYREC_DB", "two.db")
    run("import", "-", stdin=item + '\n{"id": "2", "title": "B"}')
    assert sorted(path.name for path in place.glob("*.db")) == ["one.db", "two.db"]
    assert len(ids("recommend")) == 2
    assert len(ids("recommend", "--db", "one.db")) == 1


def test_a_locked_database_is_busy(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_S", 0.05)
    with Store.open(shop) as other, other.transact():
        result = run("feedback", "anna", "s1", "like")
    assert result.exit_code == 4
    assert "is being written by another process" in result.stderr
    assert rows("history", "anna") == []


# Questions


def test_recommend_puts_data_on_stdout_and_how_it_was_made_on_stderr(shop: Path) -> None:
    result = run("recommend", "running", "shoes", "under", "100", "-k", "2")
    row, _ = json.loads(result.stdout)
    assert row["rank"] == 1
    assert (row["item_id"], row["price"], row["popularity"]) == ("s1", 89.9, 120.0)
    assert row["attributes"]["color"] == ["red", "black"]
    assert row["score"] <= 0.0
    assert {"signal", "contribution", "text"} == set(row["reasons"][0])
    assert "filter price<=100" in result.stderr
    assert result.stderr.rstrip().endswith(" ms")


def test_a_condition_alone_is_a_question_even_where_nothing_is_known_of_items(place: Path) -> None:
    run("import", "-", stdin="id,title,color\n1,A,red\n2,B,blue\n3,C,red\n")
    assert ids("recommend", "--where", "color=red") == ["1", "3"]
    assert ids("recommend", "zebra") == []


def test_recommend_takes_conditions_and_how_many(shop: Path) -> None:
    assert ids("recommend", "--where", "brand=Tarn", "--where", "price<50") == ["b1"]
    assert len(ids("recommend", "-k", "5")) == 5


def test_a_question_of_one_dash_comes_from_stdin(shop: Path) -> None:
    result = run("recommend", "-", "--nl", "-k", "1", stdin="运动鞋\n".encode())
    assert json.loads(result.stdout)["item_id"] == "s3"


@pytest.mark.parametrize("question", ["", "\0\x1b[2J\n", "\ufffd" * 50_000, "a" * 100_000, "<eos>"])
def test_any_question_gets_an_answer(shop: Path, question: str) -> None:
    assert run("recommend", "-", stdin=question.encode()).exit_code == 0


def test_a_question_of_broken_bytes_gets_an_answer(shop: Path) -> None:
    result = run("recommend", "-", "-k", "1", "--nl", stdin=b"\xff\xfe\x00 keyboard")
    assert json.loads(result.stdout)["item_id"] == "t3"


def test_seen_items_come_only_when_asked_for(shop: Path) -> None:
    run("feedback", "anna", "t1", "click")
    question = ["recommend", "wireless", "mouse", "--user", "anna"]
    assert "t1" not in ids(*question)
    assert ids(*question, "--include-seen")[0] == "t1"


def test_an_empty_answer_says_why(shop: Path) -> None:
    result = run("recommend", "shoes", "--where", "price<1")
    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert "no item was found that meets price<1; ask for less" in result.stderr


def test_generating_without_a_text_model_still_answers(shop: Path) -> None:
    assert ids("recommend", "mouse", "--generate")[0] == "t1"
    assert ids("recommend", "mouse", "--generate-catalog")[0] == "t1"


def test_similar_leaves_the_item_itself_out(shop: Path) -> None:
    assert ids("similar", "s1", "-k", "3")[0] == "s2"
    assert "s1" not in ids("similar", "s1")


def test_need_lists_phrases_filters_and_words(shop: Path) -> None:
    result = run("need", "kitchen", "under", "50")
    assert json.loads(result.stdout) == [
        {"kind": "phrase", "text": "kitchen", "probability": 1.0},
        {"kind": "filter", "text": "price<=50", "probability": 1.0},
        {"kind": "word", "text": "kitchen", "probability": None},
    ]
    assert "filter price<=50" in result.stderr


def test_a_model_that_is_named_and_not_there_is_not_found(shop: Path) -> None:
    result = run("recommend", "shoes", "--text-model", "gemma3-270m")
    assert result.exit_code == 3
    assert "pyrec models pull gemma3-270m" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["similar", "wireless mouse"], 3, "is not in the catalog; did you mean t1?"),
        (["feedback", "anna", "s9", "like"], 3, "item 's9' is not in the catalog"),
        (["recommend", "--where", "weight<3"], 1, "no item has a column 'weight'; there are price"),
        (["recommend", "--where", "cheap"], 2, "write it like price<=50"),
        (["recommend", "-k", "0"], 2, "0 is not in the range"),
        (["recommend", "--user", "\udcff"], 2, "not text in the terminal's encoding"),
        (["feedback", "anna", "s1", "love"], 2, "'love' is not one of 'impression'"),
        (["feedback", "anna", "s1", "rating"], 2, "a rating needs its number: --value 4"),
        (["feedback", "anna", "s1", "rating", "--value", "nan"], 1, "is not a finite number"),
        (["feedback", " ", "s1", "like"], 1, "the user of a like event is empty"),
        (["recomend"], 2, "No such command 'recomend'"),
    ],
)
def test_errors_name_the_thing_and_end_with_their_code(
    shop: Path, arguments: list[str], code: int, message: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_problem_nobody_foresaw_is_told_without_a_traceback(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyrec.Recommender, "need", lambda *_, **__: 1 / 0)
    result = run("need", "shoes")
    assert result.exit_code == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("PYREC_DEBUG", "1")
    assert "Traceback" in run("need", "shoes").stderr


# Users


def test_feedback_history_and_undo(shop: Path) -> None:
    assert "anna, like: s1 Trail Running Shoes" in run("feedback", "anna", "s1", "like").stderr
    run("feedback", "anna", "k1", "rating", "--value", "4")
    first, second = rows("history", "anna")
    assert (first["kind"], first["item_id"], first["title"]) == (
        "like",
        "s1",
        "Trail Running Shoes",
    )
    assert (second["kind"], second["value"]) == ("rating", 4.0)
    assert first["at"].endswith("Z")
    assert len(rows("history", "anna", "-n", "1")) == 1
    assert "taken back: anna, rating 4: k1" in run("undo", "anna").stderr
    assert [row["item_id"] for row in rows("history", "anna")] == ["s1"]


def test_a_new_user_has_no_history_and_nothing_to_take_back(shop: Path) -> None:
    result = run("history", "bea")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "[]\n",
        "nothing is known of bea\n",
    )
    assert run("undo", "bea").stderr == "there is nothing of bea to take back\n"


def test_history_bears_with_items_that_left_the_catalog(shop: Path) -> None:
    run("feedback", "anna", "s1", "like")
    with pyrec.open(shop) as rec:
        rec.remove_items(["s1"])
    assert [(row["item_id"], row["title"]) for row in rows("history", "anna")] == [("s1", None)]


# Output


def test_nl_is_the_same_rows_one_a_line(shop: Path) -> None:
    lines = run("recommend", "shoes", "--nl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows("recommend", "shoes")


def test_csv_has_attributes_as_columns_and_can_be_read_back(shop: Path) -> None:
    table = list(csv.DictReader(io.StringIO(run("recommend", "shoes", "--csv").stdout)))
    trail = next(row for row in table if row["item_id"] == "s1")
    assert (trail["price"], trail["brand"], trail["color"]) == ("89.9", "Tarn", "red | black")


def test_csv_of_nothing_has_a_head(shop: Path) -> None:
    assert run("recommend", "--where", "price<1", "--csv").stdout.startswith("rank,item_id,title")


def test_a_table_aligns_chinese_and_english(shop: Path) -> None:
    head, _, *lines = run("recommend", "鞋", "shoes", "-t", "-k", "4").stdout.splitlines()
    assert {line.split()[1] for line in lines} == {"s1", "s2", "s3", "s4"}
    end_of_price = head.index("price") + len("price")
    assert all(cut(line, end_of_price).split()[-1] in PRICES for line in lines)


def test_control_characters_in_titles_do_not_reach_a_table(place: Path) -> None:
    run("import", "-", stdin='{"id": "1", "title": "Red\\u001b[2J\\nShoe"}')
    assert "Red [2J Shoe" in run("recommend", "-t").stdout


# Index and demo


def test_index_without_models_says_that_words_are_all(shop: Path) -> None:
    result = run("index")
    assert result.exit_code == 0
    assert "there are no models, so items are found by their words" in result.stderr


def test_index_tells_how_far_it_is_and_may_be_stopped(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_: object) -> Iterator[IndexProgress]:
        yield IndexProgress("vectors", 64, 640)
        raise KeyboardInterrupt

    monkeypatch.setattr(pyrec.Recommender, "index", stopped)
    result = run("index")
    assert result.exit_code == 130
    assert "10%  64 of 640" in result.stderr
    assert result.stderr.endswith("stopped; what is done is kept, `pyrec index` goes on\n")


def test_demo_is_called_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrec import demo

    calls = []
    monkeypatch.setattr(demo, "run", lambda *arguments: calls.append(arguments))
    assert run("demo").exit_code == 0
    assert run("demo", "--db", "x.db", "--accept-license").exit_code == 0
    assert calls == [(None, False), (Path("x.db"), True)]
