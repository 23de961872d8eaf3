"""The user's folder of models: where it is, what lies in it, and what is known of each file.

`<name>.gguf` is a model, `<name>.json` beside it its record: checksum, license, and the size and
time by which a later start sees that the file is still the one that was checked. `models.py` puts
files here; whoever runs a model asks `find` or `available`, which read no more than they must.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import platformdirs

from pyrec import manifest
from pyrec.errors import ModelError, ModelFileError, ModelNotFoundError
from pyrec.gguf_header import read_header
from pyrec.manifest import Kind
from pyrec.workspace import sync

SUFFIX = ".gguf"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ModelFile:
    """A model that lies ready: a whole GGUF file."""

    path: Path
    kind: Kind
    name: str


@dataclass(frozen=True)
class Record:
    """What stands beside a model file.

    Attributes:
        size: bytes of the model file.
        mtime_ns: its time of change when it was checked.
        sha256: of the model file.
        source_sha256: of the file it was made from; the same where nothing was changed.
        license_accepted_at: ISO time in UTC, None where nothing had to be accepted.
        origin: where it came from, for people to read.
    """

    name: str
    kind: Kind
    size: int
    mtime_ns: int
    sha256: str
    source_sha256: str
    license: str = ""
    license_accepted_at: str | None = None
    origin: str = ""

    def fits(self, path: Path) -> bool:
        """Tell whether a file is, by size and time, the one that was recorded."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)

    def seen(self, path: Path) -> Record:
        """Return this record with the size and time of a file that was just checked."""
        stat = path.stat()
        return replace(self, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def folder() -> Path:
    """Return the folder of models: `PYREC_MODELS`, or the user's data folder."""
    chosen = os.environ.get("PYREC_MODELS")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_data_path("pyrec", appauthor=False) / "models"


def path_of(name: str) -> Path:
    """Return where the model of that name lies, or would lie."""
    return folder() / (check_name(name) + SUFFIX)


def check_name(name: str) -> str:
    """Return the name if it may stand for a file.

    Raises:
        ModelError: it holds other characters than letters, digits, `.`, `_` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} cannot name a model; use letters, digits, '.', '_' and '-', 100 at most"
        )
    return name


def read_record(model: Path) -> Record | None:
    """Return the record beside a model file, None where there is none that can be read."""
    try:
        fields = json.loads(model.with_suffix(".json").read_text("utf-8"))
        return Record(**fields)
    except (OSError, ValueError, TypeError):
        return None


def write_record(record: Record, model: Path, work: Path) -> None:
    """Write the record beside a model file, through to the disk.

    Args:
        record: what is known of the file.
        model: the model file; it need not be there yet.
        work: a working folder on the same disk.

    Raises:
        OSError: it could not be written.
    """
    temporary = work / "record.json"
    text = json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n"
    temporary.write_text(text, "utf-8")
    sync(temporary)
    os.replace(temporary, model.with_suffix(".json"))


def find(name_or_path: str | Path) -> ModelFile:
    """Find a model by name or a GGUF file by path, and check that the file is whole.

    Raises:
        ModelNotFoundError: it is not on this device.
        ModelFileError: the file is no GGUF, or truncated.
    """
    text = os.fspath(name_or_path)
    is_path = isinstance(name_or_path, Path) or "/" in text or os.sep in text
    if is_path or text.endswith(SUFFIX):
        path = Path(text).expanduser()
        if not path.exists():
            raise ModelNotFoundError(f"there is no model file {path}")
        return check_file(path)
    path = path_of(text)
    if not path.exists():
        raise ModelNotFoundError(how_to_get(text))
    return check_file(path)


def available(kind: Kind | None = None) -> list[ModelFile]:
    """Return the whole models in the folder, those of the manifest first, in its order.

    Args:
        kind: only models of this kind.
    """
    order = {name: place for place, name in enumerate(manifest.load())}
    found = []
    for path in files():
        try:
            model = check_file(path)
        except ModelError:
            continue  # `pyrec models list` and `pyrec doctor` say what is wrong with it
        if kind in (None, model.kind):
            found.append(model)
    return sorted(found, key=lambda model: (order.get(model.name, len(order)), model.name))


def files() -> list[Path]:
    """Return the model files in the folder, whole or not, by name."""
    try:
        return sorted(path for path in folder().iterdir() if _is_model(path))
    except OSError:
        return []


def check_file(path: Path) -> ModelFile:
    """Check that a file is a whole GGUF; what was checked before and is unchanged, is quick.

    Raises:
        ModelFileError: the file is no GGUF, truncated, or cannot be read.
    """
    try:
        record = read_record(path)
        if record is not None and record.fits(path):
            return ModelFile(path, record.kind, path.stem)
        header = read_header(path)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    if record is not None:
        return ModelFile(path, record.kind, path.stem)
    spec = manifest.load().get(path.stem)
    return ModelFile(path, spec.kind if spec else header.kind, path.stem)


def how_to_get(name: str) -> str:
    """Tell that a model is not on this device, and what to do about it."""
    spec = manifest.get(name) if name in manifest.load() else None
    if spec is None:
        known = ", ".join(dict.fromkeys([*manifest.load(), *(path.stem for path in files())]))
        return (
            f"no model is called {name!r}; known are: {known}. "
            f"Take one of your own with `pyrec models import FILE --name {name}`, or give its path"
        )
    accept = ""
    if spec.must_accept:
        accept = f" --accept-license (terms: {spec.license_url})"
    return (
        f"the model {name!r} is not on this device; get it with `pyrec models pull {name}`{accept}"
    )


def _is_model(path: Path) -> bool:
    return path.suffix == SUFFIX and not path.name.startswith(".") and path.is_file()
