"""Brings a finished model into a folder in one step.

A model is made whole in a working folder, checked, forced to the disk, then renamed. So a pull,
an import or an export that is interrupted at any point leaves the folder as it was. `models.py`
calls it.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyrec.errors import ModelError
from pyrec.fetch import Progress, copy_hashed
from pyrec.gguf_header import read_header
from pyrec.manifest import ModelSpec
from pyrec.model_folder import ModelFile, Record, check_file, path_of, write_record
from pyrec.workspace import sync, workspace

_NEARLY_FULL = 1 << 20


@contextmanager
def storing(target: Path) -> Iterator[Path]:
    """Open a working folder in `target`, and tell of disks that are full or closed.

    Raises:
        ModelError: the folder or a file of it cannot be read or written.
    """
    try:
        with workspace(target) as work:
            yield work
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                f"the disk of {target} is full; free some space, or set PYREC_MODELS to a folder "
                "on another disk"
            ) from error
        what = error.filename or target
        raise ModelError(f"{what} cannot be read or written: {error.strerror or error}") from error


def install(
    spec: ModelSpec,
    source: Path,
    accepted_at: str | None,
    origin: str,
    work: Path,
    progress: Progress,
) -> ModelFile:
    """Make of a source file what the manifest says, and put it into the folder of models.

    Args:
        spec: the manifest's entry.
        source: the file as its source has it, checked, within `work`; it is used up.
        accepted_at: when the license was accepted, None where it need not be.
        origin: where the file came from, for people to read.
        work: a working folder within the folder of models.
        progress: told what is going on.
    """
    model, sha256 = source, spec.sha256
    if spec.derive is not None:
        progress(f"making {spec.name} ({spec.derive})", 0, 0)
        model = work / "derived"
        _derive(spec.derive, source, model)
        sha256 = sha256_of(model, progress)
    read_header(model)
    record = record_of(spec, sha256, accepted_at, origin)
    return check_file(place(model, path_of(spec.name), record, work))


def record_of(spec: ModelSpec, sha256: str, accepted_at: str | None, origin: str) -> Record:
    """Return the record of a model of the manifest, size and time still open."""
    return Record(
        spec.name, spec.kind, 0, 0, sha256, spec.sha256, spec.license, accepted_at, origin
    )


def place(model: Path, target: Path, record: Record, work: Path) -> Path:
    """Move a finished model and its record to where they belong, and return that place.

    The record goes first: a record without its model says nothing, and one that stands beside an
    older model does not fit that by size and time.
    """
    sync(model)
    write_record(record.seen(model), target, work)
    os.replace(model, target)
    sync(target.parent)
    return target


def copy(path: Path, target: Path, progress: Progress) -> str:
    """Copy a file and return its sha256."""
    with open(path, "rb") as source, open(target, "wb") as out:
        what = f"copying {path.name}"
        return copy_hashed(source, out, what, path.stat().st_size, progress)


def sha256_of(path: Path, progress: Progress) -> str:
    """Return the sha256 of a file."""
    with open(path, "rb") as file:
        return copy_hashed(file, None, f"checking {path.name}", path.stat().st_size, progress)


def _derive(step: str, source: Path, target: Path) -> None:
    # Imported here: both take a fifth of a second to load, and only a pull needs them.
    verb, _, argument = step.partition(":")
    if verb == "requantize":
        from pyrec.llama import requantize

        try:
            requantize(source, target, argument)
        except ModelError:
            if shutil.disk_usage(target.parent).free < _NEARLY_FULL:
                # llama.cpp only says that writing failed; what it wrote is still there.
                raise OSError(errno.ENOSPC, "No space left on device") from None
            raise
    elif step == "convert:e5":
        from pyrec.convert_e5 import convert

        convert(source, target)
    else:
        raise ModelError(f"the manifest asks for the unknown step {step!r}; a newer pyrec has it")
