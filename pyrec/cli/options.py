"""Arguments and options that several commands share, and opening the database they name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import pyrec
from pyrec.cli.doors import NotFoundError
from pyrec.cli.output import say
from pyrec.errors import CatalogError

if TYPE_CHECKING:
    from pyrec.types import Filter

DEFAULT_DB = Path("pyrec.db")

F = TypeVar("F", bound=Callable[..., Any])


def verbatim(*lines: str) -> str:
    """Return lines that help pages show as they are."""
    paragraphs = "\n".join(lines).split("\n\n")
    return "\n\n".join("\b\n" + paragraph for paragraph in paragraphs)


def text(value: str) -> str:
    """Take an argument that is people's words; bytes that are no text are refused."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("this is not text in the terminal's encoding") from None
    return value


def condition(value: str) -> Filter:
    """Read a condition of `--where`, such as `price<=300`."""
    from pyrec.filters import parse_filter

    try:
        return parse_filter(text(value))
    except CatalogError as error:
        raise click.BadParameter(str(error)) from None


def db_option(command: F) -> F:
    """Add `--db`."""
    return click.option(
        "--db",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="PYREC_DB",
        default=DEFAULT_DB,
        show_default=True,
        show_envvar=True,
        help="The database.",
    )(command)


def model_options(command: F) -> F:
    """Add `--text-model` and `--embedding-model`."""
    return _model_option("text", embedding_option(command))


def embedding_option(command: F) -> F:
    """Add `--embedding-model` alone."""
    return _model_option("embedding", command)


def _model_option(kind: str, command: F) -> F:
    return click.option(
        f"--{kind}-model",
        metavar="NAME|PATH|none",
        default="auto",
        help=f"The {kind} model, instead of the best on this device.",
    )(command)


def list_options(command: F) -> F:
    """Add `-k` and `--where`."""
    command = click.option(
        "--where",
        type=condition,
        multiple=True,
        metavar="CONDITION",
        help="Only items such as 'price<=300' or 'brand=Tarnfell'; may be repeated.",
    )(command)
    return click.option(
        "-k",
        type=click.IntRange(1, 1000),
        metavar="N",
        help="How many items; otherwise as many as the words ask for, or 10.",
    )(command)


def open_db(
    db: Path, text_model: str | None = None, embedding_model: str | None = None
) -> pyrec.Recommender:
    """Open a database that exists.

    Args:
        db: its file.
        text_model: as the options take it; None goes without.
        embedding_model: the same.

    Raises:
        NotFoundError: there is no such file; none is made.
    """
    if not db.exists():
        raise NotFoundError(
            f"there is no database {db}; make it with `pyrec import FILE{_db(db)}`, or name "
            "another with --db or PYREC_DB"
        )
    return pyrec.open(
        db,
        text_model=_choice(text_model),
        embedding_model=_choice(embedding_model),
        prompts=os.environ.get("PYREC_PROMPTS") or None,
    )


def question(words: Sequence[str]) -> str:
    """Return the words of a question as one text; a single `-` reads it from stdin."""
    if list(words) != ["-"]:
        return " ".join(words)
    if sys.stdin.isatty():
        say("reading the question from the terminal; end with Ctrl-D")
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _choice(model: str | None) -> str | None:
    return None if model == "none" else model


def _db(db: Path) -> str:
    chosen = os.environ.get("PYREC_DB", DEFAULT_DB)
    return "" if str(db) == str(chosen) else f" --db {db}"
