from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyrec import manifest
from pyrec.errors import ModelNotFoundError
from pyrec.manifest import HuggingFaceSource, PathSource, PypiSource

SHIPPED = Path(__file__).parent.parent / "models" / "manifest.toml"


def test_shipped_manifest_prefers_the_multilingual_text_model_and_has_an_embedding_one():
    specs = manifest.load()
    assert next(iter(specs)) == "gemma3-270m"
    assert {spec.kind for spec in specs.values()} == {"text", "embedding"}


def test_installed_manifest_is_the_repositorys():
    assert manifest.load() == manifest.load(SHIPPED)


@pytest.mark.parametrize("name", list(manifest.load()))
def test_shipped_models_are_pinned_by_version_and_checksum(name):
    spec = manifest.get(name)
    assert re.fullmatch(r"[0-9a-f]{64}", spec.sha256)
    assert spec.size > 1_000_000
    assert spec.license
    assert spec.license_url.startswith("https://")
    for source in spec.sources:
        if isinstance(source, PypiSource):
            for part in source.parts:
                assert re.fullmatch(r"[\w-]+==[\w.]+", part.package)
                assert re.fullmatch(r"[0-9a-f]{64}", part.sha256)
            if len(source.parts) == 1:
                assert source.parts[0].sha256 == spec.sha256


def test_gemma_terms_must_be_accepted_and_are_linked():
    spec = manifest.get("gemma3-270m")
    assert spec.must_accept
    assert spec.license_url == "https://ai.google.dev/gemma/terms"


def test_embedding_model_reads_the_prefixes_it_was_trained_with():
    spec = manifest.get("multilingual-e5-small")
    assert (spec.query_prefix, spec.passage_prefix) == ("query: ", "passage: ")


def test_misspelled_model_is_answered_with_the_near_name():
    with pytest.raises(ModelNotFoundError, match="did you mean 'gemma3-270m'"):
        manifest.get("gemma-270m")


def test_unlike_name_is_answered_with_all_names():
    with pytest.raises(ModelNotFoundError, match="known are: gemma3-270m, smollm2-135m"):
        manifest.get("zzz")


def test_each_kind_of_source_is_read(tmp_path):
    path = tmp_path / "manifest.toml"
    path.write_text(
        """
        [[model]]
        name = "own"
        kind = "text"
        about = "ours"
        license = "MIT"
        license_url = "https://example.org"
        size = 1
        sha256 = "00"
        [[model.source]]
        type = "path"
        path = "/mnt/share/own.gguf"
        [[model.source]]
        type = "huggingface"
        repository = "us/own"
        file = "own.gguf"
        """,
        "utf-8",
    )
    assert manifest.load(path)["own"].sources == (
        PathSource(Path("/mnt/share/own.gguf")),
        HuggingFaceSource("us/own", "own.gguf"),
    )


def test_unknown_source_is_named(tmp_path):
    path = tmp_path / "manifest.toml"
    path.write_text('[[model]]\nname = "x"\n[[model.source]]\ntype = "ftp"\n', "utf-8")
    with pytest.raises(ValueError, match="'ftp'"):
        manifest.load(path)
