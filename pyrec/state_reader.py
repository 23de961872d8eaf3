"""Reads what a text model holds ready to write after a text: its hidden state, one vector.

    log P(token | text) = state . row(token) - log_total

with the rows of the model's own output matrix. So a state that was read once answers what the model
would write of a text for any word, by one inner product (`signals/query_likelihood.py`).
`indexing.py` calls it for the items of a catalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyrec.errors import ModelError
from pyrec.llama import Model, llama

F32 = npt.NDArray[np.float32]

N_TEXTS = 32
"""How many texts are read at once; each takes a row of logits, a megabyte with Gemma."""
N_TOKENS = 96
"""Of one text, beside what all have in common; its middle is left out where there are more."""
N_COMMON = 400
"""Tokens that texts may have in common."""


class StateReader(Model):
    """A text model that reads texts which begin alike.

    Args:
        path: a GGUF file of a decoder.

    Raises:
        ModelFileError: the file is not a model that llama.cpp can load.
        ModelError: it is an encoder, or has one.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        if llama.llama_model_has_encoder(self._model):
            self.close()
            raise ModelError(f"{self.path.name} has an encoder; states are read of decoders")
        params = llama.llama_context_default_params()
        params.n_ctx = N_COMMON + N_TEXTS * N_TOKENS
        params.n_batch = N_TEXTS * N_TOKENS
        params.n_ubatch = 256  # faster than `lm.N_AT_ONCE`; a state may round by its company
        params.n_seq_max = 1 + N_TEXTS
        params.kv_unified = True
        params.swa_full = True
        self._open_context(params)
        self._memory = llama.llama_get_memory(self._ctx)
        self.width = int(llama.llama_model_n_embd(self._model))
        self._held: list[int] = []

    def read(self, texts: Sequence[str]) -> F32:
        """Read texts.

        Returns:
            (n, width + 1) float32: the state after each text, then its log_total.
        """
        with self.lock:
            tokens = [self.tokenize(text or " ", start=True).tolist() for text in texts]
            parts = [
                self._read(tokens[begin : begin + N_TEXTS])
                for begin in range(0, len(tokens), N_TEXTS)
            ]
        return np.concatenate([np.empty((0, self.width + 1), np.float32), *parts])

    def _read(self, texts: list[list[int]]) -> F32:
        common = _common(texts)
        self._begin(common)
        n = len(common)
        rests = [_cut(text[n:]) for text in texts]
        for sequence in range(1, len(texts) + 1):
            llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            llama.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)
        # The last token of each goes in apart: where states are asked for llama.cpp gives those of
        # all tokens, with a row of logits each, which take longer than the text.
        self._decode(
            [
                (token, n + place, s)
                for s, rest in enumerate(rests, 1)
                for place, token in enumerate(rest[:-1])
            ],
            states=False,
        )
        self._decode([(rest[-1], n + len(rest) - 1, s) for s, rest in enumerate(rests, 1)])
        pointer = llama.llama_get_logits(self._ctx)
        logits = np.ctypeslib.as_array(pointer, (len(texts), self.n_vocab))
        found = np.empty((len(texts), self.width + 1), np.float32)
        for n_text, row in enumerate(found):
            state = llama.llama_get_embeddings_ith(self._ctx, n_text)
            row[:-1] = np.ctypeslib.as_array(state, (self.width,))
            most = logits[n_text].max()
            row[-1] = most + np.log(np.exp(logits[n_text] - most).sum())
        return found

    def _begin(self, common: list[int]) -> None:
        """Read what texts have in common, unless it is what the ones before had."""
        if common != self._held:
            llama.llama_memory_clear(self._memory, True)
            self._held = []
            self._decode([(token, place, 0) for place, token in enumerate(common)], states=False)
            self._held = common

    def _decode(self, tokens: Sequence[tuple[int, int, int]], *, states: bool = True) -> None:
        """Run the model on tokens, each with its position and sequence."""
        if not tokens:
            return
        llama.llama_set_embeddings(self._ctx, states)
        self._fill([t for t, _, _ in tokens], [p for _, p, _ in tokens], [[s] for *_, s in tokens])
        for i in range(len(tokens)):
            self._batch.logits[i] = states
        self._check(llama.llama_decode(self._ctx, self._batch), "reading texts")


def _common(texts: Sequence[Sequence[int]]) -> list[int]:
    """Return how all texts begin, their last tokens left out."""
    n = min(N_COMMON, *(len(text) - 1 for text in texts))
    first = texts[0]
    for text in texts[1:]:
        n = next((i for i in range(n) if text[i] != first[i]), n)
    return list(first[:n])


def _cut(tokens: list[int]) -> list[int]:
    """Leave out the middle of what is too long; how a text ends is what the model answers."""
    tail = N_TOKENS // 4
    return tokens if len(tokens) <= N_TOKENS else tokens[: N_TOKENS - tail] + tokens[-tail:]
