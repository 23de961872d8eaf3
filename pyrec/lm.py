"""Language models through llama.cpp: read a prompt once, grow branches from it, embed text.

The only module that imports llama_cpp, and only its low-level functions: `llama_cpp.Llama` can
neither set the number of sequences nor leave unused logits uncomputed. `decoding.py` and the
`dense` signal call it; nothing here knows of items or questions.
Source: `llama.h` of llama.cpp, as wrapped by `llama_cpp.llama_cpp`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

# Imported by module path: the package's __init__ would pull in chat templates and samplers.
from llama_cpp import llama_cpp as llama

from pyrec.errors import ContextLengthError, ModelError, ModelFileError

Tokens = npt.NDArray[np.int32]
Logits = npt.NDArray[np.float32]

PROMPT = -1
"""The parent that stands for the prompt itself in `grow` and `tree`."""
NEUTRAL = -2
"""The parent that stands for the second, neutral prompt in `grow`."""

_messages: list[str] = []


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_message(level: int, text: bytes, _data: Any) -> None:
    # llama.cpp writes to stderr by default; we keep what explains a failure, and print nothing.
    if level >= 3:
        _messages.append(text.decode("utf-8", "replace").strip())
        del _messages[:-5]


def _why() -> str:
    return "; ".join(m for m in _messages if m) or "llama.cpp gives no reason"


_started = threading.Lock()
_is_started = False


def _start() -> None:
    global _is_started
    with _started:
        if not _is_started:
            llama.llama_log_set(_keep_message, ctypes.c_void_p(0))
            llama.llama_backend_init()
            _is_started = True


def n_threads_default() -> int:
    """Return OMP_NUM_THREADS where it is set, else the cores this process may use, at most 8."""
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return max(1, int(os.environ["OMP_NUM_THREADS"]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(8, cores or 1))


class TextModel(Protocol):
    """What decoding asks of a text model; `LanguageModel` and the tests' scripted one give it."""

    n_vocab: int
    n_branches: int
    reads_two: bool
    lock: threading.RLock

    def tokenize(self, text: str, *, start: bool = False) -> Tokens:
        """Turn text into tokens."""
        ...

    def prompt(self, tokens: Tokens, slot: int = PROMPT) -> Logits:
        """Read a prompt."""
        ...

    def grow(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Grow branches."""
        ...

    def tree(
        self, tokens: Tokens, parents: npt.NDArray[np.int32]
    ) -> Iterator[tuple[npt.NDArray[np.int64], Logits]]:
        """Read a whole tree."""
        ...


class _Model:
    """A loaded GGUF with one context; closes both."""

    def __init__(self, path: str | Path, *, vocab_only: bool = False) -> None:
        _start()
        self.path = Path(path)
        _messages.clear()
        params = llama.llama_model_default_params()
        params.vocab_only = vocab_only
        # Repacked copies of the weights read a prompt faster but double the resident memory.
        params.use_extra_bufts = False
        self._model = llama.llama_model_load_from_file(os.fsencode(self.path), params)
        self._ctx: Any = None
        if not self._model:
            raise ModelFileError(
                f"{self.path} cannot be loaded as a GGUF model: {_why()}. "
                "Check it with `pyrec models verify`, or pull it again."
            )
        self._vocab = llama.llama_model_get_vocab(self._model)
        self.n_vocab = int(llama.llama_vocab_n_tokens(self._vocab))
        self.lock = threading.RLock()

    def _open_context(self, params: Any) -> None:
        n = n_threads_default()
        params.n_threads = params.n_threads_batch = n
        params.no_perf = True
        self._ctx = llama.llama_init_from_model(self._model, params)
        if not self._ctx:
            llama.llama_model_free(self._model)
            self._model = None
            raise ModelError(f"{self.path.name}: no context could be made: {_why()}")
        self._batch = llama.llama_batch_init(params.n_batch, 0, params.n_seq_max)

    def close(self) -> None:
        """Free the model and its memory; calling it twice is fine."""
        with self.lock:
            if self._ctx:
                llama.llama_batch_free(self._batch)
                llama.llama_free(self._ctx)
                self._ctx = None
            if self._model:
                llama.llama_model_free(self._model)
                self._model = None

    def describe(self) -> str:
        """Return llama.cpp's own one-line description: architecture, size, quantization."""
        buffer = ctypes.create_string_buffer(256)
        llama.llama_model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    def tokenize(self, text: str, *, start: bool = False) -> Tokens:
        """Turn text into tokens; text that looks like a special token stays plain text.

        Args:
            text: any string.
            start: add the model's own marks of a beginning (and end, where it has one).

        Returns:
            (n_tokens,) int32.
        """
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        while True:
            tokens = np.empty(size, np.int32)
            pointer = tokens.ctypes.data_as(ctypes.POINTER(llama.llama_token))
            n = llama.llama_tokenize(self._vocab, data, len(data), pointer, size, start, False)
            if n >= 0:
                return tokens[:n]
            size = -n

    def _fill(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[Sequence[int]]
    ) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, (token, position, ids) in enumerate(zip(tokens, positions, sequences, strict=True)):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = len(ids)
            for j, sequence in enumerate(ids):
                batch.seq_id[i][j] = sequence
            batch.logits[i] = 0

    def _check(self, code: int, doing: str) -> None:
        if code == 1:
            raise ContextLengthError(
                f"{self.path.name}: the context is full while {doing}; ask with less text"
            )
        if code != 0:
            raise ModelError(f"{self.path.name}: llama.cpp failed ({code}) while {doing}: {_why()}")


class LanguageModel(_Model):
    """A text model that reads one prompt and then many continuations of it.

    A prompt that begins like the one before keeps that beginning in the cache, so a fixed
    instruction is read once. Decoder-only and encoder-decoder models work alike.

    Args:
        path: a GGUF file.
        n_ctx: tokens that prompt and branches may hold together.
        n_branches: continuations that may be alive at once, at most 200.

    Raises:
        ModelFileError: the file is not a model that llama.cpp can load.
    """

    def __init__(self, path: str | Path, *, n_ctx: int = 512, n_branches: int = 20) -> None:
        super().__init__(path)
        self.n_ctx = n_ctx
        self.n_branches = n_branches
        self._is_seq2seq = bool(llama.llama_model_has_encoder(self._model))
        self.reads_two = not self._is_seq2seq
        self._n_seq = 2 + n_branches  # sequences 0 and 1 are the prompts
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = n_ctx
        # An encoder must see its whole input in one micro-batch.
        params.n_ubatch = n_ctx if self._is_seq2seq else min(n_ctx, 256)
        params.n_seq_max = self._n_seq
        params.kv_unified = True
        params.swa_full = True
        self._open_context(params)
        self._memory = llama.llama_get_memory(self._ctx)
        self._held: dict[int, list[int]] = {PROMPT: [], NEUTRAL: []}
        self._branches: list[tuple[int, int]] = []  # (sequence, next position)

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

    def _forget_branches(self) -> None:
        for sequence in range(2, self._n_seq):
            llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        self._branches = []

    def _source(self, parent: int) -> tuple[int, int]:
        """Return the sequence and the next position of a branch or a prompt."""
        if parent >= 0:
            return self._branches[parent]
        return -1 - parent, len(self._held[parent])

    def _read(self, wanted: list[int], slot: int) -> Logits:
        sequence, _ = self._source(slot)
        held = self._held[slot]
        same = 0
        # The last token is always read anew: its logits are what we are here for.
        for a, b in zip(held, wanted[:-1], strict=False):
            if a != b:
                break
            same += 1
        llama.llama_memory_seq_rm(self._memory, sequence, same, -1)
        self._held[slot] = wanted[:same]
        rest = wanted[same:]
        self._fill(rest, range(same, len(wanted)), [[sequence]] * len(rest))
        self._batch.logits[len(rest) - 1] = 1
        self._check(llama.llama_decode(self._ctx, self._batch), "reading a prompt")
        self._held[slot] = wanted
        return self._next_logits()

    def _encode(self, tokens: list[int]) -> Logits:
        # Every encoder token lists every sequence, so that each branch attends to the question.
        llama.llama_memory_clear(self._memory, True)
        everyone = list(range(self._n_seq))
        self._fill(tokens, range(len(tokens)), [everyone] * len(tokens))
        self._check(llama.llama_encode(self._ctx, self._batch), "encoding a prompt")
        start = int(llama.llama_model_decoder_start_token(self._model))
        if start < 0:
            start = int(llama.llama_vocab_bos(self._vocab))
        self._fill([start], [0], [[0]])
        self._batch.logits[0] = 1
        self._check(llama.llama_decode(self._ctx, self._batch), "starting an answer")
        self._held[PROMPT] = [start]
        return self._next_logits()

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
        free = set(range(2, self._n_seq))
        free -= {self._branches[parent][0] for parent in first_child}
        flat: list[int] = []
        positions: list[int] = []
        sequences: list[list[int]] = []
        branches: list[tuple[int, int]] = []
        for number, (parent, more) in enumerate(zip(parents, tokens, strict=True)):
            sequence, position = self._source(parent)
            if first_child.get(parent) != number:
                source, sequence = sequence, min(free)
                free.remove(sequence)
                llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
                llama.llama_memory_seq_cp(self._memory, source, sequence, -1, -1)
            flat.extend(more)
            positions.extend(range(position, position + len(more)))
            sequences.extend([[sequence]] * len(more))
            branches.append((sequence, position + len(more)))
        for sequence in free:
            llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        self._branches = branches
        return self._decode_all(flat, positions, sequences)

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
        room = self.n_ctx - sum(map(len, self._held.values()))
        for nodes, paths in _tree_chunks(parents, self._n_seq - 2, room):
            self._forget_branches()
            for sequence in range(2, 3 + max(max(ids) for ids, _, _ in paths)):
                llama.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)
            logits = self._decode_all(
                [int(tokens[node]) for node in nodes],
                [position + depth for _, depth, _ in paths],
                [[2 + path for path in ids] for ids, _, _ in paths],
            )
            fresh = np.array([is_new for _, _, is_new in paths])
            yield np.array(nodes)[fresh], logits[fresh] if not fresh.all() else logits
        self._forget_branches()

    def _decode_all(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[Sequence[int]]
    ) -> Logits:
        if len(tokens) > self.n_ctx:
            raise ContextLengthError(f"{len(tokens)} tokens in one step, n_ctx is {self.n_ctx}")
        self._fill(tokens, positions, sequences)
        for i in range(len(tokens)):
            self._batch.logits[i] = 1
        self._check(llama.llama_decode(self._ctx, self._batch), "growing an answer")
        return self._logits(len(tokens))

    def _next_logits(self) -> Logits:
        logits: Logits = self._logits(1)[0]
        return logits

    def _logits(self, n: int) -> Logits:
        pointer = llama.llama_get_logits(self._ctx)
        return np.ctypeslib.as_array(pointer, (n, self.n_vocab))


