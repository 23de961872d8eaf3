"""What is set up on this device, what is missing, what is broken, and how to fix it.

`examine` returns what it found as data; `pyrec doctor` prints it. Each check stands alone: one
that fails is a finding, and the next one runs. Nothing is changed, and nothing reaches out to a
network.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pyrec.errors import PyrecError

State = Literal["ok", "missing", "broken"]

_OLDEST_PYTHON = (3, 10)
_PROTECTIONS = {"journal_mode": "wal", "synchronous": 2, "mmap_size": 0}
_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
_REINSTALL = "install pyrec again: pip install --force-reinstall pyrec"
_ROOM_FOR_MODELS = 1_000_000_000  # bytes that pulling all of them needs for a while


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was looked at.
        state: `missing` is something optional that makes answers better; `broken` keeps pyrec
            from working as it should.
        found: what is there, for people to read.
        fix: what to do about it, "" where nothing needs doing.
    """

    name: str
    state: State
    found: str
    fix: str = ""


def examine(db: Path) -> Iterator[Finding]:
    """Look at everything, a finding at a time.

    Args:
        db: the database that commands would use; it is not made if it is not there.
    """
    for name, check in (
        ("pyrec", _pyrec),
        ("python", _python),
        ("sqlite", _sqlite),
        ("core", _core),
        ("llama.cpp", _llama),
        ("pip", _pip),
        ("model folder", _folder),
        ("models", _models),
        ("database", lambda: _database(db)),
        ("behavior model", lambda: _behavior(db)),
    ):
        yield from _safely(name, check)


def _safely(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except PyrecError as error:
        yield Finding(name, "broken", str(error))
    except Exception as error:  # whatever is wrong here is what the doctor was asked about
        yield Finding(name, "broken", f"{type(error).__name__}: {error}", _REINSTALL)


def _pyrec() -> Iterator[Finding]:
    yield Finding("pyrec", "ok", f"{_version('pyrec')} in {Path(__file__).parent}")


def _python() -> Iterator[Finding]:
    found = f"{platform.python_version()} in {sys.prefix}, {platform.platform(terse=True)}"
    if sys.version_info >= _OLDEST_PYTHON:
        yield Finding("python", "ok", f"{found}, {platform.machine()}")
    else:
        yield Finding("python", "broken", found, "use Python 3.10 or newer")


def _sqlite() -> Iterator[Finding]:
    from pyrec.store import Store

    # Asked of a new file, as the one in use may be on a disk where they do not hold.
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "doctor.db") as store:
        settings = store.protections()
    told = settings | {"synchronous": _SYNCHRONOUS[int(settings["synchronous"])]}
    found = f"{sqlite3.sqlite_version}, sqlite-utils {_version('sqlite-utils')}, "
    found += ", ".join(f"{name}={value}" for name, value in told.items())
    wrong = [name for name, value in _PROTECTIONS.items() if settings[name] != value]
    if wrong:
        fix = f"use another SQLite: this one ignores {', '.join(wrong)}"
        yield Finding("sqlite", "broken", found, fix)
    else:
        yield Finding("sqlite", "ok", found)


def _core() -> Iterator[Finding]:
    from pyrec import _core

    features = ", ".join(_core.cpu_features()) or "none beyond the basic ones"
    yield Finding("core", "ok", f"instruction sets used: {features}; NumPy {_version('numpy')}")


def _llama() -> Iterator[Finding]:
    try:
        from pyrec.llama import system_info

        features = ", ".join(re.findall(r"(\w+) = 1", system_info()))
    except (ImportError, OSError, RuntimeError) as error:
        fix = "install it again: pip install --force-reinstall --no-cache-dir llama-cpp-python"
        yield Finding("llama.cpp", "broken", f"{type(error).__name__}: {error}", fix)
        return
    found = f"llama-cpp-python {_version('llama-cpp-python')}, built with {features}"
    yield Finding("llama.cpp", "ok", found)


