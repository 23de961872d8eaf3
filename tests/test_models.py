from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import namedtuple

import pytest
from model_samples import (
    entry,
    path_source,
    pypi_source,
    real_model,
    sha256,
    write_embedder,
    write_llama,
    write_wheel,
)

from pyrec import llama, manifest, model_install, models
from pyrec.errors import ChecksumError, ModelError, ModelFileError, ModelNotFoundError
from pyrec.gguf_header import read_header

DiskUsage = namedtuple("DiskUsage", "total used free")

PULL_AND_DIE = """
import os, signal, sys
from pathlib import Path
from pyrec import manifest, models

specs = manifest.load(Path(sys.argv[1]))
manifest.load = lambda: specs
name, stage = sys.argv[2:]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def progress(what, done, total):
    if what.startswith(stage):
        die()

renames = []
replace = os.replace

def counted(source, target):
    if stage == f"rename {len(renames)}":
        die()
    renames.append(target)
    replace(source, target)

os.replace = counted
models.pull(name, progress=progress)
"""


@pytest.fixture(autouse=True)
def models_folder(request, tmp_path, monkeypatch):
    place = tmp_path / "models"
    if "model" not in request.keywords:
        monkeypatch.setenv("PYREC_MODELS", str(place))
    return place


@pytest.fixture
def gguf(tmp_path):
    return write_llama(tmp_path / "source" / "tiny-f32.gguf")


