"""The commands about the whole log: `pyrec events import export`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import click

import pyrec
from pyrec.cli.doors import StoppedError
from pyrec.cli.files import Rows, name_of, opened, row_options, written
from pyrec.cli.options import db_option, open_db, text, verbatim
from pyrec.cli.output import plural, say
from pyrec.cli.progress import Progress
from pyrec.errors import CatalogError, EventError
from pyrec.types import EVENT_KINDS, Event

_FIELDS = ("user", "item", "kind", "value", "time", "session")
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SUFFIXES |= {".json": "jsonl"}  # objects one after another, which readers of JSON take too
_TELL_EVERY = 1000  # events


@click.group()
def events() -> None:
    """Take in what users did elsewhere, and give it out."""


@events.command(
    "import",
    epilog=verbatim(
        "pyrec events import ratings.csv",
        "pyrec events import orders.tsv --kind purchase --column user=buyer",
        "zcat clicks.jsonl.gz | pyrec events import - --format jsonl",
    ),
)
@row_options(_FIELDS)
@click.option(
    "--kind",
    type=click.Choice(EVENT_KINDS),
    metavar="KIND",
    help="The kind of rows that name none, instead of rating (with a value column) or click.",
)
@db_option
def import_(
    file: Path,
    format: str | None,
    columns: tuple[tuple[str, str], ...],
    strict: bool,
    kind: str | None,
    db: Path,
) -> None:
    """Import a log of events from a file.

    FILE is CSV, TSV, JSON or JSONL; `-` reads stdin. Each row needs a user and an item; kind,
    value, time and session are known by usual names. A time is unix seconds or milliseconds, or ISO
    8601; an event without one counts as older than all that have one. What is in the log already is
    not added again, and items need not be in the catalog. The database is made if there is none.
    """
    from pyrec.readers import read_events

    name = name_of(file)
    with opened(file) as source, Progress() as progress:
        rows = Rows(name, source, progress)
        try:
            read = rows.good(
                read_events(source, format, dict(columns), kind, strict),
                "putting the events in their places",
            )
            with closing(read) as found:
                first = next(found, None)  # nothing is made of a file that holds no event
                if first is not None:
                    with pyrec.open(db, text_model=None, embedding_model=None) as rec:
                        report = rec.add_events(itertools.chain([first], found))
        except KeyboardInterrupt:
            raise StoppedError("stopped; nothing was imported") from None
        except (CatalogError, EventError) as error:
            raise CatalogError(f"{name}: {error}; nothing was imported") from error
    if first is None:
        raise CatalogError(f"{name} holds no event; nothing was imported")
    say(f"imported {plural(report.added, 'new event')} into {db}; {report.already:,} were there")
    rows.say_bad()
    if report.n_unknown_events:
        what = f"{plural(report.n_unknown_events, 'event')} of "
        what += plural(report.n_unknown_items, "item")
        verb = "is" if report.n_unknown_items == 1 else "are"
        say(f"{what} that {verb} not in the catalog yet")


@events.command(
    epilog=verbatim(
        "pyrec events export log.csv",
        "pyrec events export --format jsonl | gzip > log.jsonl.gz",
    )
)
@click.argument(
    "file", type=click.Path(path_type=Path, allow_dash=True), required=False, default="-"
)
@click.option(
    "--format",
    type=click.Choice(("csv", "tsv", "jsonl")),
    help="Instead of telling it from FILE's name; CSV where that does not say.",
)
@click.option("--user", type=text, help="Only the events of this user.")
@db_option
def export(file: Path, format: str | None, user: str | None, db: Path) -> None:
    """Write the log of events to a file.

    Its columns are user, item, kind, value, time (ISO 8601, UTC) and session, its order is that of
    time. `-` or no FILE is stdout. `pyrec events import` reads it back just so.
    """
    from pyrec.event_writing import lines_of

    form = format or _SUFFIXES.get(file.suffix.lower(), "csv")
    n_events = 0

    def told(found: Iterable[Event], progress: Progress) -> Iterator[Event]:
        nonlocal n_events
        for event in found:
            n_events += 1
            if n_events % _TELL_EVERY == 0:
                progress.update("writing", 0, 0, plural(n_events, "event"))
            yield event

    with open_db(db) as rec, Progress() as progress, written(file) as sink:
        try:
            for lines in lines_of(told(rec.events.walk(user), progress), form):
                sink.write(lines.encode())
        except KeyboardInterrupt:
            raise StoppedError(f"stopped; {_left(file)}") from None
    if str(file) != "-":
        say(f"wrote {plural(n_events, 'event')} to {file}")


def _left(file: Path) -> str:
    return "what was written is not all" if str(file) == "-" else f"{file} is as it was"
