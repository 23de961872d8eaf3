"""The command line: parse, call, print. Data goes to stdout, everything else to stderr.

Commands import what is heavy (NumPy, SQLite, llama.cpp) when they run, so that help and shell
completion answer at once; `import pyrec` alone loads none of it.
"""

import os

import click

from pyrec.cli.ask import need, recommend, similar
from pyrec.cli.catalog import import_, index
from pyrec.cli.demo import demo
from pyrec.cli.doctor import doctor
from pyrec.cli.doors import Door
from pyrec.cli.events import events
from pyrec.cli.learning import evaluate, train
from pyrec.cli.models import models
from pyrec.cli.options import verbatim
from pyrec.cli.tasks import ask, explain, profile, rating
from pyrec.cli.tasks import click as click_
from pyrec.cli.users import export_my_data, feedback, forget, history, pause, undo

__all__ = ["main"]

_EPILOG = verbatim(
    "Start with a catalog of yours, or see it work with `pyrec demo`:",
    "  pyrec import products.csv",
    "  pyrec recommend running shoes under 300",
    "",
    "Completion in bash, zsh or fish, here for ~/.bashrc:",
    '  eval "$(_PYREC_COMPLETE=bash_source pyrec)"',
    "",
    "Exit codes: 0 fine, 1 error, 2 wrong usage, 3 not found (item, database,",
    "model), 4 database busy, 5 damaged file.",
)


@click.group(cls=Door, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pyrec", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Recommend items of your own catalog, on this device, without a network.

    Everything lives in one database file: ./pyrec.db, or what --db or PYREC_DB names.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


for _command in (
    import_, index, recommend, similar, need, explain, feedback, undo, history, pause,
    forget, export_my_data, profile, click_,
    rating, ask, events, train, evaluate, models, doctor, demo,
):  # fmt: skip
    main.add_command(_command)
