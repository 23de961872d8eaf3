from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import TOY_ITEMS
from model_samples import write_embedder

import pyrec
from pyrec import doctor
from pyrec.cli import main
from pyrec.doctor import Finding, examine


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("PYREC_MODELS", str(folder))
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with pyrec.open(tmp_path / "shop.db") as rec:
        rec.add_items(TOY_ITEMS)
    return tmp_path / "shop.db"


def findings(db: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(db)}


def test_a_sound_setup_without_models_is_not_broken(shop: Path) -> None:
    found = findings(shop)
    assert {f.name for f in found.values() if f.state == "broken"} == set()
    assert {f.name for f in found.values() if f.state == "missing"} == {
        "model gemma3-270m",
        "model multilingual-e5-small",
    }
    assert "12 items" in found["database"].found


def test_what_is_missing_has_its_fix(tmp_path: Path) -> None:
    found = findings(tmp_path / "none.db")
    assert found["database"].state == "missing"
    assert found["database"].fix.startswith(f"pyrec import FILE --db {tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()
    fix = found["model gemma3-270m"].fix
    assert fix.startswith("pyrec models pull gemma3-270m --accept-license (terms: https://")


def test_versions_protections_and_instruction_sets_are_told(shop: Path) -> None:
    found = findings(shop)
    assert "journal_mode=wal, synchronous=FULL" in found["sqlite"].found
    assert "instruction sets used: " in found["core"].found
    assert "llama-cpp-python" in found["llama.cpp"].found


def test_one_model_of_a_kind_is_enough(shop: Path, models: Path) -> None:
    write_embedder(models / "mine.gguf")
    found = findings(shop)
    assert found["model mine"].state == "ok"
    assert found["model multilingual-e5-small"].state == "ok"


def test_vectors_that_are_not_computed_are_missing(shop: Path, models: Path) -> None:
    write_embedder(models / "mine.gguf")
    vectors = findings(shop)["vectors"]
    assert (vectors.state, vectors.found) == ("missing", "0 of 12 items by mine")
    assert vectors.fix == f"pyrec index --db {shop}"


def test_a_damaged_model_is_broken(shop: Path, models: Path) -> None:
    (models / "gemma3-270m.gguf").write_bytes(b"GGUF\x03\0\0\0")
    model = findings(shop)["model gemma3-270m"]
    assert model.state == "broken"
    assert model.fix.startswith("pyrec models rm gemma3-270m, then pyrec models pull gemma3-270m")


def test_a_damaged_database_is_broken(shop: Path) -> None:
    content = shop.read_bytes()
    shop.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    database = findings(shop)["database"]
    assert database.state == "broken"
    assert "restore a copy" in database.found + database.fix


def test_a_check_that_fails_does_not_keep_the_others(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ImportError("libllama.so is gone")

    monkeypatch.setattr(doctor, "_core", fail)
    found = findings(shop)
    assert found["core"].state == "broken"
    assert "libllama.so is gone" in found["core"].found
    assert found["database"].state == "ok"


def test_the_command_ends_with_1_only_where_something_is_broken(shop: Path, models: Path) -> None:
    runner = CliRunner()
    missing = runner.invoke(main, ["doctor", "--db", str(shop)])
    assert missing.exit_code == 0
    assert "0 broken, 2 missing; each has its fix above" in missing.stderr
    assert {row["state"] for row in json.loads(missing.stdout)} == {"ok", "missing"}
    (models / "bad.gguf").write_text("no model")
    assert runner.invoke(main, ["doctor", "--db", str(shop)]).exit_code == 1
