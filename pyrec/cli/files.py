"""What commands that read or write a file share: opening it, its options, telling how far it is.

`import` reads items with it, `events import` events; `events export` and `evaluate` write.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from pyrec.cli.doors import NotFoundError
from pyrec.cli.options import text
from pyrec.cli.output import plural, say
from pyrec.cli.progress import Progress
from pyrec.errors import CatalogError, ImportRowError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_FORMATS = ("csv", "tsv", "json", "jsonl")
_TELL_EVERY = 200  # rows


def row_options(fields: Sequence[str]) -> Callable[[F], F]:
    """Add FILE, `--format`, `--column` and `--strict` to a command that imports rows."""
    listed = ", ".join(fields)

    def column_of(value: str) -> tuple[str, str]:
        field, equals, column = text(value).partition("=")
        if not equals or field not in fields:
            raise click.BadParameter(f"{value!r} is not FIELD=NAME; FIELD is one of {listed}")
        return field, column

    def add(command: F) -> F:
        for option in (
            click.option(
                "--strict", is_flag=True, help="Import nothing if any row cannot be read."
            ),
            click.option(
                "--column",
                "columns",
                type=column_of,
                multiple=True,
                metavar="FIELD=NAME",
                help=f"The column of a field ({listed}), where its name does not say so.",
            ),
            click.option(
                "--format",
                type=click.Choice(_FORMATS),
                help="Instead of guessing it from name and content.",
            ),
            click.argument("file", type=click.Path(path_type=Path, allow_dash=True)),
        ):
            command = option(command)
        return command

    return add


def name_of(file: Path) -> str:
    """Return what to call a file, or stdin."""
    return "stdin" if str(file) == "-" else str(file)


def opened(file: Path) -> Any:
    """Open a file, or stdin, for a `with` block.

    Raises:
        NotFoundError: there is no such file.
        CatalogError: it is a folder.
    """
    if str(file) == "-":
        if sys.stdin.isatty():
            say("reading rows from the terminal; end with Ctrl-D, or give a FILE")
        return nullcontext(sys.stdin.buffer)
    if not file.exists():
        raise NotFoundError(f"there is no file {file}")
    if file.is_dir():
        raise CatalogError(f"{file} is a folder; name a file in it")
    return file.open("rb")


class Rows:
    """Counts the rows of a file while they are imported, names the bad ones, tells the progress."""

    def __init__(self, name: str, source: IO[bytes], progress: Progress) -> None:
        self._name = name
        self._source = source
        self._progress = progress
        self._n_rows = self._n_bad = 0

    def good(
        self, rows: Generator[T | ImportRowError, None, None], after: str
    ) -> Generator[T, None, None]:
        """Walk the rows that are not bad.

        Args:
            rows: what a reader yields; closed at the end, before the file is.
            after: what is done when all were read, in words.
        """
        size = _size(self._source)
        with closing(rows):
            for row in rows:
                self._n_rows += 1
                if isinstance(row, ImportRowError):
                    self._n_bad += 1
                    self._progress.say(f"{self._name}: {row}")
                else:
                    yield row
                if self._n_rows % _TELL_EVERY == 0:
                    done = self._source.tell() if size else 0
                    note = f"{self._n_rows:,} rows"
                    self._progress.update(f"reading {self._name}", done, size, note)
        if self._n_rows > self._n_bad:
            self._progress.update(after, 0, 0)

    def say_bad(self) -> None:
        """Say how many rows were left out, where any were."""
        if self._n_bad:
            left_out = f"left out {self._n_bad:,} of {plural(self._n_rows, 'row')}"
            say(f"{left_out}, which could not be read, see above")


def _size(source: IO[bytes]) -> int:
    """Return the length of a regular file, 0 of anything else."""
    try:
        status = os.fstat(source.fileno())
    except OSError:
        return 0  # not a file at all, as in tests
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


@contextmanager
def written(file: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name when all of it is there."""
    if str(file) == "-":
        yield sys.stdout.buffer
        return
    if not file.absolute().parent.is_dir():
        raise NotFoundError(f"there is no folder {file.parent}; make it first")
    if file.exists() and not file.is_file():  # a pipe, a device
        with file.open("wb") as sink:
            yield sink
        return
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as sink:
            yield sink
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
