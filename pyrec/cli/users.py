"""The commands about one user: `feedback`, `undo` and `history`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyrec.cli.options import db_option, open_db, text, verbatim
from pyrec.cli.output import emit, for_people, format_options, say
from pyrec.cli.width import printable
from pyrec.times import people_of
from pyrec.types import EVENT_KINDS, Event

if TYPE_CHECKING:
    from pyrec.recommender import Recommender


@click.command(
    epilog=verbatim(
        "pyrec feedback anna s001 like",
        "pyrec feedback anna s007 rating --value 4",
    )
)
@click.argument("user", type=text)
@click.argument("item", type=text)
@click.argument("kind", type=click.Choice(EVENT_KINDS), metavar="KIND")
@click.option("--value", type=float, help="The rating, from 1 to 5, for the kind 'rating'.")
@db_option
def feedback(user: str, item: str, kind: str, value: float | None, db: Path) -> None:
    """Tell what USER did with ITEM.

    KIND is impression, click, like, dislike ("not interested"), purchase, rating or skip. It counts
    from the next question on.
    """
    if kind == "rating" and value is None:
        raise click.UsageError("a rating needs its number: --value 4")
    with open_db(db) as rec:
        event = rec.feedback(user, item, kind, value)
        say(f"noted: {_told(event, _title(rec, item))}")


@click.command()
@click.argument("user", type=text)
@db_option
def undo(user: str, db: Path) -> None:
    """Take back the newest thing that USER did."""
    with open_db(db) as rec:
        event = rec.undo(user)
        if event is None:
            say(f"there is nothing of {user} to take back")
        else:
            say(f"taken back: {_told(event, _title(rec, event.item_id))}")


@click.command()
@click.argument("user", type=text)
@click.option("-n", "limit", type=click.IntRange(1), metavar="N", help="Only the newest N.")
@db_option
@format_options
def history(user: str, limit: int | None, db: Path, form: str | None) -> None:
    """List what USER did, the newest last."""
    with open_db(db) as rec:
        rows = [_row(rec, event) for event in rec.history(user, limit)]
    if rows or not for_people(form):
        emit(rows, form, ("at", "kind", "value", "item_id", "title"))
    if not rows:
        say(f"nothing is known of {user}")


def _row(rec: Recommender, event: Event) -> dict[str, Any]:
    return {
        "at": people_of(event.at),
        "kind": event.kind,
        "value": event.value,
        "item_id": event.item_id,
        "title": _title(rec, event.item_id),
        "session": event.session,
    }


def _title(rec: Recommender, item_id: str) -> str | None:
    """Return an item's title, None where the item left the catalog."""
    (row,) = rec.catalog.idxs([item_id])
    return None if row < 0 else rec.catalog.items([row])[0].title


def _told(event: Event, title: str | None) -> str:
    value = "" if event.value is None else f" {event.value:g}"
    item = printable(event.item_id if title is None else f"{event.item_id} {title}")
    return f"{printable(event.user_id)}, {event.kind}{value}: {item}"
