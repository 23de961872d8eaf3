"""Fills the demo's databases: models, movies, a small shop. Done once; `demo` calls this.

Here the demo uses the network: for the models and the movies, the first time alone.
"""

from __future__ import annotations

from pathlib import Path

import click

from pyrec import manifest, models
from pyrec.cli.output import dim
from pyrec.cli.progress import Progress, megabytes
from pyrec.errors import CatalogError
from pyrec.readers import read_items
from pyrec.recommender import Recommender
from pyrec.sample_movies import fetch_movies, read_movies
from pyrec.types import Item
from pyrec.workspace import workspace

N_VECTORS = 1000
"""Movies read for meaning here, the most reviewed first; `pyrec index` reads the rest."""

_STEPS = {
    "phrases": "weighing phrases",
    "vectors": "reading for meaning",
    "states": "reading by the text model",
}


def pull(names: tuple[str, ...], accept_license: bool) -> None:
    """Get the models that are not here yet.

    Raises:
        ModelError: one could not be fetched, or its license is not accepted.
    """
    for name in names:
        if models.show(name).state == "ready":
            continue
        spec = manifest.get(name)
        click.echo(dim(f"{spec.about}. License: {spec.license}, {spec.license_url}"), err=True)
        with Progress(megabytes) as progress:
            models.pull(name, accept_license=accept_license, progress=progress.update)


def movies(rec: Recommender, known_id: str, folder: Path) -> None:
    """Fill a store with the movies where it is empty.

    Args:
        rec: the store.
        known_id: of a movie, by which one sees that the store holds them.
        folder: where to keep what is fetched, for as long as it is needed.

    Raises:
        CatalogError: the store holds something else.
        ModelError: the movies could not be fetched.
    """
    with Progress(megabytes) as progress:
        if rec.catalog.count == 0:
            with workspace(folder) as work:
                path = fetch_movies(work, progress.update)
                progress.update("importing the movies", 0, 0)
                rec.add_items(read_movies(path))
    if rec.catalog.idxs([known_id])[0] < 0:
        raise CatalogError(
            "this database holds another catalog than the demo's movies; name a new file with --db"
        )
    _index(rec, N_VECTORS)


def shop(rec: Recommender) -> None:
    """Fill a store with the small shop where it is empty."""
    if rec.catalog.count == 0:
        rows = read_items(_shop_file(), None, {}, (), True)
        rec.add_items(row for row in rows if isinstance(row, Item))
    _index(rec, None)


def _index(rec: Recommender, n_vectors: int | None) -> None:
    with Progress() as progress:
        for step in rec.index(n_vectors=n_vectors):
            note = f"{step.done:.0%}" if step.step == "phrases" else ""
            progress.update(_STEPS[step.step], step.done, step.total, note)


def _shop_file() -> Path:
    installed = Path(__file__).with_name("shop.jsonl")
    # In an editable checkout the build has put none there: the repository's own lies beside.
    checkout = Path(__file__).parents[1] / "examples" / "shop.jsonl"
    return installed if installed.is_file() else checkout
