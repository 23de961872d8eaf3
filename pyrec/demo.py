"""The demo: real movies and a small bilingual shop, asked as a person would ask.

`pyrec demo` and `make demo` call `run`. It fetches the models and a catalog of 17,472 movies
(`bokeh_sampledata`, BSD-3-Clause) once; later it needs no network. Its databases are kept, so that
one can go on asking.
"""

from __future__ import annotations

from pathlib import Path

import click
import platformdirs

from pyrec import demo_page as page
from pyrec import demo_stock as stock
from pyrec.cli.output import bold
from pyrec.recommender import Recommender
from pyrec.recommender import open as open_recommender
from pyrec.types import Slate

MODELS = ("gemma3-270m", "multilingual-e5-small")
MATRIX = "83495"
VIEWER = "demo"
"""The demo's own user: its story starts afresh each time, and nobody else's events are touched."""


def run(db: Path | None, accept_license: bool) -> None:
    """Show pyrec on real data.

    Args:
        db: where the movies' database is kept; the shop's lies beside it. None is a place in the
            user's data folder.
        accept_license: the user has read the models' licenses and accepts them.

    Raises:
        ModelError: a model or the movies could not be fetched, or a license is not accepted.
        CatalogError: the database holds another catalog.
        StoreError: a database cannot be used.
    """
    db = db or platformdirs.user_data_path("pyrec", appauthor=False) / "demo.db"
    shop = db.with_name(f"{db.stem}-shop.db")
    db.parent.mkdir(parents=True, exist_ok=True)
    stock.pull(MODELS, accept_license)
    with _open(db) as rec:
        stock.movies(rec, MATRIX, db.parent)
        _go_to_the_movies(rec)
    with _open(shop) as rec:
        stock.shop(rec)
        _go_shopping(rec)
    _say_how_to_go_on(db, shop)


def _open(db: Path) -> Recommender:
    return open_recommender(db, text_model=MODELS[0], embedding_model=MODELS[1])


def _go_to_the_movies(rec: Recommender) -> None:
    while rec.undo(VIEWER) is not None:
        pass  # each run tells the same story
    page.heading("pyrec, on this device")
    page.say(
        f"{rec.catalog.count:,} movies in one file. A text model of 253 MB reads the questions; an "
        "embedding model of 74 MB has read the most reviewed movies, to find what is like them. "
        "Nothing leaves this machine."
    )

    page.heading("1  Ask in your own words")
    _ask(rec, "space adventure")
    page.say("Its words find titles, its phrases find genres; critics' reviews tell what is known.")

    page.heading("2  In your own language")
    page.say("The catalog is in English. The text model writes the question in its words.")
    _ask(rec, "法国爱情片", meaning="French love stories")
    _ask(rec, "张艺谋", meaning="Zhang Yimou, a director")

    page.heading("3  With a condition")
    _ask(rec, "vampires", "year>=2000")
    page.say("A condition is never bent: what does not meet it is not looked at.")

    page.heading("4  More like this one")
    page.say("The Matrix (1999):")
    page.answer(rec.similar(MATRIX, k=5), page.movie)

    page.heading("5  Say what you like")
    _learn(rec)


def _learn(rec: Recommender) -> None:
    before = rec.recommend("sci-fi", user=VIEWER, k=10)
    page.question("sci-fi")
    page.answer(before, page.movie)
    before.like(1)
    before.like(3)
    before.dislike(0)
    liked = f"{before[1].title} and {before[3].title}"
    click.echo()
    page.say(f"You like {liked}, and turn {before[0].title} down. The same question again:")
    page.moves(before, rec.recommend("sci-fi", user=VIEWER, k=10))
    page.say("What you judged is out of the list, and what is like it moves up.")
    click.echo()
    page.say("And with no question at all:")
    page.answer(rec.recommend(user=VIEWER, k=5), page.movie)


def _go_shopping(rec: Recommender) -> None:
    page.heading("6  A shop in two languages")
    page.say(f"{rec.catalog.count:,} products, half of them in Chinese, half in English.")
    _shop(rec, "运动鞋 三百以内", meaning="sports shoes, at most 300")
    _shop(rec, "sports shoes")
    _shop(rec, "sports shoes under 300")
    page.say("Prices are read by rules, digits and Chinese numerals alike.")


def _ask(rec: Recommender, text: str, *where: str, meaning: str = "") -> Slate:
    slate = rec.recommend(text, k=5, where=where)
    page.question(text, *where, meaning=meaning)
    page.answer(slate, page.movie)
    return slate


def _shop(rec: Recommender, text: str, meaning: str = "") -> None:
    page.question(text, meaning=meaning)
    page.answer(rec.recommend(text, k=6), page.product)


def _say_how_to_go_on(db: Path, shop: Path) -> None:
    page.heading("Now you")
    page.say("The databases stay where they are. Go on with:")
    click.echo()
    for command in (
        f'pyrec recommend "a heist that goes wrong" --user me --db "{db}"',
        f'pyrec feedback me {MATRIX} like --db "{db}"',
        f'pyrec recommend "儿童玩具 一百以内" --db "{shop}"',
    ):
        click.echo(f"   {bold(command)}")
