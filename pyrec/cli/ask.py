"""The commands that ask: `recommend`, `similar` and `need`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrec.cli import slates
from pyrec.cli.options import (
    db_option,
    list_options,
    model_options,
    open_db,
    question,
    text,
    verbatim,
)
from pyrec.cli.output import dim, emit, for_people, format_options, say, say_steps
from pyrec.cli.width import printable

if TYPE_CHECKING:
    from pyrec.types import Filter, Need

_GENERATE: dict[str | None, bool | str] = {
    "titles": True,
    "catalog": "catalog",
    "slate": "slate",
    None: False,
}


@click.command(
    epilog=verbatim(
        "pyrec recommend running shoes under 300",
        "pyrec recommend 运动鞋 三百以内 --user anna -k 5",
        "pyrec recommend --user anna --where category=Headphones",
    )
)
@click.argument("words", nargs=-1, type=text, metavar="[TEXT]...")
@click.option("--user", type=text, metavar="USER", help="Whose history counts.")
@list_options
@click.option("--include-seen", is_flag=True, help="Also what the user had to do with already.")
@click.option(
    "--generate",
    "generate",
    flag_value="titles",
    help="Let the text model re-order the best by their titles.",
)
@click.option(
    "--generate-catalog",
    "generate",
    flag_value="catalog",
    help="Let the text model name items of the whole catalog; takes longer.",
)
@click.option(
    "--generate-slate",
    "generate",
    flag_value="slate",
    help="Let the behavior model make a sequence: each item follows those before it.",
)
@click.option(
    "--diversity",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="How much it counts, 0 to 1, that an item is unlike those before it.",
)
@click.option(
    "--explore",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="The share of places that is left to chance where the weights are unsure.",
)
@click.option("--shown", is_flag=True, help="Log that USER saw this list; clicks then tell more.")
@model_options
@db_option
@format_options
def recommend(
    words: tuple[str, ...],
    user: str | None,
    k: int | None,
    where: tuple[Filter, ...],
    include_seen: bool,
    generate: str | None,
    diversity: float,
    explore: float,
    shown: bool,
    text_model: str,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Recommend items for a question, a user, or both.

    TEXT is the question in plain words, in any language; `-` reads it from stdin. Prices in it
    count ("under 300", "三百以内"). Without TEXT and --user, what is popular comes.
    """
    if shown and user is None:
        raise click.UsageError("--shown logs that a user saw the list: name the user with --user")
    with open_db(db, text_model, embedding_model) as rec:
        slate = rec.recommend(
            question(words),
            user=user,
            k=k,
            where=where,
            include_seen=include_seen,
            generate=_GENERATE[generate],
            diversity=diversity,
            explore=explore,
        )
        slates.show(slate, form)
        if shown:
            slate.shown()
        if not slate:
            say(slates.empty(slate, where, rec.catalog.count))
        elif user and sys.stderr.isatty() and not rec.history(user, 1):
            say(dim(f"Say what is good: pyrec feedback {user} {slate[0].item_id} like"))


@click.command()
@click.argument("item", type=text)
@list_options
@model_options
@db_option
@format_options
def similar(
    item: str,
    k: int | None,
    where: tuple[Filter, ...],
    text_model: str,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Recommend items like ITEM, which is the id of one."""
    with open_db(db, text_model, embedding_model) as rec:
        if for_people(form):
            say(dim(f"like {printable(rec.catalog.item(item).title)}:"))
        slate = rec.similar(item, k=k, where=where)
        slates.show(slate, form)
        if not slate:
            say(slates.empty(slate, where, rec.catalog.count))


@click.command(
    epilog=verbatim(
        "phrase  a phrase of the catalog, with its probability",
        "filter  a condition that items must meet",
        "avoid   what is to be kept away, with its probability",
        "want    what the user said that they like",
        "order   the column that the list shall be in the order of",
        "number  how many are asked for",
        "word    a word that is looked for, without its ending",
    )
)
@click.argument("words", nargs=-1, required=True, type=text, metavar="TEXT...")
@click.option("--user", type=text, metavar="USER", help="Whose dislikes and corrections count.")
@model_options
@db_option
@format_options
def need(
    words: tuple[str, ...],
    user: str | None,
    text_model: str,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Show what a question means in the catalog's own words."""
    with open_db(db, text_model, embedding_model) as rec:
        found = rec.need(question(words), user=user)
    rows = _rows(found)
    if for_people(form) or form == "table":
        rows = [row for row in rows if row["kind"] != "word"]
        if found.terms:
            rows.append({"kind": "words", "text": ", ".join(found.terms)})
    if rows or not for_people(form):
        emit(rows, form, ("kind", "text", "probability"))
    say_steps(found.path or ["nothing was asked"])


def _rows(found: Need) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for phrase in found.phrases:
        probability = round(phrase.probability, 4)
        rows.append({"kind": "phrase", "text": phrase.text, "probability": probability})
    for condition in found.filters:
        probability = round(condition.probability, 4)
        rows.append({"kind": "filter", "text": str(condition), "probability": probability})
    for phrase in found.avoid:
        probability = round(phrase.probability, 4)
        rows.append({"kind": "avoid", "text": phrase.text, "probability": probability})
    for phrase in found.want:
        probability = round(phrase.probability, 4)
        rows.append({"kind": "want", "text": phrase.text, "probability": probability})
    for kind, value in (("order", found.order), ("number", found.n)):
        if value:
            rows.append({"kind": kind, "text": str(value), "probability": 1.0})
    for term in found.terms:
        rows.append({"kind": "word", "text": term, "probability": None})
    return rows
