"""A file that a training can go on from after it was killed at any moment.

The whole is written beside it and then put in its place, so that there is always one that is
whole; its checksum tells one that a disk damaged.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from pyrec.errors import StoreError

State = dict[str, Any]


class Checkpoint:
    """Where a training stands; without a path nothing is kept.

    Args:
        path: the file.
        digest: names the training by all that it depends on; of another nothing is to go on from.
    """

    def __init__(self, path: Path | None, digest: str) -> None:
        self._path, self._digest = path, digest

    def save(self, state: State) -> None:
        """Write a state; the file before stays until this one is on the disk.

        Raises:
            StoreError: it cannot be written, say on a full disk.
        """
        if self._path is None:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        packed = io.BytesIO()
        torch.save({"digest": self._digest, **state}, packed)
        data = packed.getbuffer()
        try:
            with open(fresh, "wb") as file:
                file.write(hashlib.sha256(data).digest())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self._path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise StoreError(
                f"{self._path} cannot keep where the training stands ({error}); make room on that "
                "disk and train again. What is in use stays"
            ) from error

    def load(self, device: torch.device) -> State | None:
        """Return the state that a training of the same data was left in, None without one.

        Raises:
            StoreError: the file is damaged.
        """
        if self._path is None or not self._path.exists():
            return None
        packed = self._path.read_bytes()
        if hashlib.sha256(packed[32:]).digest() != packed[:32]:
            raise StoreError(
                f"{self._path}, where a training was interrupted, is damaged; remove it to train "
                "from the beginning. What is in use stays"
            )
        data = io.BytesIO(packed[32:])
        state: State = torch.load(data, map_location=device, weights_only=True)
        return state if state.pop("digest", "") == self._digest else None
