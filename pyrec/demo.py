"""The demo: real movies and a small bilingual shop, asked as a person would ask.

`pyrec demo` and `make demo` call `run`. It fetches the models and a catalog of 17,472 movies
(`bokeh_sampledata`, BSD-3-Clause) once; later it needs no network. Its databases are kept, so that
one can go on asking.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import platformdirs

from pyrec import manifest, models
from pyrec.cli.output import bold, dim
from pyrec.cli.progress import Progress, megabytes
from pyrec.cli.slates import show
from pyrec.cli.width import fit, pad
from pyrec.readers import read_items
from pyrec.recommender import Recommender
from pyrec.recommender import open as open_recommender
from pyrec.sample_movies import fetch_movies, read_movies
from pyrec.types import Item, Slate
from pyrec.workspace import workspace

N_VECTORS = 1000
"""Movies embedded here, the most reviewed first; `pyrec index` does the rest in some minutes."""
MODELS = ("gemma3-270m", "multilingual-e5-small")
USER = "you"


def run(db: Path | None, accept_license: bool) -> None:
    """Show pyrec on real data.

    Args:
        db: where the movies' database is kept; the shop's lies beside it. None is a place in the
            user's data folder.
        accept_license: the user has read the models' licenses and accepts them.

    Raises:
        ModelError: a model could not be fetched, or its license is not accepted.
        StoreError: a database cannot be used.
    """
    began = time.perf_counter()
    db = db or Path(platformdirs.user_data_dir("pyrec", False)) / "demo.db"
    shop = db.with_name(f"{db.stem}-shop.db")
    db.parent.mkdir(parents=True, exist_ok=True)
    _pull(accept_license)
    with open_recommender(db, text_model=MODELS[0], embedding_model=MODELS[1]) as rec:
        _fill(rec, db.parent)
        _ask_for_movies(rec)
    with open_recommender(shop, text_model=MODELS[0], embedding_model=MODELS[1]) as rec:
        _stock(rec)
        _go_shopping(rec)
    _head("Now you")
    click.echo("  All of this ran on this device. The databases are yours to go on with:\n")
    for line in (
        f'pyrec recommend "a heist that goes wrong" --db {db}',
        f"pyrec feedback {USER} 83495 like --db {db}      # The Matrix",
        f"pyrec recommend --user {USER} --db {db}",
        f'pyrec recommend "儿童玩具 一百以内" --db {shop}',
    ):
        click.echo(f"    {line}")
    click.echo(dim(f"\n  {time.perf_counter() - began:.0f} s in all"))


def _pull(accept_license: bool) -> None:
    for name in MODELS:
        spec = manifest.get(name)
        if models.show(name).state == "ready":
            continue
        click.echo(
            f"  {name}, {megabytes(spec.size)}: {spec.license}, {spec.license_url}", err=True
        )
        with Progress(megabytes) as progress:
            models.pull(name, accept_license=accept_license, progress=progress.update)


def _fill(rec: Recommender, folder: Path) -> None:
    _head("17,472 movies, one SQLite file, no network from here on")
    with Progress() as progress:
        if rec.catalog.count == 0:
            with workspace(folder) as work:
                path = fetch_movies(work, progress.update)
                progress.update("importing the movies", 0, 0)
                rec.add_items(read_movies(path))
        _index(rec, progress, N_VECTORS)
    n = rec.n_vectors
    click.echo(f"  {rec.catalog.count:,} movies; the meaning of the {n:,} most reviewed is known,")
    click.echo("  all the others are found by their words (`pyrec index` would do the rest).")


def _index(rec: Recommender, progress: Progress, n_vectors: int | None) -> None:
    for step in rec.index():
        total = step.total
        if step.step == "vectors" and n_vectors is not None:
            total = min(total, n_vectors)
        what = {"phrases": "weighing phrases", "vectors": "reading for meaning"}[step.step]
        progress.update(what, min(step.done, total), total)
        if step.step == "vectors" and n_vectors is not None and rec.n_vectors >= n_vectors:
            return


def _ask_for_movies(rec: Recommender) -> None:
    while rec.undo(USER) is not None:
        pass  # each run tells the same story
    _ask(rec, "space adventure with robots", "A question in plain words.")
    _ask(rec, "关于战争的电影", "The same in Chinese: the model says it in the catalog's words.")
    _ask(rec, "romantic comedy", "With a condition.", where=["year>=2000"])

    _head("More like The Matrix")
    show(rec.similar("83495", k=5), None)

    _head("Feedback counts at once")
    before = rec.recommend("science fiction", user=USER, k=8)
    liked, disliked = before[2], before[0]
    before.like(2)
    before.dislike(0)
    click.echo(f"  You like      {bold(liked.title)}")
    click.echo(f"  You dislike   {bold(disliked.title)}")
    _moves(before, rec.recommend("science fiction", user=USER, k=8))


def _stock(rec: Recommender) -> None:
    if rec.catalog.count == 0:
        rows = read_items(_shop_file(), None, {}, (), True)
        rec.add_items(row for row in rows if isinstance(row, Item))
    with Progress() as progress:
        _index(rec, progress, None)


def _shop_file() -> Path:
    installed = Path(__file__).with_name("shop.jsonl")
    # In an editable checkout the build has put none there: the repository's own lies beside.
    return (
        installed if installed.is_file() else Path(__file__).parent.parent / "examples/shop.jsonl"
    )


def _go_shopping(rec: Recommender) -> None:
    _ask(rec, "运动鞋 三百以内", "A shop with goods in two languages; the price is a bound.")
    _ask(rec, "sports shoes", "And the other way round.")


def _ask(rec: Recommender, text: str, why: str, where: tuple[str, ...] | list[str] = ()) -> None:
    condition = f"  [{', '.join(where)}]" if where else ""
    _head(f"“{text}”{condition}", why)
    slate = rec.recommend(text, k=5, where=where)
    if slate.need and slate.need.phrases:
        phrases = [f"{p.text} {p.probability:.0%}" for p in slate.need.phrases]
        click.echo("  understood as: " + ", ".join(phrases))
    show(slate, None)


def _moves(before: Slate, after: Slate) -> None:
    places = {s.item_id: n for n, s in enumerate(before, 1)}
    click.echo()
    for n, s in enumerate(after, 1):
        was = places.pop(s.item_id, None)
        arrow = "new" if was is None else "  =" if was == n else f"{'↑' if n < was else '↓'} {was}"
        reason = f"{s.reasons[0].text}" if s.reasons else ""
        click.echo(f"  {n:>2}  {pad(arrow, 4)} {pad(fit(s.title, 34), 34)}  {dim(fit(reason, 34))}")
    for item_id, was in places.items():
        title = next(s.title for s in before if s.item_id == item_id)
        click.echo(dim(f"   -  was {was}  {title}"))


def _head(title: str, why: str = "") -> None:
    click.echo(f"\n{bold(title)}")
    if why:
        click.echo(dim(f"  {why}"))
