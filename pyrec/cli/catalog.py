"""The commands that fill a catalog: `import` and `index`."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import click

import pyrec
from pyrec.cli.doors import StoppedError
from pyrec.cli.files import Rows, name_of, opened, row_options
from pyrec.cli.options import db_option, model_options, open_db, text, verbatim
from pyrec.cli.output import plural, say
from pyrec.cli.progress import Progress
from pyrec.errors import CatalogError

_FIELDS = ("id", "title", "text", "price", "popularity")
_STEPS = {"phrases": "phrases", "vectors": "vectors", "states": "items"}


@click.command(
    "import",
    epilog=verbatim(
        "pyrec import products.csv",
        "pyrec import export.tsv --column id=ASIN --column price='Retail price'",
        "zcat films.jsonl.gz | pyrec import - --format jsonl --list genres",
    ),
)
@row_options(_FIELDS)
@click.option(
    "--list",
    "lists",
    type=text,
    multiple=True,
    metavar="COLUMN",
    help="A column whose values are lists with commas, such as 'red, blue'.",
)
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

    name = name_of(file)
    with opened(file) as source, Progress() as progress:
        rows = Rows(name, source, progress)
        try:
            read = rows.good(
                read_items(source, format, dict(columns), lists, strict),
                "putting the items in their places",
            )
            with closing(read) as items:
                first = next(items, None)  # nothing is made of a file that holds no item
                if first is not None:
                    with pyrec.open(db, text_model=None, embedding_model=None) as rec:
                        report = rec.add_items(itertools.chain([first], items))
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
    rows.say_bad()
    if report.duplicates:
        say(f"left out {plural(report.duplicates, 'row')} whose id a later row has, which counts")


@click.command()
@model_options
@db_option
def index(text_model: str, embedding_model: str, db: Path) -> None:
    """Let the models read the catalog.

    That makes answers better and takes longer than an import: vectors of all items by the
    embedding model, what the catalog's phrases are worth to the text model, and what that would
    say of each item. Ctrl-C stops it at any time; run again, it goes on from there.
    """
    with open_db(db, text_model, embedding_model) as rec, Progress() as progress:
        models = rec.models
        if models.embedding_name or models.text_name:
            progress.update("loading the models", 0, 0)
        try:
            for at in rec.index():
                of = models.embedding_name if at.step == "vectors" else models.text_name
                note = " " if at.step == "phrases" else ""
                progress.update(f"{_STEPS[at.step]} by {of}", at.done, at.total, note)
        except KeyboardInterrupt:
            raise StoppedError("stopped; what is done is kept, `pyrec index` goes on") from None
        n_items, n_read = rec.catalog.count, rec.n_read
    if models.text_name and n_items and not n_read:
        say(
            f"{models.text_name} reads no items: it has an encoder, or its rows are in a form that "
            "is not known here; it still understands questions"
        )
    if not (models.embedding_name or models.text_name):
        say("there are no models, so items are found by their words; see `pyrec models list`")
    else:
        used = [name for name in (models.embedding_name, models.text_name) if name]
        say(f"ready: {plural(n_items, 'item')} for {' and '.join(used)}")
