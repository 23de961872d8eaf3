"""Runs the body of a behavior model through llama.cpp, behind the interface of a text model.

Tokens are items and actions. Their rows go in as vectors, the last hidden state comes out, and its
cosines with all rows (`dense.h`) are the logits. What was read of the users asked last is kept, so
that one event more costs one token more. `running.py` calls it.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.errors import ModelFileError
from pyrec.llama import Tokens, llama
from pyrec.lm import PROMPT, LanguageModel, Logits
from pyrec.memory_file import memory_file

F32 = npt.NDArray[np.float32]
I8 = npt.NDArray[np.int8]

N_USERS = 8
"""Of how many users what was read is kept."""
N_BEAMS = 8
"""Branches that may be alive at once."""
N_MORE = 20
"""How many items may continue a history."""


class BehaviorModel(LanguageModel):
    """The body with its rows.

    Args:
        body: a GGUF that `export.py` wrote.
        rows: (n_tokens, width) int8, of any length; further ones may follow by `extend`.
        bias: (n_tokens,) float32.
        temperature: what a cosine is multiplied by.
        n_ctx: tokens of one history.

    Raises:
        ModelFileError: the body is no model, or not as wide as the rows.
    """

    _least = 1  # an event costs one token; no K-quants here

    def __init__(self, body: bytes, rows: I8, bias: F32, temperature: float, n_ctx: int) -> None:
        self._width = rows.shape[1]
        self._temperature = temperature
        with memory_file() as (file, path):
            file.write(body)
            file.flush()
            super().__init__(
                Path("behavior model"),
                n_ctx=N_USERS * n_ctx + N_BEAMS * N_MORE * 2,
                n_branches=N_BEAMS,
                n_slots=N_USERS,
                batch_width=self._width,
                weights=path,
                n_threads=1,  # so little work is done before a second one has begun
            )
        if int(llama.llama_model_n_embd(self._model)) != self._width:
            self.close()
            raise ModelFileError(
                f"the body of the behavior model is not {self._width} wide as its rows are; train "
                "it again with `pyrec train --behavior`"
            )
        self._rows = np.empty((0, self._width), np.int8)
        self._bias = np.empty(0, np.float32)
        self._scales = np.empty(0, np.float32)
        self._used = dict.fromkeys(self._held, 0)
        self.extend(rows, bias)

    def extend(self, rows: I8, bias: F32) -> None:
        """Add tokens after those that there are."""
        lengths = np.linalg.norm(rows.astype(np.float32), axis=1)
        scales = (1.0 / np.maximum(lengths, 1.0)).astype(np.float32)
        with self.lock:
            self._rows = np.concatenate([self._rows, rows])
            self._scales = np.concatenate([self._scales, scales])
            self._bias = np.concatenate([self._bias, bias])
            self.n_vocab = len(self._rows)

    def cut(self, n: int) -> None:
        """Take away all tokens but the first n, and what was read of anybody."""
        with self.lock:
            self._rows, self._scales, self._bias = self._rows[:n], self._scales[:n], self._bias[:n]
            self.n_vocab = n
            self._forget_branches()
            llama.llama_memory_clear(self._memory, True)
            self._held = {slot: [] for slot in self._held}

    def read(self, tokens: Sequence[int]) -> Logits:
        """Read a history, from where the same one was left if it is still kept.

        Args:
            tokens: the history, at least one.

        Returns:
            (n_tokens,) float32 logits of the next token, a copy.
        """
        with self.lock:
            found: Logits = self.prompt(np.array(tokens, np.int32), self.slot(tokens)).copy()
            return found

    def slot(self, tokens: Sequence[int]) -> int:
        """Choose where to read a history: where most of it was read, else the longest unused."""

        def kept(slot: int) -> int:
            held = self._held[slot]
            return len(held) if held == list(tokens[: len(held)]) else 0

        best = max(self._held, key=kept)
        if kept(best) == 0:
            best = min(self._held, key=self._used.__getitem__)
        self._used[best] = 1 + max(self._used.values())
        return best

    def nearness(self, token: int, others: Sequence[int]) -> F32:
        """Return the cosines of a token's row with those of others, (len(others),) float32."""
        cosines: F32 = self._vectors(others) @ self._vectors([token])[0] / self._width
        return cosines

    def hidden(self, tokens: Tokens) -> F32:
        """Return the hidden states after each token of a history, (n, width) float32, length 1."""
        with self.lock:
            self._forget_branches()
            sequence, _ = self._source(PROMPT)
            llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            self._held[PROMPT] = []
            self._fill(tokens.tolist(), range(len(tokens)), [[sequence]] * len(tokens))
            for i in range(len(tokens)):
                self._batch.logits[i] = 1
            self._check(llama.llama_decode(self._ctx, self._batch), "reading a history")
            self._held[PROMPT] = tokens.tolist()
            return self._states(len(tokens))

    def _vectors(self, tokens: Sequence[int]) -> F32:
        """Return what the body reads of tokens: rows of the length √width."""
        place = np.asarray(tokens, np.int64)
        scale = self._scales[place, None] * np.float32(math.sqrt(self._width))
        vectors: F32 = self._rows[place].astype(np.float32) * scale
        return vectors

    def _fill(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[Sequence[int]]
    ) -> None:
        vectors = np.ascontiguousarray(self._vectors(tokens))
        ctypes.memmove(self._batch.embd, vectors.ctypes.data, vectors.nbytes)
        self._place(positions, sequences)

    def _states(self, n: int) -> F32:
        """Return the hidden states after the last n tokens of the batch, each of length 1."""
        last = self._batch.n_tokens
        states = np.empty((n, self._width), np.float32)
        # llama.cpp gives the states of all tokens where it gives any.
        for row, place in enumerate(range(last - n, last)):
            pointer = llama.llama_get_embeddings_ith(self._ctx, place)
            states[row] = np.ctypeslib.as_array(pointer, (self._width,))
        states /= np.maximum(np.linalg.norm(states, axis=1, keepdims=True), np.float32(1e-6))
        return states

    def _logits(self, n: int) -> Logits:
        states = self._states(n)
        found = np.empty((n, self.n_vocab), np.float32)
        scales = self._scales * np.float32(self._temperature)
        for row, state in zip(found, states, strict=True):
            row[:] = _core.inner_int8(self._rows, scales, state, None) + self._bias
        return found