def _pip() -> Iterator[Finding]:
    if importlib.util.find_spec("pip") is None:
        fix = f"for `pyrec models pull`: {sys.executable} -m ensurepip"
        yield Finding("pip", "missing", "not in this environment", fix)
    else:
        yield Finding("pip", "ok", _version("pip"))


def _folder() -> Iterator[Finding]:
    from pyrec.models import folder

    place = folder()
    there = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{place}, {free / 1e9:.1f} GB free"
    if free < _ROOM_FOR_MODELS:
        fix = "make room, or set PYREC_MODELS to a folder on another disk, before pulling models"
        yield Finding("model folder", "missing", found, fix)
    else:
        yield Finding("model folder", "ok", found)


def _models() -> Iterator[Finding]:
    from pyrec import models

    infos = models.list_()
    # One model of a kind is enough: what is here, else the first of the manifest.
    here_first = sorted(infos, key=lambda info: info.state != "ready")
    preferred = {info.kind: info for info in reversed(here_first)}
    for info in infos:
        name = f"model {info.name}"
        about = f"{info.kind or 'unknown'}, {info.size / 1e6:.0f} MB"
        get = f"pyrec models pull {info.name}" if info.spec else "pyrec models import FILE"
        if info.spec and info.spec.must_accept:
            get += f" --accept-license (terms: {info.spec.license_url})"
        if info.problem:
            fix = f"pyrec models rm {info.name}, then {get}"
            yield Finding(name, "broken", info.problem, fix)
        elif info.path is not None:
            yield Finding(name, "ok", about)
        elif info is preferred[info.kind]:
            yield Finding(name, "missing", f"{about}, not pulled", get)
        else:
            yield Finding(name, "ok", f"{about}, not pulled, as it is but an alternative")


def _database(db: Path) -> Iterator[Finding]:
    from pyrec import manifest
    from pyrec.catalog import Catalog
    from pyrec.loaded import AUTO, LoadedModels
    from pyrec.prompts import Prompts
    from pyrec.states import States
    from pyrec.store import Store
    from pyrec.vectors import Vectors

    if not db.exists():
        fix = f"pyrec import FILE --db {db}, or name another with --db or PYREC_DB"
        yield Finding("database", "missing", f"{db} is not there", fix)
        return
    with Store.open(db) as store:
        catalog = Catalog(store)
        damages = store.check()
        if damages:
            fix = "restore a copy, or move the file away and import the catalog again"
            told = [damage if str(db) in damage else f"{db}: {damage}" for damage in damages[:3]]
            yield Finding("database", "broken", "; ".join(told), fix)
            return
        size = db.stat().st_size / 1e6
        found = f"{db}, {size:.1f} MB, {catalog.count:,} items, language {catalog.language}"
        if not catalog.count:
            yield Finding("database", "missing", found, f"pyrec import FILE --db {db}")
            return
        yield Finding("database", "ok", found)
        models = LoadedModels(AUTO, AUTO)
        name = models.embedding_name
        states = States(store, catalog, models, Prompts()).of(catalog.language)
        for what, read, model in (
            ("vectors", Vectors(store, catalog, name) if name else None, name),
            # Of others it is not known before they are asked whether they can.
            ("states", states if models.text_name in manifest.load() else None, models.text_name),
        ):
            if read is not None:
                n_missing = read.n_missing()
                found = f"{catalog.count - n_missing:,} of {catalog.count:,} items by {model}"
                fix = f"pyrec index --db {db}" if n_missing else ""
                yield Finding(what, "missing" if n_missing else "ok", found, fix)


def _behavior(db: Path) -> Iterator[Finding]:
    from pyrec.events import EventLog
    from pyrec.learned import Learned
    from pyrec.store import Store

    if not db.exists():
        return
    with Store.open(db) as store:
        state = Learned(store).behavior()
        if state is not None:
            since = EventLog(store).state()[0] - state.reached
            found = f"{len(state.item_ids):,} items, {len(state.pack()) / 1e6:.1f} MB"
            yield Finding("behavior model", "ok", f"{found}, {since:,} events since")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"
