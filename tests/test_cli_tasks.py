"""The commands of the other tasks, as they are typed."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from conftest import TOY_ITEMS

import pyrec
from pyrec.cli import main


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PYREC_DB", str(tmp_path / "shop.db"))
    with pyrec.open(tmp_path / "shop.db") as rec:
        rec.add_items(TOY_ITEMS)
        rec.feedback("anna", "s1", "like")
        rec.feedback("anna", "t1", "dislike")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def rows(*arguments: str) -> list[dict]:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_click_gives_a_probability_an_item():
    found = rows("click", "anna", "s2", "t3", "--place", "2")
    assert [row["item_id"] for row in found] == ["s2", "t3"]
    assert found[0]["probability"] > found[1]["probability"]
    assert found[0]["title"] == "Road Running Shoes"


def test_rating_gives_a_distribution():
    (row,) = rows("rating", "anna", "s2")
    assert sum(row["distribution"].values()) == pytest.approx(1.0, abs=1e-3)
    assert 1.0 <= row["mean"] <= 5.0
    assert run("rating", "anna", "s2", "--csv").stdout.startswith("item_id,title,mean,median")


def test_an_unknown_item_ends_with_3():
    for command in (("click", "anna", "s99"), ("rating", "anna", "s99"), ("explain", "s99", "a")):
        result = run(*command)
        assert result.exit_code == 3
        assert "s99" in result.stderr


def test_profile_lists_interests_and_is_corrected_in_words():
    first, *listed = rows("profile", "anna")
    assert first["kind"] == "sentence"
    assert "shoes" in [row["value"] for row in listed]
    said = run("profile", "anna", "--say", "I don't like Tarn")
    assert "anna does not like brand=Tarn" in said.stderr
    (row,) = [row for row in json.loads(said.stdout) if row.get("said")]
    assert (row["kind"], row["value"]) == ("dislikes", "Tarn")
    assert run("profile", "anna", "--take-back", "brand=Tarn").stderr.startswith("taken back")
    assert "said nothing" in run("profile", "anna", "--take-back", "brand=Tarn").stderr
    assert not any(row.get("said") for row in rows("profile", "anna"))


def test_a_correction_that_names_nothing_ends_with_1():
    result = run("profile", "anna", "--say", "I don't like mondays")
    assert result.exit_code == 1
    assert "write it like" in result.stderr


def test_need_tells_order_number_and_what_to_avoid():
    found = rows("need", "three", "cheapest", "bags", "without", "zips")
    kinds = {row["kind"]: row["text"] for row in found}
    assert (kinds["order"], kinds["number"], kinds["avoid"]) == ("price", "3", "zips")
    mine = run("profile", "anna", "--say", "I don't like Tarn")
    assert mine.exit_code == 0
    avoided = [r for r in rows("need", "shoes", "--user", "anna") if r["kind"] == "avoid"]
    assert [row["text"] for row in avoided] == ["Tarn"]


def test_explain_gives_a_sentence_in_the_language_asked_for():
    (row,) = rows("explain", "s2", "running", "shoes", "--user", "anna")
    assert "Road Running Shoes" in row["sentence"]
    assert row["reasons"]
    (row,) = rows("explain", "s2", "--user", "anna", "--language", "zh")
    assert row["sentence"].startswith("《Road Running Shoes》")


def test_ask_prints_any_task_as_json():
    assert rows("ask", "click", "--user", "anna", "-i", "s2")[0]["item_id"] == "s2"
    need = json.loads(run("ask", "need", "shoes", "under", "100").stdout)
    assert need["filters"][0]["column"] == "price"
    unknown = run("ask", "shelf", "shoes")
    assert unknown.exit_code == 1
    assert "none of recommend, need" in unknown.stderr


def test_prompts_of_ones_own_come_through_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "my.toml"
    path.write_text('[en.sentences]\nprofile_unknown = "Who is {user}?"\n', "utf-8")
    monkeypatch.setenv("PYREC_PROMPTS", str(path))
    assert run("profile", "zoe").exit_code == 0
    path.write_text("[en.nead]\n", "utf-8")
    result = run("profile", "zoe")
    assert result.exit_code == 1
    assert "en.nead" in result.stderr


def test_the_list_is_as_long_as_the_words_say_unless_k_says_otherwise():
    assert len(rows("recommend", "two", "shoes")) == 2
    assert len(rows("recommend", "two", "shoes", "-k", "3")) == 3
