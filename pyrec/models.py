"""What a user does with models: list, pull, show, rm, verify, export, import.

The command line and the demo call this; whoever runs a model calls `find` or `available`. Where a
model's bytes come from is `fetch.py`'s matter, how they reach the folder `model_install.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pyrec import fetch, manifest
from pyrec.errors import ChecksumError, ModelError, ModelFileError, ModelNotFoundError
from pyrec.fetch import Progress, quiet
from pyrec.gguf_header import GgufHeader, read_header
from pyrec.manifest import Kind, ModelSpec
from pyrec.model_folder import (
    ModelFile,
    Record,
    available,
    check_file,
    check_name,
    files,
    find,
    folder,
    how_to_get,
    path_of,
    read_record,
    write_record,
)
from pyrec.model_install import copy, install, place, record_of, sha256_of, storing

__all__ = [
    "ModelFile",
    "ModelInfo",
    "available",
    "export",
    "find",
    "folder",
    "import_",
    "list_",
    "pull",
    "rm",
    "show",
    "verify",
]


@dataclass(frozen=True)
class ModelInfo:
    """A model that can be pulled, or lies in the folder, or both.

    Attributes:
        kind: None for a damaged file that no record or manifest knows.
        path: its file, None when it is not on this device.
        size: bytes of the file, or of what a pull would fetch.
        problem: why the file cannot be used, None when it can.
        spec: the manifest's entry, None for a model of one's own.
        record: what stands beside the file, None when nothing does.
    """

    name: str
    kind: Kind | None
    path: Path | None
    size: int
    problem: str | None
    spec: ModelSpec | None
    record: Record | None

    @property
    def state(self) -> str:
        """`ready`, `damaged`, or `not pulled`."""
        if self.path is None:
            return "not pulled"
        return "ready" if self.problem is None else "damaged"

    @property
    def license(self) -> str:
        """The license's name, "" when unknown."""
        if self.spec is not None:
            return self.spec.license
        return self.record.license if self.record is not None else ""

    def header(self) -> GgufHeader:
        """Read the metadata of the file.

        Raises:
            ModelNotFoundError: it is not on this device.
            ModelFileError: the file is damaged.
        """
        return read_header(find(self.name).path)


def list_() -> list[ModelInfo]:
    """Return the models of the manifest in its order, then those of one's own by name."""
    specs = manifest.load()
    own = [path.stem for path in files() if path.stem not in specs]
    return [show(name) for name in [*specs, *own]]


def show(name: str) -> ModelInfo:
    """Return what is known of a model.

    Raises:
        ModelNotFoundError: neither the manifest nor the folder has it.
    """
    spec = manifest.load().get(name)
    path = path_of(name)
    record = read_record(path)
    if not path.exists():
        if spec is None:
            raise ModelNotFoundError(how_to_get(name))
        return ModelInfo(name, spec.kind, None, spec.size, None, spec, None)
    kind, problem = None, None
    try:
        kind = check_file(path).kind
    except ModelError as error:
        known = record or spec
        kind, problem = known.kind if known else None, str(error)
    return ModelInfo(name, kind, path, path.stat().st_size, problem, spec, record)


def pull(name: str, *, accept_license: bool = False, progress: Progress = quiet) -> ModelFile:
    """Fetch a model of the manifest, check it and put it into the folder.

    A model that is there already is not fetched again.

    Args:
        name: of the manifest.
        accept_license: the user has read and accepts the model's terms.
        progress: told what is going on.

    Raises:
        ModelNotFoundError: the manifest has no such model.
        ChecksumError: what came is not what the manifest says.
        ModelError: the terms are not accepted, or the file could not be fetched or stored.
    """
    spec = manifest.get(name)
    ready = _ready(spec)
    if ready is not None:
        return ready
    accepted_at = _accept(spec, accept_license)
    with storing(folder()) as work:
        path = path_of(name)
        if spec.derive is None and path.exists() and sha256_of(path, progress) == spec.sha256:
            # Put there by hand: it lacks nothing but its record.
            record = record_of(spec, spec.sha256, accepted_at, "put there by hand")
            write_record(record.seen(path), path, work)
            return check_file(path)
        source, origin = fetch.fetch(spec, work, progress)
        return install(spec, source, accepted_at, origin, work, progress)


def rm(name: str) -> Path:
    """Remove a model and its record, and return where it lay.

    Raises:
        ModelNotFoundError: it is not on this device.
        ModelError: it cannot be removed.
    """
    path = path_of(name)
    if not path.exists():
        raise ModelNotFoundError(how_to_get(name))
    try:
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be removed: {error.strerror}") from error
    return path


