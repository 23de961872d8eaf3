"""Everything that text and embedding models share of llama.cpp: loading, contexts, batches.

The only module that imports llama_cpp, and only its low-level functions: `llama_cpp.Llama` can
neither set the number of sequences nor leave unused logits uncomputed. `lm.py`, `embedder.py`
and `state_reader.py` build on `Model`; `model_install.py` requantizes.
Source: `llama.h` of llama.cpp, as wrapped by `llama_cpp.llama_cpp`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec.errors import ContextLengthError, ModelError, ModelFileError
from pyrec.memory_file import memory_file

if "OMP_WAIT_POLICY" not in os.environ:
    # Read by libgomp as it is loaded. While one thread waits for the other, it spins 300,000 times
    # by default, on a core that the other may need: beside three busy programs on two cores a
    # query took 2 s, with 1,000 times 0.02 s. On an idle machine neither is faster; not spinning
    # at all costs 3 ms a query there.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Imported by module path: the package's __init__ would pull in chat templates and samplers.
from llama_cpp import llama_cpp as llama

__all__ = ["Model", "Tokens", "llama", "n_threads_default", "requantize", "system_info"]

Tokens = npt.NDArray[np.int32]

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


class Model:
    """A loaded GGUF with one context; closes both.

    Args:
        path: a GGUF file.
        vocab_only: load its tokenizer alone.
        weights: a file of a moment to load in its place, with what llama.cpp needs of it.

    Raises:
        ModelFileError: the file is not a model that llama.cpp can load.
    """

    def __init__(
        self, path: str | Path, *, vocab_only: bool = False, weights: Path | None = None
    ) -> None:
        _start()
        self.path = Path(path)
        _messages.clear()
        params = llama.llama_model_default_params()
        params.vocab_only = vocab_only
        # Repacked copies of the weights read a prompt faster but double the resident memory.
        params.use_extra_bufts = False
        if weights is not None:
            params.load_mode = llama.LLAMA_LOAD_MODE_NONE  # not mapped: it goes away
        self._model = llama.llama_model_load_from_file(os.fsencode(weights or self.path), params)
        self._ctx: Any = None
        if not self._model:
            raise ModelFileError(
                f"{self.path} cannot be loaded as a GGUF model: {_why()}. "
                "Check it with `pyrec models verify`, or pull it again."
            )
        self._vocab = llama.llama_model_get_vocab(self._model)
        self.n_vocab = int(llama.llama_vocab_n_tokens(self._vocab))
        self.lock = threading.RLock()

    def _open_context(self, params: Any, batch_width: int = 0, n_threads: int = 0) -> None:
        """Open the context; with a width, batches hold vectors of it in place of tokens."""
        n = n_threads or n_threads_default()
        params.n_threads = params.n_threads_batch = n
        params.no_perf = True
        self._ctx = llama.llama_init_from_model(self._model, params)
        if not self._ctx:
            llama.llama_model_free(self._model)
            self._model = None
            raise ModelError(f"{self.path.name}: no context could be made: {_why()}")
        self._batch = llama.llama_batch_init(params.n_batch, batch_width, params.n_seq_max)

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

        Raises:
            ModelFileError: the file has no tokenizer.
        """
        if llama.llama_vocab_type(self._vocab) == llama.LLAMA_VOCAB_TYPE_NONE:
            # llama.cpp would end the process.
            raise ModelFileError(f"{self.path} holds no tokenizer; it cannot read text")
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        while True:
            tokens = np.empty(size, np.int32)
            pointer = tokens.ctypes.data_as(ctypes.POINTER(llama.llama_token))
            n = llama.llama_tokenize(self._vocab, data, len(data), pointer, size, start, False)
            if n >= 0:
                return tokens[:n]
            size = -n

    def _load_adapter(self, data: bytes) -> Any:
        """Load a GGUF adapter beside the weights; it goes away with the model.

        Raises:
            ModelFileError: it does not fit this model, or is damaged.
        """
        _messages.clear()
        with memory_file() as (file, path):
            file.write(data)
            file.flush()
            adapter = llama.llama_adapter_lora_init(self._model, os.fsencode(path))
        if not adapter:
            raise ModelFileError(
                f"the adapter of this store does not fit {self.path.name}: {_why()}. "
                "Train it again with `pyrec train --text`"
            )
        return adapter

    def _fill(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[Sequence[int]]
    ) -> None:
        for i, token in enumerate(tokens):
            self._batch.token[i] = token
        self._place(positions, sequences)

    def _place(self, positions: Sequence[int], sequences: Sequence[Sequence[int]]) -> None:
        batch = self._batch
        batch.n_tokens = len(positions)
        for i, (position, ids) in enumerate(zip(positions, sequences, strict=True)):
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
