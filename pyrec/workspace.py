"""A working folder for one pull: all that is half-made lies in it, and it always goes away.

It stands within the models' folder, on the same disk, so that the finished file is only renamed.
A pull that was killed leaves its folder behind, unlocked; the next one removes it. `models.py`
calls it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PREFIX = ".pull-"
_LOCK = "lock"


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """Give an empty folder within `folder`, removed at the end however that comes.

    Raises:
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_dead(folder)
    place, lock = _locked_folder(folder)
    try:
        yield place
    finally:
        lock.close()
        shutil.rmtree(place, ignore_errors=True)


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names where its disk can do that, through to the disk."""
    if not path.is_dir():
        handle = os.open(path, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    elif sys.platform != "win32":  # Windows opens no folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError:
            pass  # some sticks and shares cannot
        finally:
            os.close(handle)


def _locked_folder(folder: Path) -> tuple[Path, IO[bytes]]:
    for _ in range(10):
        place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        try:
            held = open(place / _LOCK, "ab")  # noqa: SIM115 - held until the work is done
        except FileNotFoundError:
            continue  # another process took it for dead before it was locked
        if lock(held) and (place / _LOCK).exists():
            break
        held.close()
    # A disk without locks ends here as well; nobody can lock there, so nobody removes a folder.
    return place, held


def _remove_dead(folder: Path) -> None:
    for place in folder.glob(_PREFIX + "*"):
        try:
            with open(place / _LOCK, "ab") as held:
                if not lock(held):
                    continue
                # Under the lock, so that its owner cannot just be taking it.
                shutil.rmtree(place, ignore_errors=True)
        except OSError:
            continue  # gone already, or not ours to open
        shutil.rmtree(place, ignore_errors=True)  # Windows removes no file that is open


def lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where another holds it or nothing can lock."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
