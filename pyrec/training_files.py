"""The files beside a database that an interrupted training goes on from.

    shop.db-behavior           what is trained, and the newest event that it knows; locked meanwhile
    shop.db-behavior-first     the model that gives evidence (`behavior/fit.py`), then -second the
    shop.db-behavior-second    one that stays
    shop.db-behavior-update    one that is continued

All of them go away with the training that they belong to.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

from pyrec.errors import StoreBusyError, StoreError
from pyrec.replay import Log
from pyrec.workspace import lock

STALE = 0.1
"""A training that was interrupted goes on without what came since, up to this share of the log."""
_STAGES = {"train": ("first", "second"), "update": ("update",)}


def remove_files(path: Path) -> None:
    """Remove what an interrupted training goes on from, whichever files are left.

    Raises:
        StoreBusyError: another process trains this store's behavior model.
        StoreError: a file cannot be removed.
    """
    stages = [path.with_name(f"{path.name}-{name}") for names in _STAGES.values() for name in names]
    if not any(each.exists() for each in (path, *stages)):
        return
    for kind in _STAGES:
        TrainingFiles(path, kind).done()


class TrainingFiles:
    """The files of one training; locked until `close`.

    Args:
        path: the first of them; None to keep nothing.
        kind: `train` or `update`.

    Raises:
        StoreBusyError: another process trains this store's behavior model.
        StoreError: the file cannot be written.
    """

    def __init__(self, path: Path | None, kind: str) -> None:
        self._path, self._kind = path, kind
        self._file: IO[bytes] | None = None
        if path is None:
            return
        try:
            self._file = open(path, "a+b")  # noqa: SIM115 - held until the training is over
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error}); nothing was changed") from error
        if not lock(self._file):
            self.close()
            raise StoreBusyError(
                f"another process trains the behavior model of this store ({path} is locked); "
                "wait for it, or stop it"
            )

    def began(self, log: Log, reached: int) -> int | None:
        """Return the newest event that the training to go on with knows; None to begin anew.

        Args:
            log: as it is now, not empty.
            reached: the newest event that the model in use knows, -1 without one.

        Raises:
            StoreError: the file cannot be written.
        """
        if self._file is None or self._path is None:
            return None
        stage = self.stage(_STAGES[self._kind][0])
        self._file.seek(0)
        kind, _, told = self._file.read(100).decode("ascii", "replace").partition(" ")
        if kind == self._kind and told.isdecimal() and stage is not None and stage.exists():
            later = float((log.event_id > int(told)).mean())
            if int(told) > reached and later <= STALE:
                return int(told)
        try:
            self._file.truncate(0)
            self._file.write(f"{self._kind} {int(log.event_id.max())}".encode("ascii"))
            self._file.flush()
        except OSError as error:
            message = f"{self._path} cannot be written ({error}); nothing was changed"
            raise StoreError(message) from error
        return None

    def stage(self, name: str) -> Path | None:
        """Return the file of a stage; None to keep nothing."""
        path = self._path
        return path.with_name(f"{path.name}-{name}") if path else None

    def done(self) -> None:
        """Remove the files, now that there is nothing to go on from."""
        for name in _STAGES[self._kind]:
            path = self.stage(name)
            if path is not None:
                path.unlink(missing_ok=True)
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others train; calling it twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None
