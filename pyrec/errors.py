"""Every error that pyrec raises on purpose; the doors translate them, nothing else does.

    PyrecError
    ├─ StoreError      SchemaVersionError, StoreBusyError, StoreCorruptError
    ├─ CatalogError    UnknownItemError, ImportRowError
    ├─ EventError      InvalidEventError
    ├─ ModelError      ModelNotFoundError, ModelFileError, ChecksumError, ContextLengthError
    ├─ DecodingError   EmptyAnswerSpaceError
    └─ TaskError       UnknownTaskError, PromptError

Each message names the thing, the value and the next step. A wrong shape, dtype or `k` is the
caller's slip and stays a `ValueError` or `TypeError`.
"""

from __future__ import annotations


class PyrecError(Exception):
    """Base of all errors that pyrec raises on purpose."""


class StoreError(PyrecError):
    """The database file could not be used."""


class SchemaVersionError(StoreError):
    """The database was written by a newer pyrec."""


class StoreBusyError(StoreError):
    """Another process kept the database locked for longer than the timeout."""


class StoreCorruptError(StoreError):
    """The file is not a database, or it is damaged."""


class CatalogError(PyrecError):
    """The catalog, or a file of rows for it or for the log, could not be used."""


class UnknownItemError(CatalogError):
    """An item id that the catalog does not hold."""


class ImportRowError(CatalogError):
    """A row of an import that could not be read; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class EventError(PyrecError):
    """An event could not be taken, or the log holds too little for what was asked of it."""


class InvalidEventError(EventError):
    """An event of an unknown kind, or with a value or time that makes no sense."""


class ModelError(PyrecError):
    """A model could not be used."""


class ModelNotFoundError(ModelError):
    """A model that was asked for is not on this device."""


class ModelFileError(ModelError):
    """A file that is not a model, is truncated, or is of an unsupported kind."""


class ChecksumError(ModelFileError):
    """A model file whose sha256 is not the one in the manifest."""


class ContextLengthError(ModelError):
    """More text than the model's context holds."""


class DecodingError(PyrecError):
    """Constrained decoding could not produce an answer."""


class EmptyAnswerSpaceError(DecodingError):
    """There is nothing to choose from."""


class TaskError(PyrecError):
    """A task could not be asked."""


class UnknownTaskError(TaskError):
    """A task that neither pyrec nor an installed package offers."""


class PromptError(TaskError):
    """A file of prompts with a mistake."""
