"""Language models through llama.cpp: read a prompt once, then grow branches from it.

`decoding.py` calls it; nothing here knows of items or questions.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyrec.branch_order import BranchOrder
from pyrec.errors import ContextLengthError, ModelError, ModelFileError
from pyrec.gguf_header import read_header
from pyrec.llama import Model, Tokens, llama
from pyrec.token_rows import TokenRows
from pyrec.tree_chunks import tree_chunks

__all__ = ["NEUTRAL", "PROMPT", "LanguageModel", "Logits", "TextModel", "Tokens"]

Logits = npt.NDArray[np.float32]

PROMPT = -1
"""The parent that stands for the prompt itself in `grow` and `tree`."""
NEUTRAL = -2
"""The parent that stands for the second, neutral prompt in `grow`."""

N_AT_ONCE = 60
"""Tokens read at once: few enough that a text is read alike, to the bit, in any company.

From 64 tokens on llama.cpp's attention on CPUs sums in another order, a number rounds the other way
as it is quantized for the next product, and a title of a shop ends up half a nat off. 60 takes 4%
longer than 256 on a hundred tokens, 20% on five hundred. Measured on x86-64 with AVX-512. Not
so for steps of below 8 tokens with K-quants, for encoders, and where branches fill the context."""


class TextModel(Protocol):
    """What decoding asks of a text model; `LanguageModel` and the tests' scripted one give it."""

    n_vocab: int
    n_branches: int
    n_ctx: int
    reads_two: bool
    lock: threading.RLock

    def tokenize(self, text: str, *, start: bool = False) -> Tokens:
        """Turn text into tokens."""
        ...

    def prompt(self, tokens: Tokens, slot: int = PROMPT) -> Logits:
        """Read a prompt."""
        ...

    @property
    def room(self) -> int:
        """Tokens that branches may hold together beside the prompts that are kept."""
        ...

    def grow(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Grow branches."""
        ...

    def tree(
        self, tokens: Tokens, parents: npt.NDArray[np.int32]
    ) -> Iterator[tuple[npt.NDArray[np.int64], Logits]]:
        """Read a whole tree."""
        ...


class LanguageModel(Model):
    """A text model that reads one prompt and then many continuations of it.

    A prompt that begins like the one before keeps that beginning in the cache, so a fixed
    instruction is read once. Decoder-only and encoder-decoder models work alike.

    Args:
        path: a GGUF file.
        n_ctx: tokens that prompt and branches may hold together.
        n_branches: continuations that may be alive at once, at most 200.
        n_slots: prompts that are kept beside each other.
        batch_width: of the vectors that go in in place of tokens; 0 for tokens.
        weights: a file of a moment to load in its place.
        n_threads: cores to use; 0 for `n_threads_default`.

    Raises:
        ModelFileError: the file is not a model that llama.cpp can load.
    """

    _least = 8  # tokens of a read: fewer go through another kernel of K-quants

    def __init__(
        self,
        path: str | Path,
        *,
        n_ctx: int = 512,
        n_branches: int = 20,
        n_slots: int = 2,
        batch_width: int = 0,
        weights: Path | None = None,
        n_threads: int = 0,
    ) -> None:
        super().__init__(path, weights=weights)
        self._output: TokenRows | None = None
        self.n_ctx = n_ctx
        self.n_branches = n_branches
        self._is_seq2seq = bool(llama.llama_model_has_encoder(self._model))
        self.reads_two = not self._is_seq2seq
        self._first = n_slots  # sequences before it are the prompts
        self._n_seq = n_slots + n_branches
        # One sequence more for what branches read that ended, and one for what fills up a read.
        self._ended, self._filling = self._n_seq, self._n_seq + 1
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = n_ctx
        # An encoder must see its whole input in one micro-batch.
        params.n_ubatch = n_ctx if self._is_seq2seq else min(n_ctx, N_AT_ONCE)
        params.n_seq_max = self._n_seq + 2
        params.kv_unified = True
        params.swa_full = True
        params.embeddings = batch_width > 0
        self._open_context(params, batch_width, n_threads)
        self._memory = llama.llama_get_memory(self._ctx)
        self._held: dict[int, list[int]] = {-1 - n: [] for n in range(n_slots)}
        self._lora: Any = None
        self._branches: list[tuple[int, int]] = []  # (sequence, next position)
        self._order = BranchOrder()

    def prompt(self, tokens: Tokens, slot: int = PROMPT) -> Logits:
        """Read a prompt and forget all branches.

        Args:
            tokens: (n,) int32, n ≥ 1, from `tokenize(..., start=True)`.
            slot: `PROMPT`, or `NEUTRAL` for a second one that is kept beside the first, where
                `reads_two` says that the model can.

        Returns:
            (n_vocab,) float32 logits of the next token, valid until the next call.

        Raises:
            ContextLengthError: the prompt leaves no room in the context.
        """
        if not 0 < len(tokens) <= self.n_ctx - 8:
            raise ContextLengthError(
                f"{self.path.name}: a prompt of {len(tokens)} tokens does not fit into a context "
                f"of {self.n_ctx}; ask with less text"
            )
        self._forget_branches()
        if self._is_seq2seq:
            if slot != PROMPT:
                raise ModelError(f"{self.path.name}: an encoder-decoder reads one prompt at a time")
            return self._encode(tokens.tolist())
        return self._read(tokens.tolist(), slot)

    def output_rows(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return what a hidden state is multiplied with for the logit of each of some tokens.

        Returns:
            (n, width) float32.

        Raises:
            ModelFileError: the file changed, or is quantized in a way that cannot be read.
        """
        with self.lock:
            if self._output is None:
                tensors = read_header(self.path).tensors
                table = tensors.get("output.weight") or tensors.get("token_embd.weight")
                if table is None:
                    raise ModelFileError(f"{self.path} names no matrix for what comes out")
                self._output = TokenRows(self.path, table)
            return self._output.read(tokens)

    def close(self) -> None:
        """Free the model and its memory; calling it twice is fine."""
        super().close()
        if self._output is not None:
            self._output.close()

    def adapt(self, adapter: bytes | None) -> None:
        """Add an adapter to the weights, or take it away; prompts and branches are forgotten.

        Args:
            adapter: a GGUF adapter; None for the weights as they are.

        Raises:
            ModelFileError: it does not fit this model, or is damaged. What was there stays.
        """
        with self.lock:
            handles = (llama.llama_adapter_lora_p_ctypes * 1)()
            if adapter is not None:
                handles[0] = self._load_adapter(adapter)
            share = (ctypes.c_float * 1)(1.0)
            llama.llama_set_adapters_lora(self._ctx, handles, int(adapter is not None), share)
            if self._lora is not None:
                llama.llama_adapter_lora_free(self._lora)
            self._lora = handles[0] if adapter is not None else None
            # What is cached was read with other weights.
            self._forget_branches()
            llama.llama_memory_clear(self._memory, True)
            self._held = {slot: [] for slot in self._held}

    def _forget_branches(self) -> None:
        for sequence in range(self._first, self._n_seq + 1):
            llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        self._branches = []
        self._order = BranchOrder()

    def _source(self, parent: int) -> tuple[int, int]:
        """Return the sequence and the next position of a branch or a prompt."""
        if parent >= 0:
            return self._branches[parent]
        return -1 - parent, len(self._held[parent])

    def _read(self, wanted: list[int], slot: int) -> Logits:
        sequence, _ = self._source(slot)
        held = self._held[slot]
        same = 0
        # The last tokens are always read anew: the last one's logits are what we are here for.
        for a, b in zip(held, wanted[: -self._least], strict=False):
            if a != b:
                break
            same += 1
        llama.llama_memory_seq_rm(self._memory, sequence, same, -1)
        self._held[slot] = wanted[:same]
        rest = wanted[same:]
        places = range(same, len(wanted))
        rows = self._decode(rest, places, [[sequence]] * len(rest), 1, "reading a prompt")
        self._held[slot] = wanted
        logits: Logits = rows[0]
        return logits

    def _encode(self, tokens: list[int]) -> Logits:
        # Every encoder token lists every sequence, so that each branch attends to the question.
        llama.llama_memory_clear(self._memory, True)
        everyone = list(range(self._n_seq))
        self._fill(tokens, range(len(tokens)), [everyone] * len(tokens))
        self._check(llama.llama_encode(self._ctx, self._batch), "encoding a prompt")
        start = int(llama.llama_model_decoder_start_token(self._model))
        if start < 0:
            start = int(llama.llama_vocab_bos(self._vocab))
        logits: Logits = self._decode([start], [0], [[0]], 1, "starting an answer")[0]
        self._held[PROMPT] = [start]
        return logits

    @property
    def room(self) -> int:
        """Tokens that branches may hold together beside the prompts that are kept."""
        return self.n_ctx - sum(map(len, self._held.values())) - (self._least - 1)

    def grow(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Continue branches; those that are no parent here end.

        Args:
            parents: for each new branch the number of the branch it continues, counted as in the
                last `grow`, or `PROMPT`, or `NEUTRAL`.
            tokens: for each new branch its further tokens, at least one.

        Returns:
            (sum of the numbers of tokens, n_vocab) float32: logits after each of the tokens in
            order, valid until the next call.
        """
        if len(parents) > self.n_branches:
            raise ValueError(f"{len(parents)} branches, but this model keeps {self.n_branches}")
        # A branch's first child goes on in its place; further ones take the places of branches
        # that end. Each sequence has room for one row of logits, so few sequences save memory.
        first_child: dict[int, int] = {}
        for number, parent in enumerate(parents):
            if parent >= 0:
                first_child.setdefault(parent, number)
        free = set(range(self._first, self._n_seq))
        free -= {self._branches[parent][0] for parent in first_child}
        self._end([n for n in range(len(self._branches)) if n not in first_child])
        flat: list[int] = []
        positions: list[int] = []
        sequences: list[list[int]] = []
        branches: list[tuple[int, int]] = []
        for number, (parent, more) in enumerate(zip(parents, tokens, strict=True)):
            sequence, position = self._source(parent)
            if first_child.get(parent) != number:
                source, sequence = sequence, min(free)
                free.remove(sequence)
                llama.llama_memory_seq_cp(self._memory, source, sequence, -1, -1)
            flat.extend(more)
            positions.extend(range(position, position + len(more)))
            sequences.extend([[sequence]] * len(more))
            branches.append((sequence, position + len(more)))
        self._order.grow(parents, [len(more) for more in tokens])
        if self._order.n_read > self.room:
            llama.llama_memory_seq_rm(self._memory, self._ended, -1, -1)
        self._branches = branches
        return self._decode_all(flat, positions, sequences)

    def _end(self, branches: Sequence[int]) -> None:
        """End branches, but keep what they read while there is room.

        A place that becomes free is filled by what comes next, and attention sums in the order of
        places: a branch whose end stands before its beginning is read a little differently.
        """
        for number in branches:
            sequence, position = self._branches[number]
            if self._order.n_read <= self.room:
                first = position - self._order.keep(number)
                llama.llama_memory_seq_cp(self._memory, sequence, self._ended, first, -1)
            llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def tree(
        self, tokens: Tokens, parents: npt.NDArray[np.int32]
    ) -> Iterator[tuple[npt.NDArray[np.int64], Logits]]:
        """Read a whole tree of continuations after the prompt, each node once where it fits.

        Args:
            tokens: (n,) int32, the token of each node; parents come before their children.
            parents: (n,) int32, the node before it, or `PROMPT`.

        Yields:
            Node numbers and (n_nodes, n_vocab) float32 logits after each, valid until the next
            step; each node exactly once.
        """
        position = len(self._held[PROMPT])
        for nodes, paths in tree_chunks(parents, self._n_seq - self._first, self.room):
            self._forget_branches()
            n_paths = 1 + max(max(ids) for ids, _, _ in paths)
            for sequence in range(self._first, self._first + n_paths):
                llama.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)
            logits = self._decode_all(
                [int(tokens[node]) for node in nodes],
                [position + depth for _, depth, _ in paths],
                [[self._first + path for path in ids] for ids, _, _ in paths],
            )
            fresh = np.array([is_new for _, _, is_new in paths])
            yield np.array(nodes)[fresh], logits[fresh] if not fresh.all() else logits
        self._forget_branches()

    def _decode_all(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[Sequence[int]]
    ) -> Logits:
        if len(tokens) > self.n_ctx:
            raise ContextLengthError(f"{len(tokens)} tokens in one step, n_ctx is {self.n_ctx}")
        return self._decode(tokens, positions, sequences, len(tokens), "growing an answer")

    def _decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequences: Sequence[Sequence[int]],
        n_logits: int,
        doing: str,
    ) -> Logits:
        """Run the model on tokens; return the logits after the last ones, (n_logits, n_vocab)."""
        n = len(tokens)
        # llama.cpp reads in pieces: the last one is filled up to the tokens that its kernels for
        # many take. A step that is short as a whole is not: it would take longer.
        short, n_more = n % N_AT_ONCE, 0
        if n > N_AT_ONCE and 0 < short < self._least and not self._is_seq2seq:
            n_more = min(self._least - short, self.n_ctx - n)
        self._fill(
            [*tokens, *[tokens[-1]] * n_more],
            [*positions, *range(n_more)],
            [*sequences, *[[self._filling]] * n_more],
        )
        for i in range(n - n_logits, n):
            self._batch.logits[i] = 1
        self._check(llama.llama_decode(self._ctx, self._batch), doing)
        if n_more:
            llama.llama_memory_seq_rm(self._memory, self._filling, -1, -1)
        return self._logits(n_logits)

    def _logits(self, n: int) -> Logits:
        pointer = llama.llama_get_logits(self._ctx)
        return np.ctypeslib.as_array(pointer, (n, self.n_vocab))
