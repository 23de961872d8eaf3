"""The models of one recommender: found when it opens, loaded when first needed.

A model that was never set up is no error, the path of each answer says so. One that was asked for
by name and is not there is an error at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from pyrec import manifest, model_folder
from pyrec.adapter_state import AdapterState, sha256_of
from pyrec.embedder import Embedder
from pyrec.errors import ModelFileError, ModelNotFoundError
from pyrec.lm import LanguageModel
from pyrec.model_folder import ModelFile
from pyrec.state_reader import StateReader

AUTO = "auto"
"""The best model of its kind on this device, or none."""

ModelChoice = str | Path | None


class LoadedModels:
    """A text model and an embedding model, each loaded once.

    Args:
        text: a model's name or path, `AUTO`, or None for none.
        embedding: the same.

    Raises:
        ModelNotFoundError: a model that was named is not on this device.
        ModelFileError: it is not of the kind it was named for, or damaged.
    """

    def __init__(self, text: ModelChoice, embedding: ModelChoice) -> None:
        self._text_file = _choose(text, "text")
        self._embedding_file = _choose(embedding, "embedding")
        self._text: LanguageModel | None = None
        self._titles: LanguageModel | None = None
        self._adapter: AdapterState | None = None
        self._adapted: AdapterState | None = None
        self.trouble = ""
        self._embedder: Embedder | None = None
        self._lock = threading.Lock()

    @property
    def text_name(self) -> str:
        """The text model's name; empty without one."""
        return self._text_file.name if self._text_file else ""

    @property
    def embedding_name(self) -> str:
        """The embedding model's name; empty without one."""
        return self._embedding_file.name if self._embedding_file else ""

    @property
    def text_file(self) -> ModelFile | None:
        """The text model's file, for training beside it; None without one."""
        return self._text_file

    def use_adapter(self, read: Callable[[], AdapterState | None]) -> None:
        """Let the text model write titles with an adapter, from the next question on.

        Where it is damaged or of another model, titles come from the text model as it is, and
        `trouble` says why.

        Args:
            read: gives the adapter, None for none; it may raise a ModelFileError.
        """
        file, adapter, trouble = self._text_file, None, ""
        try:
            adapter = read() if file is not None else None
            if adapter is not None and file is not None:
                adapter.check(file.name, sha256_of(file))
        except (ModelFileError, OSError) as error:
            adapter, trouble = None, str(error)
        with self._lock:
            self._adapter, self.trouble = adapter, trouble

    def text(self) -> LanguageModel | None:
        """Return the text model, loading it the first time; None without one."""
        with self._lock:
            if self._text is None and self._text_file is not None:
                self._text = LanguageModel(_present(self._text_file))
            return self._text

    def titles(self) -> LanguageModel | None:
        """Return the text model that writes titles: with its adapter, where there is one.

        A second one, as needs are understood by the model as it comes, and each keeps what it has
        read; the weights are mapped from the same file.
        """
        with self._lock:
            adapter, file = self._adapter, self._text_file
            if adapter is not None and file is not None:
                if self._titles is None:
                    self._titles = LanguageModel(_present(file))
                try:
                    if self._adapted is not adapter:
                        self._titles.adapt(adapter.data)
                    self._adapted = adapter
                    return self._titles
                except ModelFileError as error:  # llama.cpp does not take it
                    self._adapter, self.trouble = None, str(error)
        return self.text()

    @property
    def adapted(self) -> bool:
        """Whether titles come from an adapted model."""
        return self._adapter is not None

    def wide_text(self) -> LanguageModel:
        """Load the text model once more, with room for many branches; the caller closes it."""
        if self._text_file is None:
            raise ModelNotFoundError("no text model is in use")
        return LanguageModel(_present(self._text_file), n_branches=100)

    def state_reader(self) -> StateReader:
        """Load the text model once more, to read hidden states; the caller closes it."""
        if self._text_file is None:
            raise ModelNotFoundError("no text model is in use")
        return StateReader(_present(self._text_file))

    def embedder(self) -> Embedder | None:
        """Return the embedding model, loading it the first time; None without one."""
        with self._lock:
            if self._embedder is None and self._embedding_file is not None:
                spec = manifest.load().get(self._embedding_file.name)
                self._embedder = Embedder(
                    _present(self._embedding_file),
                    query_prefix=spec.query_prefix if spec else "",
                    passage_prefix=spec.passage_prefix if spec else "",
                )
            return self._embedder

    def close(self) -> None:
        """Free all."""
        with self._lock:
            for model in (self._text, self._titles, self._embedder):
                if model is not None:
                    model.close()
            self._text = self._titles = self._embedder = None


def _choose(choice: ModelChoice, kind: manifest.Kind) -> ModelFile | None:
    if choice is None:
        return None
    if choice == AUTO:
        found = model_folder.available(kind)
        return found[0] if found else None
    model = model_folder.find(choice)
    if model.kind != kind:
        raise ModelFileError(
            f"{choice} is {_a(model.kind)} model; pass it as {model.kind}_model, or name "
            f"{_a(kind)} model from `pyrec models list`"
        )
    return model


def _present(model: ModelFile) -> Path:
    if not model.path.exists():
        raise ModelNotFoundError(
            f"{model.path} was there when the recommender was opened and is gone now; "
            f"get it back with `pyrec models pull {model.name}`"
        )
    return model.path


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