def _tree_chunks(
    parents: npt.NDArray[np.int32], n_sequences: int, n_tokens: int
) -> Iterator[tuple[list[int], list[tuple[list[int], int, bool]]]]:
    """Cut a tree into runs of whole paths that fit into sequences and tokens.

    A node shared by two runs is read in both, but counts as new only in the first.
    Yields nodes, and for each (paths through it, counted from 0, depth, is new).
    """
    has_child = np.zeros(len(parents), bool)
    has_child[parents[parents >= 0]] = True
    seen: set[int] = set()
    run: dict[int, tuple[list[int], int, bool]] = {}
    n_paths = 0
    for leaf in np.flatnonzero(~has_child):
        path = [int(leaf)]
        while parents[path[-1]] >= 0:
            path.append(int(parents[path[-1]]))
        if len(path) > n_tokens:
            raise ContextLengthError(f"an answer of {len(path)} tokens does not fit the context")
        added = sum(node not in run for node in path)
        if n_paths == n_sequences or len(run) + added > n_tokens:
            yield _in_order(run)
            run, n_paths = {}, 0
        for depth, node in enumerate(reversed(path)):
            if node in run:
                run[node][0].append(n_paths)
            else:
                run[node] = ([n_paths], depth, node not in seen)
                seen.add(node)
        n_paths += 1
    if run:
        yield _in_order(run)


