"""The commands of the other tasks: `click`, `rating`, `profile`, `explain`, and `ask` for any."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click as clicks

from pyrec.cli.options import db_option, model_options, open_db, question, text, verbatim
from pyrec.cli.output import bold, dim, emit, for_people, format_options, say, say_steps
from pyrec.cli.width import printable

if TYPE_CHECKING:
    from pyrec.recommender import Recommender
    from pyrec.types import Interest, Profile, Reason

_user = clicks.argument("user", type=text)
_items = clicks.argument("items", nargs=-1, required=True, type=text, metavar="ITEM...")
_generate = clicks.option("--generate", is_flag=True, help="Ask the text model as well.")
_language = clicks.option("--language", metavar="CODE", help="Of the sentence, such as zh.")


@clicks.command(epilog=verbatim("pyrec click anna s001 s007"))
@_user
@_items
@clicks.option("--place", type=clicks.IntRange(0), help="Where in a list they stand, from 0.")
@_generate
@model_options
@db_option
@format_options
def click(
    user: str,
    items: tuple[str, ...],
    place: int | None,
    generate: bool,
    text_model: str,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Say how likely USER says yes to each ITEM."""
    with open_db(db, text_model, embedding_model) as rec:
        told = rec.click(items, user=user, place=place, generate=generate)
        rows = [
            {
                "item_id": each.item_id,
                "title": _title(rec, each.item_id),
                "probability": round(each.probability, 4),
                "why": _why(each.reasons),
            }
            for each in told
        ]
    emit(rows, form, ("item_id", "title", "probability", "why"))
    say_steps(told[0].path)


@clicks.command(epilog=verbatim("pyrec rating anna s001 s007"))
@_user
@_items
@_generate
@model_options
@db_option
@format_options
def rating(
    user: str,
    items: tuple[str, ...],
    generate: bool,
    text_model: str,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Say how USER rates each ITEM."""
    with open_db(db, text_model, embedding_model) as rec:
        told = rec.rating(items, user=user, generate=generate)
        rows: list[dict[str, Any]] = [
            {
                "item_id": each.item_id,
                "title": _title(rec, each.item_id),
                "mean": round(each.mean, 2),
                "median": each.median,
                "distribution": {f"{k:g}": round(p, 4) for k, p in each.distribution.items()},
                "why": _why(each.reasons),
            }
            for each in told
        ]
    if form in ("csv", "table"):
        for row in rows:
            row["distribution"] = json.dumps(row["distribution"])
    emit(rows, form, ("item_id", "title", "mean", "median", "why"))
    say_steps(told[0].path)


@clicks.command(
    epilog=verbatim(
        "pyrec profile anna",
        'pyrec profile anna --say "I don\'t like horror"',
        'pyrec profile anna --take-back "genres=Horror"',
    )
)
@_user
@clicks.option("--say", "said", type=text, metavar="TEXT", help="Correct it, in plain words.")
@clicks.option("--take-back", type=text, metavar="COLUMN=VALUE", help="Forget a correction.")
@_language
@clicks.option("-k", type=clicks.IntRange(1, 1000), default=10, show_default=True, metavar="N",
              help="How many interests and dislikes.")  # fmt: skip
@model_options
@db_option
@format_options
def profile(
    user: str,
    said: str | None,
    take_back: str | None,
    language: str | None,
    k: int,
    text_model: str,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Show what USER is interested in, and what not."""
    with open_db(db, text_model, embedding_model) as rec:
        if said is not None:
            for each in rec.correct(user, said):
                likes = "likes" if each.likes else "does not like"
                say(f"noted: {user} {likes} {each.column}={each.value}")
        if take_back is not None:
            column, _, value = take_back.partition("=")
            there = rec.take_back(user, column.strip(), value.strip())
            say(f"taken back: {take_back}" if there else f"{user} said nothing of {take_back}")
        found = rec.profile(user, language=language, k=k)
        rows = _interests(rec, found)
    if for_people(form):
        clicks.echo(bold(printable(found.sentence)))
    elif form not in ("csv", "table"):
        rows.insert(0, {"kind": "sentence", "text": found.sentence})
    if rows or not for_people(form):
        emit(rows, form, ("kind", "column", "value", "probability", "said", "evidence"))
    say_steps(found.path)


@clicks.command(
    epilog=verbatim("pyrec explain s001 --user anna", "pyrec explain s001 running shoes")
)
@clicks.argument("item", type=text)
@clicks.argument("words", nargs=-1, type=text, metavar="[TEXT]...")
@clicks.option("--user", type=text, metavar="USER", help="Whose history counts.")
@_language
@model_options
@db_option
@format_options
def explain(
    item: str,
    words: tuple[str, ...],
    user: str | None,
    language: str | None,
    text_model: str,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Say why ITEM stands where it does.

    For a question, a user, or both.
    """
    with open_db(db, text_model, embedding_model) as rec:
        found = rec.explain(item, question(words), user=user, language=language)
    rows = [
        {"signal": r.signal, "contribution": round(r.contribution, 4), "text": r.text}
        for r in found.reasons
    ]
    if for_people(form):
        clicks.echo(bold(printable(found.sentence)))
        for row in rows:
            clicks.echo(dim(f"  {row['contribution']:+.2f}  {row['signal']}: {row['text']}"))
    else:
        emit([{"item_id": item, "sentence": found.sentence, "reasons": rows}], form,
             ("item_id", "sentence"))  # fmt: skip
    say_steps(found.path)


@clicks.command(
    epilog=verbatim("pyrec ask need running shoes under 300", "pyrec ask click --user anna -i s001")
)
@clicks.argument("task", type=text)
@clicks.argument("words", nargs=-1, type=text, metavar="[TEXT]...")
@clicks.option("--user", type=text, metavar="USER", help="Whose history counts.")
@clicks.option("-i", "--item", "items", type=text, multiple=True, metavar="ITEM",
              help="What it is about; may be repeated.")  # fmt: skip
@clicks.option("-k", type=clicks.IntRange(1, 1000), metavar="N", help="How many answers.")
@model_options
@db_option
def ask(
    task: str,
    words: tuple[str, ...],
    user: str | None,
    items: tuple[str, ...],
    k: int | None,
    text_model: str,
    embedding_model: str,
    db: Path,
) -> None:
    """Ask any TASK by its name; prints JSON.

    Also one that an installed package offers.
    """
    with open_db(db, text_model, embedding_model) as rec:
        found = rec.ask(task, question(words), user=user, items=items, k=k)
        clicks.echo(json.dumps(_plain(found), ensure_ascii=False, indent=1))


def _plain(value: Any) -> Any:
    """Turn a result into what JSON holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _interests(rec: Recommender, found: Profile) -> list[dict[str, Any]]:
    def row(kind: str, each: Interest) -> dict[str, Any]:
        titles = [t for i in each.evidence[:3] if (t := _title(rec, i))]
        return {
            "kind": kind,
            "column": each.column,
            "value": each.value,
            "probability": round(each.probability, 4),
            "lasting": round(each.lasting, 4),
            "recent": round(each.recent, 4),
            "usual": round(each.usual, 4),
            "said": each.said,
            "evidence": titles,
            "items": list(each.evidence),
        }

    likes = [row("likes", each) for each in found.interests]
    return likes + [row("dislikes", each) for each in found.dislikes]


def _title(rec: Recommender, item_id: str) -> str | None:
    (number,) = rec.catalog.idxs([item_id])
    return None if number < 0 else rec.catalog.items([number])[0].title


def _why(reasons: Sequence[Reason]) -> str:
    return ", ".join(f"{r.text} {r.contribution:+.2f}" for r in reasons)
