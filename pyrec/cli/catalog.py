"""The commands that fill a catalog: `import` and `index`."""

from __future__ import annotations

import itertools
import os
import stat
import sys
from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

import pyrec
from pyrec.cli.doors import NotFoundError, StoppedError
from pyrec.cli.options import db_option, model_options, open_db, text, verbatim
from pyrec.cli.output import plural, say
from pyrec.cli.progress import Progress
from pyrec.errors import CatalogError, ImportRowError

if TYPE_CHECKING:
    from pyrec.types import Item

_FORMATS = ("csv", "tsv", "json", "jsonl")
_FIELDS = ("id", "title", "text", "price", "popularity")
_LISTED = ", ".join(_FIELDS)
_TELL_EVERY = 200  # rows


def column_of(value: str) -> tuple[str, str]:
    """Read `FIELD=NAME`: which column holds a field."""
    field, equals, column = text(value).partition("=")
    if not equals or field not in _FIELDS:
        raise click.BadParameter(f"{value!r} is not FIELD=NAME; FIELD is one of {_LISTED}")
    return field, column


@click.command(
    "import",
    epilog=verbatim(
        "pyrec import products.csv",
        "pyrec import export.tsv --column id=ASIN --column price='Retail price'",
        "zcat films.jsonl.gz | pyrec import - --format jsonl --list genres",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format", type=click.Choice(_FORMATS), help="Instead of guessing it from name and content."
)
@click.option(
    "--column",
    "columns",
    type=column_of,
    multiple=True,
    metavar="FIELD=NAME",
    help=f"The column of a field ({_LISTED}), where its name does not say so.",
)
@click.option(
    "--list",
    "lists",
    type=text,
    multiple=True,
    metavar="COLUMN",
    help="A column whose values are lists with commas, such as 'red, blue'.",
)
@click.option("--strict", is_flag=True, help="Import nothing if any row cannot be read.")
@db_option
def import_(
    file: Path,
    format: str | None,
    columns: tuple[tuple[str, str], ...],
    lists: tuple[str, ...],
    strict: bool,
    db: Path,
) -> None:
    """Import a catalog from a file.

    FILE is CSV, TSV, JSON or JSONL; `-` reads stdin. Each row needs an id and a title; text, price
    and popularity are known by usual names, all other columns become attributes to filter by. An
    item that is there already is updated. The database is made if there is none.
    """
    from pyrec.readers import read_items

    name = "stdin" if str(file) == "-" else str(file)
    with _opened(file) as source, Progress() as progress:
        size = _size(source)
        n_rows = n_bad = 0

        def items() -> Generator[Item, None, None]:
            nonlocal n_rows, n_bad
            for row in read_items(source, format, dict(columns), lists, strict):
                n_rows += 1
                if isinstance(row, ImportRowError):
                    n_bad += 1
                    progress.say(f"{name}: {row}")
                else:
                    yield row
                if n_rows % _TELL_EVERY == 0:
                    done = source.tell() if size else 0
                    progress.update(f"reading {name}", done, size, f"{n_rows:,} rows")
            if n_rows > n_bad:
                progress.update("putting the items in their places", 0, 0)

        try:
            with closing(items()) as rows:
                first = next(rows, None)  # nothing is made of a file that holds no item
                if first is not None:
                    with pyrec.open(db, text_model=None, embedding_model=None) as rec:
                        report = rec.add_items(itertools.chain([first], rows))
                        n_items = rec.catalog.count
        except KeyboardInterrupt:
            raise StoppedError("stopped; nothing was imported") from None
        except CatalogError as error:
            raise CatalogError(f"{name}: {error}; nothing was imported") from error
    if first is None:
        raise CatalogError(f"{name} holds no item; nothing was imported")
    parts = [f"{report.added:,} new", f"{report.changed:,} changed"]
    parts.append(f"{report.unchanged:,} as they were")
    say(f"imported {', '.join(parts)}; {db} now holds {plural(n_items, 'item')}")
    if n_bad:
        say(f"left out {n_bad:,} of {plural(n_rows, 'row')}, which could not be read, see above")
    if report.duplicates:
        say(f"left out {plural(report.duplicates, 'row')} whose id a later row has, which counts")


@click.command()
@model_options
@db_option
def index(text_model: str, embedding_model: str, db: Path) -> None:
    """Compute vectors and the worth of phrases.

    They make answers better and take longer than an import: the vectors of all items by the
    embedding model, and what the catalog's phrases are worth to the text model. Ctrl-C stops it at
    any time; run again, it goes on from there.
    """
    with open_db(db, text_model, embedding_model) as rec, Progress() as progress:
        models = rec.models
        if models.embedding_name or models.text_name:
            progress.update("loading the models", 0, 0)
        try:
            for at in rec.index():
                if at.step == "vectors":
                    what = f"vectors by {models.embedding_name}"
                    progress.update(what, at.done, at.total)
                else:
                    progress.update(f"phrases by {models.text_name}", at.done, at.total, " ")
        except KeyboardInterrupt:
            raise StoppedError("stopped; what is done is kept, `pyrec index` goes on") from None
        n_items = rec.catalog.count
    if not (models.embedding_name or models.text_name):
        say("there are no models, so items are found by their words; see `pyrec models list`")
    else:
        used = [name for name in (models.embedding_name, models.text_name) if name]
        say(f"ready: {plural(n_items, 'item')} for {' and '.join(used)}")


def _opened(file: Path) -> Any:
    if str(file) == "-":
        if sys.stdin.isatty():
            say("reading rows from the terminal; end with Ctrl-D, or give a FILE")
        return nullcontext(sys.stdin.buffer)
    if not file.exists():
        raise NotFoundError(f"there is no file {file}")
    if file.is_dir():
        raise CatalogError(f"{file} is a folder; name a file in it")
    return file.open("rb")


def _size(source: IO[bytes]) -> int:
    """Return the length of a regular file, 0 of anything else."""
    try:
        status = os.fstat(source.fileno())
    except OSError:
        return 0  # not a file at all, as in tests
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