def _in_order(
    run: dict[int, tuple[list[int], int, bool]],
) -> tuple[list[int], list[tuple[list[int], int, bool]]]:
    nodes = sorted(run)
    return nodes, [run[node] for node in nodes]


class Embedder(_Model):
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
        super().__init__(path)
        self.n_ctx = n_ctx
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix
        self._n_rows = 4
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = n_ctx * self._n_rows
        params.n_seq_max = self._n_rows
        params.embeddings = True
        params.kv_unified = True
        self._open_context(params)
        self.dim = int(llama.llama_model_n_embd(self._model))

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Return the (dim,) float32 unit vector of a question."""
        vector: npt.NDArray[np.float32] = self._embed([self._query_prefix + text])[0]
        return vector

    def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (n, dim) float32 unit vectors of texts, in order; empty texts are fine."""
        return self._embed([self._passage_prefix + text for text in texts])

    def _embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = np.empty((len(texts), self.dim), np.float32)
        with self.lock:
            for first in range(0, len(texts), self._n_rows):
                some = texts[first : first + self._n_rows]
                rows[first : first + len(some)] = self._embed_some(some)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = rows / np.maximum(norms, 1e-12)
        return unit

    def _embed_some(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        tokens: list[int] = []
        positions: list[int] = []
        sequences: list[list[int]] = []
        for row, text in enumerate(texts):
            # A token has at least one byte in three; cutting first keeps huge texts cheap.
            ids = self.tokenize(text[: self.n_ctx * 24], start=True).tolist()
            if len(ids) > self.n_ctx:
                ids = [*ids[: self.n_ctx - 1], ids[-1]]
            tokens += ids
            positions += range(len(ids))
            sequences += [[row]] * len(ids)
        self._fill(tokens, positions, sequences)
        for i in range(len(tokens)):
            self._batch.logits[i] = 1
        encoder = llama.llama_model_has_encoder(self._model)
        run = llama.llama_encode if encoder else llama.llama_decode
        memory = llama.llama_get_memory(self._ctx)
        if memory:
            llama.llama_memory_clear(memory, True)
        self._check(run(self._ctx, self._batch), "embedding text")
        rows = []
        for row in range(len(texts)):
            pointer = llama.llama_get_embeddings_seq(self._ctx, row)
            if not pointer:
                raise ModelFileError(
                    f"{self.path.name} pools no embeddings; it is not an embedding model"
                )
            rows.append(np.ctypeslib.as_array(pointer, (self.dim,)).copy())
        return np.stack(rows)


def requantize(source: Path, target: Path, kind: str = "Q8_0") -> None:
    """Write a GGUF again with another quantization, also from an already quantized one.

    Args:
        source: a GGUF file.
        target: where to write; replaced if it exists.
        kind: a llama.cpp file type: `Q8_0`, `Q4_0`, `F16`.

    Raises:
        ModelFileError: the source could not be read or the target not written.
    """
    _start()
    types = {"F16": llama.LLAMA_FTYPE_MOSTLY_F16, "Q8_0": llama.LLAMA_FTYPE_MOSTLY_Q8_0}
    types["Q4_0"] = llama.LLAMA_FTYPE_MOSTLY_Q4_0
    params = llama.llama_model_quantize_default_params()
    params.ftype = types[kind]
    params.allow_requantize = True
    params.nthread = n_threads_default()
    _messages.clear()
    code = llama.llama_model_quantize(
        os.fsencode(source), os.fsencode(target), ctypes.byref(params)
    )
    if code != 0:
        raise ModelFileError(f"{source} could not be requantized to {kind}: {_why()}")


def system_info() -> str:
    """Return what llama.cpp says of this CPU and its build."""
    _start()
    return str(llama.llama_print_system_info().decode("utf-8", "replace"))
