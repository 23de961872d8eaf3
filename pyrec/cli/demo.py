"""The command `demo`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to keep the demo's database, instead of a place of its own.",
)
@click.option(
    "--accept-license",
    is_flag=True,
    help="You have read the licenses of the models and accept them.",
)
def demo(db: Path | None, accept_license: bool) -> None:
    """Show what pyrec does on real movies and a small shop.

    Models and movies come from the network the first time; later it runs without.
    """
    from pyrec.demo import run

    run(db, accept_license)
