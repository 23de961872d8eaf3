from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from model_samples import entry, path_source, write_llama

from pyrec import manifest
from pyrec.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "models"
    monkeypatch.setenv("PYREC_MODELS", str(place))
    return place


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    return write_llama(source / "tiny.gguf")


@pytest.fixture
def known(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the manifest by one with the tiny model."""
    load = manifest.load

    def set_manifest(**fields: object) -> None:
        path = tmp_path / "manifest.toml"
        path.write_text(entry("tiny", tiny.read_bytes(), path_source(tiny), **fields), "utf-8")
        specs = load(path)
        monkeypatch.setattr(manifest, "load", lambda: specs)

    return set_manifest


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments])


def states() -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(run("list").stdout)}


def test_list_tells_what_can_be_pulled_and_where_models_lie(folder: Path) -> None:
    result = run("list")
    assert {row["state"] for row in json.loads(result.stdout)} == {"not pulled"}
    assert f"folder: {folder}" in result.stderr
    assert "get one with `pyrec models pull NAME`" in result.stderr


def test_pull_names_license_and_link_first_and_wants_them_accepted(
    known: Callable[..., None], folder: Path
) -> None:
    known(must_accept=True, license="Tiny Terms", license_url="https://example.org/terms")
    refused = run("pull", "tiny")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[1] == "License: Tiny Terms, https://example.org/terms"
    assert "accept them with --accept-license" in refused.stderr
    assert not folder.exists() or list(folder.glob("*.gguf")) == []
    accepted = run("pull", "tiny", "--accept-license")
    assert accepted.exit_code == 0
    assert "License: Tiny Terms, https://example.org/terms" in accepted.stderr
    assert states() == {"tiny": "ready"}


def test_a_model_is_pulled_shown_verified_exported_removed_and_imported(
    known: Callable[..., None], folder: Path, tmp_path: Path
) -> None:
    known()
    stick = tmp_path / "stick"
    assert f"tiny is ready: {folder / 'tiny.gguf'}" in run("pull", "tiny").stderr
    (row,) = json.loads(run("show", "tiny").stdout)
    assert (row["state"], row["metadata"]["general.architecture"]) == ("ready", "llama")
    assert "tiny is as it was recorded" in run("verify", "tiny").stderr
    assert run("export", "tiny", str(stick)).exit_code == 0
    assert "removed" in run("rm", "tiny").stderr
    assert states() == {"tiny": "not pulled"}
    assert run("import", str(stick / "tiny.gguf")).exit_code == 0
    assert states() == {"tiny": "ready"}


def test_a_model_of_ones_own_is_imported_by_name(tiny: Path) -> None:
    nameless = run("import", str(tiny))
    assert nameless.exit_code == 1
    assert "give it a name" in nameless.stderr
    result = run("import", str(tiny), "--name", "mine", "--kind", "text")
    assert result.exit_code == 0
    assert "mine is ready, a model for text" in result.stderr
    assert states()["mine"] == "ready"


def test_a_changed_file_is_damaged_and_says_how_to_get_it_back(
    known: Callable[..., None], folder: Path
) -> None:
    known()
    run("pull", "tiny")
    with open(folder / "tiny.gguf", "r+b") as file:
        file.seek(-8, 2)
        file.write(b"\xff" * 8)
    result = run("verify", "tiny")
    assert result.exit_code == 5
    assert "remove it with `pyrec models rm tiny`" in result.stderr


def test_a_file_that_is_no_model_is_damaged_and_does_not_stop_the_list(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.gguf").write_text("no model")
    result = run("list")
    assert states()["notes"] == "damaged"
    assert "notes: " in result.stderr
    assert run("verify", "notes").exit_code == 5


@pytest.mark.parametrize(
    "arguments",
    [["show", "nix"], ["pull", "nix"], ["rm", "nix"], ["verify", "nix"], ["export", "nix", "x"],
     ["import", "nix.gguf"]],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_a_model_that_is_not_there_is_not_found(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 3
    assert "nix" in result.stderr


def test_a_name_that_could_leave_the_folder_is_refused() -> None:
    result = run("rm", "../secret")
    assert result.exit_code == 1
    assert "cannot name a model" in result.stderr
