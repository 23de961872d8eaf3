"""A text model whose every logit is known: tokens are characters, logits come from a table.

It keeps the same state as the real one, prompts and branches, so that a search that mixes up its
branches gives wrong numbers here too.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pyrec.errors import ContextLengthError
from pyrec.lm import NEUTRAL, PROMPT

N_VOCAB = 128


def noise(path: tuple[int, ...]) -> np.ndarray:
    """Logits that depend on everything read so far, the same on every machine."""
    seed = int.from_bytes(hashlib.sha256(bytes(path)).digest()[:8], "little")
    return np.random.default_rng(seed).normal(0.0, 2.0, N_VOCAB).astype(np.float32)


class ScriptedModel:
    """Answers from a function of all tokens read."""

    n_vocab = N_VOCAB

    def __init__(
        self,
        logits: Callable[[tuple[int, ...]], np.ndarray] = noise,
        n_branches: int = 32,
        n_ctx: int = 1000,
        reads_two: bool = True,
    ) -> None:
        self._logits = logits
        self.n_branches = n_branches
        self.n_ctx = n_ctx
        self.reads_two = reads_two
        self.lock = threading.RLock()
        self.n_calls = 0
        self.n_tokens = 0
        self._prompts: dict[int, tuple[int, ...]] = {PROMPT: (), NEUTRAL: ()}
        self._branches: list[tuple[int, ...]] = []

    def tokenize(self, text: str, *, start: bool = False) -> np.ndarray:
        tokens = [ord(c) % (N_VOCAB - 1) + 1 for c in text]
        return np.array([0, *tokens] if start else tokens, np.int32)

    def prompt(self, tokens: np.ndarray, slot: int = PROMPT) -> np.ndarray:
        if len(tokens) > self.n_ctx - 1:
            raise ContextLengthError(f"{len(tokens)} tokens in a context of {self.n_ctx}")
        self._branches = []
        self._prompts[slot] = tuple(int(t) for t in tokens)
        return self._logits(self._prompts[slot])

    @property
    def room(self) -> int:
        return self.n_ctx - sum(map(len, self._prompts.values()))

    def _n_prompt(self, path: tuple[int, ...]) -> int:
        starts = (p for p in self._prompts.values() if p and path[: len(p)] == p)
        return max(map(len, starts), default=0)

    def grow(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> np.ndarray:
        assert len(parents) <= self.n_branches
        assert all(len(more) > 0 for more in tokens)
        rows, branches = [], []
        for parent, more in zip(parents, tokens, strict=True):
            path = self._prompts[parent] if parent < 0 else self._branches[parent]
            for token in more:
                path = (*path, int(token))
                if len(path) > self.n_ctx:
                    raise ContextLengthError("full")
                rows.append(self._logits(path))
            branches.append(path)
        # As a real context: what branches hold, each beginning once, has to fit beside the prompts.
        held = {
            path[:n]
            for path, parent in zip(branches, parents, strict=True)
            for n in range(self._n_prompt(path) + 1, len(path) + 1)
        }
        if len(held) > self.room:
            raise ContextLengthError(f"{len(held)} tokens, and room for {self.room}")
        self._branches = branches
        self.n_calls += 1
        self.n_tokens += len(rows)
        return np.stack(rows)

    def tree(
        self, tokens: np.ndarray, parents: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        paths: list[tuple[int, ...]] = []
        for token, parent in zip(tokens, parents, strict=True):
            above = self._prompts[PROMPT] if parent < 0 else paths[parent]
            paths.append((*above, int(token)))
        # In two parts, as a real model that has to cut the tree.
        half = (len(paths) + 1) // 2
        for first in (0, half):
            some = np.arange(first, min(first + half, len(paths)))
            if len(some):
                yield some, np.stack([self._logits(paths[n]) for n in some])


class ScriptedModels:
    """What a recommender asks for its models, with one scripted text model or none."""

    embedding_name = ""
    adapted = False
    trouble = ""

    def __init__(self, model: ScriptedModel | None = None) -> None:
        self._model = model
        self.text_name = "scripted" if model else ""

    def text(self) -> ScriptedModel | None:
        return self._model

    def titles(self) -> ScriptedModel | None:
        return self._model

    def embedder(self) -> None:
        return None

    def close(self) -> None:
        pass
