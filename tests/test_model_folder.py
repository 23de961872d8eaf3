from __future__ import annotations

import os
import subprocess
import sys

import pytest
from model_samples import write_embedder, write_llama

from pyrec import model_folder
from pyrec.errors import ModelError, ModelFileError, ModelNotFoundError
from pyrec.model_folder import ModelFile, Record, available, find, folder, read_record, write_record


@pytest.fixture(autouse=True)
def models_folder(tmp_path, monkeypatch):
    place = tmp_path / "models"
    place.mkdir()
    monkeypatch.setenv("PYREC_MODELS", str(place))
    return place


def record_for(path, **fields):
    record = Record(path.stem, "text", 0, 0, "sum", "source sum", **fields).seen(path)
    write_record(record, path, path.parent)
    return record


def test_folder_is_the_users_data_folder_unless_one_is_named(models_folder, monkeypatch):
    assert folder() == models_folder
    monkeypatch.delenv("PYREC_MODELS")
    assert folder().parts[-2:] == ("pyrec", "models")


def test_model_is_found_by_name_and_by_path(models_folder):
    path = write_llama(models_folder / "tiny.gguf")
    assert find("tiny") == ModelFile(path, "text", "tiny")
    assert find(path) == find(str(path)) == find("tiny")


def test_model_elsewhere_is_found_by_path(tmp_path):
    path = write_embedder(tmp_path / "own.gguf")
    assert find(path) == ModelFile(path, "embedding", "own")


def test_missing_model_of_the_manifest_names_the_pull():
    with pytest.raises(ModelNotFoundError, match="`pyrec models pull smollm2-135m`"):
        find("smollm2-135m")


def test_missing_model_with_terms_names_them_too():
    with pytest.raises(ModelNotFoundError, match=r"--accept-license \(terms: https://ai.google"):
        find("gemma3-270m")


def test_unknown_name_is_answered_with_the_known_ones(models_folder):
    write_llama(models_folder / "own.gguf")
    with pytest.raises(ModelNotFoundError, match=r"'tiny'; known are: .*gemma3-270m.*, own"):
        find("tiny")


def test_missing_path_is_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"no model file .*none\.gguf"):
        find(tmp_path / "none.gguf")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a b", "a\n", "x" * 101])
def test_name_that_cannot_stand_for_a_file_is_refused(name):
    with pytest.raises(ModelError, match="cannot name a model"):
        find(name)


def test_folder_given_as_a_model_is_an_error_not_a_crash(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be read"):
        find(tmp_path)


def test_truncated_model_is_refused_by_name(models_folder):
    path = write_llama(models_folder / "tiny.gguf")
    record_for(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match=r"tiny\.gguf is truncated"):
        find("tiny")


def test_recorded_file_is_not_read_again_while_size_and_time_stay(models_folder, monkeypatch):
    path = write_llama(models_folder / "tiny.gguf")
    record_for(path)
    reads = []
    read_header = model_folder.read_header
    monkeypatch.setattr(
        model_folder, "read_header", lambda path: reads.append(path) or read_header(path)
    )
    find("tiny")
    assert reads == []
    os.utime(path, ns=(1, 1))
    find("tiny")
    assert reads == [path]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "tiny"}', '{"more": 1}'])
def test_unreadable_record_is_as_good_as_none(models_folder, text):
    path = write_llama(models_folder / "tiny.gguf")
    path.with_suffix(".json").write_text(text, "utf-8")
    assert read_record(path) is None
    assert find("tiny").kind == "text"


def test_record_comes_back_as_it_was_written(models_folder):
    path = write_llama(models_folder / "tiny.gguf")
    record = record_for(path, license="MIT", license_accepted_at="2026-01-01T00:00:00+00:00")
    assert read_record(path) == record


def test_available_lists_whole_models_the_manifests_order_first(models_folder):
    write_llama(models_folder / "a-own.gguf")
    write_llama(models_folder / "smollm2-135m.gguf")
    write_llama(models_folder / "gemma3-270m.gguf")
    write_embedder(models_folder / "e.gguf")
    (models_folder / "broken.gguf").write_bytes(b"GGUF")
    (models_folder / "notes.txt").write_bytes(b"")
    (models_folder / ".pull-dead").mkdir()
    assert [m.name for m in available("text")] == ["gemma3-270m", "smollm2-135m", "a-own"]
    assert [m.name for m in available("embedding")] == ["e"]
    assert len(available()) == 4


def test_no_folder_means_no_models(monkeypatch, tmp_path):
    monkeypatch.setenv("PYREC_MODELS", str(tmp_path / "nothing"))
    assert available() == []


def test_looking_for_models_loads_no_model_library():
    code = (
        "import sys, pyrec; before = set(sys.modules); "
        "from pyrec import models; models.available(); "
        "print({'gguf', 'llama_cpp', 'huggingface_hub'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