def verify(name: str, *, progress: Progress = quiet) -> ModelFile:
    """Read a whole model file again and compare its checksum with the recorded one.

    Raises:
        ModelNotFoundError: it is not on this device.
        ChecksumError: the file has changed.
        ModelError: no checksum is known for it.
    """
    path = find(name).path
    record, spec = read_record(path), manifest.load().get(name)
    expected = record.sha256 if record else spec.sha256 if spec and not spec.derive else None
    if expected is None:
        again = f"pyrec models pull {name}" if spec else f"pyrec models import {path} --name {name}"
        raise ModelError(
            f"no checksum of {path} is recorded, as it was put there by hand; run `{again}`"
        )
    found = sha256_of(path, progress)
    if found != expected:
        again = f"`pyrec models pull {name}`" if spec else "importing it again"
        raise ChecksumError(
            f"{path} is damaged: its sha256 is {found}, it should be {expected}; "
            f"remove it with `pyrec models rm {name}`, then get it back by {again}"
        )
    if record is not None and not record.fits(path):
        with storing(folder()) as work:
            write_record(record.seen(path), path, work)
    return check_file(path)


def export(name: str, target: Path, *, progress: Progress = quiet) -> Path:
    """Copy a model with its record into another folder, to carry it to another device.

    Args:
        name: of a model in the folder.
        target: a folder; made if it is not there.
        progress: told what is going on.

    Returns:
        The copy.

    Raises:
        ModelNotFoundError: it is not on this device.
        ChecksumError: the file has changed since it was recorded.
        ModelError: the copy cannot be written.
    """
    model = find(name)
    record = read_record(model.path)
    with storing(target) as work:
        made = work / "model"
        sha256 = copy(model.path, made, progress)
        if record is None:
            record = Record(model.name, model.kind, 0, 0, sha256, sha256)
        if sha256 != record.sha256:
            raise ChecksumError(
                f"{model.path} is damaged: its sha256 is {sha256}, it should be {record.sha256}; "
                f"get it again before exporting it"
            )
        return place(made, target / model.path.name, record, work)


def import_(
    path: Path,
    name: str | None = None,
    *,
    kind: Kind | None = None,
    accept_license: bool = False,
    progress: Progress = quiet,
) -> ModelFile:
    """Take a model file into the folder: one of the manifest, one exported, or any GGUF.

    A file of the manifest is recognized by its checksum, and made into what a pull makes of it.

    Args:
        path: a file, for instance on a stick.
        name: what to call it; a file that is recognized brings its own.
        kind: `text` or `embedding`; guessed from the file where it is not given.
        accept_license: the user has read and accepts the model's terms.
        progress: told what is going on.

    Raises:
        ModelNotFoundError: there is no such file.
        ChecksumError: the file is not what the record beside it says.
        ModelFileError: the file is no GGUF, or truncated.
        ModelError: it needs a name or an accepted license, or it cannot be stored.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ModelNotFoundError(f"there is no file {path}")
    beside = read_record(path)
    with storing(folder()) as work:
        source = work / "source"
        sha256 = copy(path, source, progress)
        if beside is not None and beside.sha256 != sha256:
            raise ChecksumError(
                f"{path} was damaged on its way: its sha256 is {sha256}, the record beside it says "
                f"{beside.sha256}; copy it again"
            )
        origin = beside.origin if beside and beside.origin else f"file {path.name}"
        spec = _recognize(sha256, beside)
        if spec is not None and name in (None, spec.name):
            accepted_at = beside.license_accepted_at if beside else None
            if accepted_at is None:
                accepted_at = _accept(spec, accept_license)
            if sha256 == spec.sha256:
                return install(spec, source, accepted_at, origin, work, progress)
            record = record_of(spec, sha256, accepted_at, origin)
        else:
            record = _own_record(path, source, sha256, name, kind)
        return check_file(place(source, path_of(record.name), record, work))


def _ready(spec: ModelSpec) -> ModelFile | None:
    path = path_of(spec.name)
    record = read_record(path)
    if record is None or record.source_sha256 != spec.sha256:
        return None
    return check_file(path) if path.exists() and record.fits(path) else None


def _accept(spec: ModelSpec, accept_license: bool) -> str | None:
    """Return when the license was accepted, None where it need not be."""
    if not spec.must_accept:
        return None
    if not accept_license:
        raise ModelError(
            f"the model {spec.name!r} is under the {spec.license}, {spec.license_url}; "
            "read them and accept them with --accept-license (in Python accept_license=True)"
        )
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _recognize(sha256: str, beside: Record | None) -> ModelSpec | None:
    for spec in manifest.load().values():
        is_derived = beside is not None and beside.source_sha256 == spec.sha256
        if sha256 == spec.sha256 or (is_derived and spec.derive is not None):
            return spec
    return None


def _own_record(
    path: Path, source: Path, sha256: str, name: str | None, kind: Kind | None
) -> Record:
    """Return the record of a model that the manifest does not have."""
    try:
        header = read_header(source)
    except ModelFileError as error:
        # The user knows the file by its own path, not by that of our copy.
        raise type(error)(str(error).replace(str(source), str(path))) from None
    beside = read_record(path)
    name = name or (beside.name if beside else None)
    if name is None:
        raise ModelError(
            f"{path} is none of the models that pyrec knows; give it a name: "
            f"`pyrec models import {path} --name NAME`"
        )
    check_name(name)
    if name in manifest.load():
        raise ModelError(
            f"{path} is not the model {name!r} of pyrec's manifest; choose another name"
        )
    kind = kind or (beside.kind if beside else header.kind)
    license = str(header.metadata.get("general.license", ""))
    return Record(name, kind, 0, 0, sha256, sha256, license, origin=f"file {path.name}")