@pytest.fixture(autouse=True)
def source_folder(tmp_path):
    (tmp_path / "source").mkdir()


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Replace the manifest by the entries given."""
    load = manifest.load

    def set_manifest(*entries):
        path = tmp_path / "manifest.toml"
        path.write_text("\n".join(entries), "utf-8")
        specs = load(path)
        load.cache_clear()
        monkeypatch.setattr(manifest, "load", lambda: specs)
        return path

    return set_manifest


@pytest.fixture
def tiny(known, gguf):
    """The manifest knows `tiny`, from a path, and `quick`, requantized from it, with terms."""
    data = gguf.read_bytes()
    other = write_llama(gguf.with_name("quick-f32.gguf"), seed=1)
    terms = {"must_accept": True, "license": "Tiny Terms"}
    return known(
        entry("tiny", data, path_source(gguf)),
        entry("quick", other.read_bytes(), path_source(other), derive="requantize:Q8_0", **terms),
    )


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pull_from_a_wheel_puts_a_checked_model_and_its_record(
    tmp_path, known, gguf, models_folder, monkeypatch
):
    data = gguf.read_bytes()
    write_wheel(tmp_path / "wheels", "tiny-gguf", {"tiny_gguf/tiny.gguf": data})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    known(entry("tiny", data, pypi_source(("tiny-gguf==1.0.0", "tiny_gguf/*.gguf", data))))
    model = models.pull("tiny")
    assert model == models.find("tiny")
    assert model.path.read_bytes() == data
    assert names_in(models_folder) == ["tiny.gguf", "tiny.json"]
    record = json.loads((models_folder / "tiny.json").read_text("utf-8"))
    assert record["sha256"] == record["source_sha256"] == sha256(data)
    assert record["origin"] == "PyPI tiny-gguf==1.0.0"


def test_pulled_model_is_not_fetched_again(tiny, gguf):
    models.pull("tiny")
    gguf.unlink()
    models.pull("tiny")


def test_model_of_an_older_manifest_is_pulled_anew(tiny, known, gguf, tmp_path):
    models.pull("tiny")
    newer = write_llama(tmp_path / "source" / "newer.gguf", seed=2)
    known(entry("tiny", newer.read_bytes(), path_source(newer)))
    assert models.pull("tiny").path.read_bytes() == newer.read_bytes()


def test_model_put_there_by_hand_is_taken_without_fetching(tiny, gguf, models_folder):
    models_folder.mkdir()
    gguf.rename(models_folder / "tiny.gguf")
    models.pull("tiny")
    assert models.show("tiny").record.origin == "put there by hand"


def test_terms_must_be_accepted_before_anything_is_fetched(tiny, models_folder):
    with pytest.raises(ModelError, match=r"Tiny Terms, https://example.org.*--accept-license"):
        models.pull("quick")
    assert not models_folder.exists()


def test_acceptance_is_recorded_beside_the_file(tiny, models_folder):
    models.pull("quick", accept_license=True)
    assert models.show("quick").record.license_accepted_at is not None
    models.pull("quick")  # accepted once is enough


def test_derived_model_is_requantized_and_keeps_the_sum_of_its_source(tiny):
    told = []
    model = models.pull("quick", accept_license=True, progress=lambda *what: told.append(what[0]))
    record, spec = models.show("quick").record, models.show("quick").spec
    assert read_header(model.path).metadata["general.file_type"] == 7  # mostly Q8_0
    assert model.path.stat().st_size < spec.size / 2
    assert record.source_sha256 == spec.sha256
    assert record.sha256 == sha256(model.path.read_bytes())
    assert "making quick (requantize:Q8_0)" in told


@pytest.mark.parametrize("stage", ["copying", "checking", "making", "rename 0", "rename 1"])
def test_pull_killed_at_any_stage_leaves_nothing_half_made(tiny, models_folder, stage):
    command = [sys.executable, "-c", PULL_AND_DIE, str(tiny)]
    if stage in ("making", "checking"):
        pull = {"name": "quick", "accept_license": True}
        command[2] = PULL_AND_DIE.replace("(name,", "(name, accept_license=True,")
    else:
        pull = {"name": "tiny"}
    done = subprocess.run([*command, pull["name"], stage], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert not (models_folder / f"{pull['name']}.gguf").exists()
    assert models.available() == []
    models.pull(**pull)
    assert names_in(models_folder) == [f"{pull['name']}.gguf", f"{pull['name']}.json"]


def test_pull_killed_while_pip_downloads_leaves_nothing_half_made(
    tmp_path, known, gguf, models_folder, monkeypatch
):
    data = gguf.read_bytes()
    write_wheel(tmp_path / "wheels", "tiny-gguf", {"tiny_gguf/tiny.gguf": data})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    path = known(entry("tiny", data, pypi_source(("tiny-gguf==1.0.0", "tiny_gguf/*", data))))
    command = [sys.executable, "-c", PULL_AND_DIE, str(path), "tiny", "downloading"]
    assert subprocess.run(command, check=False).returncode == -9
    assert models.available() == []
    models.pull("tiny")
    assert names_in(models_folder) == ["tiny.gguf", "tiny.json"]


def test_failed_replacement_keeps_the_old_model(tiny, known, gguf, tmp_path, models_folder):
    models.pull("tiny")
    newer = write_llama(tmp_path / "source" / "newer.gguf", seed=2)
    known(entry("tiny", newer.read_bytes() + b"?", path_source(newer)))
    with pytest.raises(ChecksumError):
        models.pull("tiny")
    assert models.find("tiny").path.read_bytes() == gguf.read_bytes()
    assert names_in(models_folder) == ["tiny.gguf", "tiny.json"]


def test_wrong_checksum_leaves_nothing(known, gguf, models_folder):
    known(entry("tiny", b"other", path_source(gguf)))
    with pytest.raises(ChecksumError, match="sha256"):
        models.pull("tiny")
    assert names_in(models_folder) == []


def test_source_that_is_right_by_checksum_but_no_model_is_refused(known, tmp_path, models_folder):
    path = tmp_path / "source" / "tiny.txt"
    path.write_bytes(b"not a model")
    known(entry("tiny", b"not a model", path_source(path)))
    with pytest.raises(ModelFileError, match="not a GGUF"):
        models.pull("tiny")
    assert names_in(models_folder) == []


def test_full_disk_is_named_and_leaves_nothing(tiny, models_folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model_install, "sync", full)
    with pytest.raises(ModelError, match=r"disk of .*models is full.*PYREC_MODELS"):
        models.pull("tiny")
    assert names_in(models_folder) == []


def test_disk_that_fills_up_while_requantizing_is_named(tiny, models_folder, monkeypatch):
    def broken(*_):
        raise ModelFileError("iostream error")

    monkeypatch.setattr(llama, "requantize", broken)
    with pytest.raises(ModelFileError, match="iostream"):
        models.pull("quick", accept_license=True)
    monkeypatch.setattr(model_install.shutil, "disk_usage", lambda _: DiskUsage(1, 1, 0))
    with pytest.raises(ModelError, match="is full"):
        models.pull("quick", accept_license=True)
    assert names_in(models_folder) == []


def test_folder_that_cannot_be_made_is_named(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelError, match="file"):
        models.pull("tiny")


def test_pull_of_an_unknown_model_names_the_known(tiny):
    with pytest.raises(ModelNotFoundError, match="did you mean 'tiny'"):
        models.pull("tinny")


def test_list_shows_what_can_be_pulled_what_is_there_and_what_is_damaged(tiny, models_folder):
    models.pull("tiny")
    write_embedder(models_folder / "own.gguf")
    (models_folder / "broken.gguf").write_bytes(b"GGUF")
    states = {info.name: (info.state, info.kind) for info in models.list_()}
    assert states == {
        "tiny": ("ready", "text"),
        "quick": ("not pulled", "text"),
        "broken": ("damaged", None),
        "own": ("ready", "embedding"),
    }
    assert "truncated" in models.show("broken").problem


def test_show_reads_the_metadata_of_the_file(tiny):
    models.pull("tiny")
    info = models.show("tiny")
    assert info.license == "MIT"
    assert info.header().metadata["general.name"] == "tiny"
    with pytest.raises(ModelNotFoundError, match="pyrec models pull quick"):
        models.show("quick").header()
    with pytest.raises(ModelNotFoundError, match="known are"):
        models.show("none")


def test_rm_removes_model_and_record(tiny, models_folder):
    models.pull("tiny")
    assert models.rm("tiny") == models_folder / "tiny.gguf"
    assert names_in(models_folder) == []
    with pytest.raises(ModelNotFoundError):
        models.rm("tiny")


def test_verify_finds_one_changed_byte_that_size_and_time_hide(tiny, models_folder):
    path = models.pull("tiny").path
    assert models.verify("tiny").path == path
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert models.find("tiny").path == path
    with pytest.raises(ChecksumError, match=r"tiny\.gguf is damaged.*pyrec models pull tiny"):
        models.verify("tiny")


def test_verify_renews_the_record_of_a_file_that_was_only_touched(tiny, models_folder):
    path = models.pull("tiny").path
    path.touch()
    assert not models.show("tiny").record.fits(path)
    models.verify("tiny")
    assert models.show("tiny").record.fits(path)


def test_verify_without_a_known_checksum_says_how_to_record_one(tiny, models_folder):
    models_folder.mkdir()
    path = write_llama(models_folder / "own.gguf")
    with pytest.raises(ModelError, match=f"pyrec models import {path} --name own"):
        models.verify("own")
    models.import_(path, "own")
    models.verify("own")


def test_stick_carries_model_record_and_acceptance(tiny, tmp_path, monkeypatch):
    models.pull("quick", accept_license=True)
    stick = tmp_path / "stick"
    copy = models.export("quick", stick)
    assert names_in(stick) == ["quick.gguf", "quick.json"]
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "elsewhere"))
    model = models.import_(copy)
    assert model == models.find("quick")
    assert model.path.read_bytes() == copy.read_bytes()
    assert models.show("quick").record.license_accepted_at is not None
    models.verify("quick")
    models.pull("quick")  # is there already: nothing to fetch, nothing to accept


def test_export_refuses_a_damaged_model(tiny, tmp_path):
    path = models.pull("tiny").path
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ChecksumError, match="damaged"):
        models.export("tiny", tmp_path / "stick")
    assert names_in(tmp_path / "stick") == []


def test_copy_damaged_on_its_way_is_refused(tiny, tmp_path, monkeypatch):
    models.pull("tiny")
    copy = models.export("tiny", tmp_path / "stick")
    copy.write_bytes(copy.read_bytes()[:-1] + b"?")
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "elsewhere"))
    with pytest.raises(ChecksumError, match="damaged on its way"):
        models.import_(copy)
    assert names_in(tmp_path / "elsewhere") == []


def test_source_file_is_recognized_by_its_checksum_and_made_ready(tiny, tmp_path):
    source = tmp_path / "source" / "quick-f32.gguf"
    with pytest.raises(ModelError, match="--accept-license"):
        models.import_(source)
    model = models.import_(source, accept_license=True)
    assert model.name == "quick"
    assert read_header(model.path).metadata["general.file_type"] == 7


def test_any_other_model_is_taken_under_a_name(tiny, tmp_path):
    own = write_embedder(tmp_path / "own.gguf")
    with pytest.raises(ModelError, match=r"import .*own\.gguf --name NAME"):
        models.import_(own)
    assert models.import_(own, "ours").kind == "embedding"
    assert models.import_(own, "theirs", kind="text").kind == "text"
    assert [m.name for m in models.available()] == ["ours", "theirs"]


def test_other_model_cannot_take_a_name_of_the_manifest(tiny, tmp_path):
    own = write_embedder(tmp_path / "own.gguf")
    with pytest.raises(ModelError, match=r"is not the model 'tiny'.*another name"):
        models.import_(own, "tiny")


def test_import_of_what_is_no_model_names_the_users_file(tiny, tmp_path, models_folder):
    foreign = tmp_path / "song.mp3"
    foreign.write_bytes(b"ID3" + bytes(1000))
    with pytest.raises(ModelFileError, match=r"song\.mp3 is not a GGUF"):
        models.import_(foreign, "song")
    with pytest.raises(ModelNotFoundError, match=r"no file .*none\.gguf"):
        models.import_(tmp_path / "none.gguf", "none")
    with pytest.raises(ModelError, match="cannot name"):
        models.import_(write_llama(tmp_path / "a.gguf"), "../a")
    assert names_in(models_folder) == []


@pytest.mark.model
@pytest.mark.parametrize("name", list(manifest.load()))
def test_pulled_model_is_whole_and_of_the_kind_the_manifest_says(name):
    path = real_model(name)
    assert read_header(path).kind == manifest.get(name).kind
    assert models.verify(name).path == path
