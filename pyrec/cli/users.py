"""The commands about one user: `feedback undo history pause forget export-my-data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyrec.cli.files import written
from pyrec.cli.options import db_option, embedding_option, open_db, text, verbatim
from pyrec.cli.output import emit, for_people, format_options, plural, say
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
@embedding_option
@db_option
def feedback(
    user: str, item: str, kind: str, value: float | None, embedding_model: str, db: Path
) -> None:
    """Tell what USER did with ITEM.

    KIND is impression, click, like, dislike ("not interested"), purchase, rating or skip. It counts
    from the next question on.
    """
    if kind == "rating" and value is None:
        raise click.UsageError("a rating needs its number: --value 4")
    with open_db(db, None, embedding_model) as rec:
        event = rec.feedback(user, item, kind, value)
        what = "noted" if event.event_id is not None else "not kept, as the user is paused"
        say(f"{what}: {_told(event, _title(rec, item))}")


@click.command()
@click.argument("user", type=text)
@embedding_option
@db_option
def undo(user: str, embedding_model: str, db: Path) -> None:
    """Take back the newest thing that USER did.

    What it taught goes with it.
    """
    with open_db(db, None, embedding_model) as rec:
        event = rec.undo(user)
        if event is None:
            say(f"there is nothing of {user} to take back")
        else:
            say(f"taken back: {_told(event, _title(rec, event.item_id))}")


@click.command(epilog=verbatim("pyrec pause anna", "pyrec pause anna --end"))
@click.argument("user", type=text)
@click.option("--end", is_flag=True, help="Keep what USER does again.")
@db_option
def pause(user: str, end: bool, db: Path) -> None:
    """Keep nothing of USER for now: a private session.

    Until --end, lists are made from what is known already; feedback is checked, and forgotten.
    """
    with open_db(db) as rec:
        if not end:
            rec.pause(user)
            say(f"nothing that {printable(user)} does is kept, until `pyrec pause USER --end`")
        elif rec.resume(user):
            say(f"what {printable(user)} does is kept again")
        else:
            say(f"{printable(user)} was not paused")


@click.command()
@click.argument("user", type=text)
@click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")
@embedding_option
@db_option
def forget(user: str, yes: bool, embedding_model: str, db: Path) -> None:
    """Forget USER for good, with what was learned from them.

    Events, corrections, lists that were shown and weights go, what others' events taught is worked
    out again without them, and the file is written anew, so that their bytes are gone as well. A
    store that was trained is trained again; a behavior model goes away until
    `pyrec train --behavior`.
    """
    with open_db(db, None, embedding_model) as rec:
        if not yes:
            click.confirm(
                f"Forget all of {printable(user)}? It cannot be undone", abort=True, err=True
            )
        found = rec.forget(user)
    say(f"forgotten: {plural(found.n_events, 'event')} of {printable(user)}, and all else of them")
    if found.trained:
        say("what is learned from histories was trained anew without them")
    if found.behavior:
        say("the behavior model knew them and is gone; `pyrec train --behavior` makes a new one")
    if found.adapter:
        say("so is what the text model had learned here; `pyrec train --text` teaches it again")
    for path in found.backups:
        say(f"{path} is another database of pyrec's, perhaps a copy that still holds them")


@click.command("export-my-data")
@click.argument("user", type=text)
@click.argument(
    "file", type=click.Path(path_type=Path, allow_dash=True), required=False, default="-"
)
@db_option
def export_my_data(user: str, file: Path, db: Path) -> None:
    """Write all that is kept of USER as JSON.

    These are events, corrections, lists that were shown, and weights of their own. `-` or no FILE
    is stdout.
    """
    with open_db(db) as rec, written(file) as sink:
        sink.write(
            (json.dumps(rec.export_data(user), ensure_ascii=False, indent=2) + "\n").encode()
        )
    if str(file) != "-":
        say(f"wrote what is kept of {printable(user)} to {file}")


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
