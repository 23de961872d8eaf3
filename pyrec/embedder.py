"""Embedding models through llama.cpp: text to unit vectors.

The `dense` signal calls it; nothing here knows of items or questions.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyrec.encoder_file import small_copy, table_of
from pyrec.errors import ModelFileError
from pyrec.gguf_header import read_header
from pyrec.llama import Model, Tokens, llama
from pyrec.token_rows import TokenRows
from pyrec.vocabulary import Vocabulary, read_vocabulary


class Embedder(Model):
    """An embedding model: text to unit vectors in one space.

    Args:
        path: a GGUF file of an embedding architecture.
        query_prefix: what the model was trained to read before a question.
        passage_prefix: and before a text that may answer one.
        n_ctx: tokens of one text; what is longer is cut.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        query_prefix: str = "",
        passage_prefix: str = "",
        n_ctx: int = 128,
    ) -> None:
        path = Path(path)
        self._vocabulary: Vocabulary | None = None
        self._rows: TokenRows | None = None
        try:
            header = read_header(path)
            table = table_of(header)
            vocabulary = read_vocabulary(path, header)
            if table and vocabulary and table.shape[1] == vocabulary.pieces.n_tokens:
                with small_copy(path, header) as weights:
                    super().__init__(path, weights=weights)
                self.n_vocab = vocabulary.pieces.n_tokens
                self._vocabulary, self._rows = vocabulary, TokenRows(path, table)
            else:
                super().__init__(path)
        except OSError as error:
            raise ModelFileError(f"{path} cannot be loaded: {error}") from error
        self.n_ctx = n_ctx
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = n_ctx
        params.n_seq_max = 1
        params.embeddings = True
        self._open_context(params, self._rows.width if self._rows else 0)
        self.dim = int(llama.llama_model_n_embd(self._model))

    def close(self) -> None:
        """Free the model and its memory; calling it twice is fine."""
        super().close()
        if self._rows is not None:
            self._rows.close()

    def tokenize(self, text: str, *, start: bool = False) -> Tokens:
        """Turn text into tokens; text that looks like a special token stays plain text.

        Args:
            text: any string.
            start: add the model's own marks of a beginning and an end.

        Returns:
            (n_tokens,) int32.
        """
        if self._vocabulary is None:
            return super().tokenize(text, start=start)
        return self._vocabulary.encode(text, marks=start)

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Return the (dim,) float32 unit vector of a question."""
        vector: npt.NDArray[np.float32] = self._embed([self._query_prefix + text])[0]
        return vector

    def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (n, dim) float32 unit vectors of texts, in order; empty texts are fine."""
        return self._embed([self._passage_prefix + text for text in texts])

    def _embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = np.empty((len(texts), self.dim), np.float32)
        # Several texts a call were tried: no faster, and each takes memory.
        with self.lock:
            for row, text in zip(rows, texts, strict=True):
                row[:] = self._embed_one(text)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = rows / np.maximum(norms, 1e-12)
        return unit

    def _embed_one(self, text: str) -> npt.NDArray[np.float32]:
        # Few tokens are longer than 16 characters; cutting first keeps huge texts cheap.
        tokens = self.tokenize(text[: self.n_ctx * 24], start=True).tolist()
        if len(tokens) > self.n_ctx:
            tokens = [*tokens[: self.n_ctx - 1], tokens[-1]]
        positions, sequences = range(len(tokens)), [[0]] * len(tokens)
        if self._rows is None:
            self._fill(tokens, positions, sequences)
        else:
            self._place(positions, sequences)
            vectors = self._rows.read(tokens)
            ctypes.memmove(self._batch.embd, vectors.ctypes.data, vectors.nbytes)
        for i in range(len(tokens)):
            self._batch.logits[i] = 1
        encoder = llama.llama_model_has_encoder(self._model)
        run = llama.llama_encode if encoder else llama.llama_decode
        memory = llama.llama_get_memory(self._ctx)
        if memory:
            llama.llama_memory_clear(memory, True)
        self._check(run(self._ctx, self._batch), "embedding text")
        pointer = llama.llama_get_embeddings_seq(self._ctx, 0)
        if not pointer:
            raise ModelFileError(
                f"{self.path.name} pools no embeddings; it is not an embedding model"
            )
        vector: npt.NDArray[np.float32] = np.ctypeslib.as_array(pointer, (self.dim,)).copy()
        return vector
