"""Which tokens the branches of a prompt read, so that those that ended can be kept in their places.

`lm.py` numbers tokens in the order of reading; where they lie is llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Sequence


class BranchOrder:
    """Which tokens the branches of one prompt read, numbered in the order of reading."""

    def __init__(self) -> None:
        self.n_read = 0
        self._paths: list[list[int]] = []
        self._kept: set[int] = set()

    def grow(self, parents: Sequence[int], lengths: Sequence[int]) -> None:
        """Note that branches go on by so many tokens, and that the others are no more."""
        paths = []
        for parent, length in zip(parents, lengths, strict=True):
            begun = self._paths[parent] if parent >= 0 else []
            paths.append([*begun, *range(self.n_read, self.n_read + length)])
            self.n_read += length
        self._paths = paths

    def keep(self, branch: int) -> int:
        """Return how many of a branch's last tokens are not kept yet, and note that they are."""
        path = self._paths[branch]
        fresh = [token for token in path if token not in self._kept]
        self._kept.update(fresh)
        return len(fresh)
