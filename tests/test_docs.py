from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pyrec.cli import main

README = Path(__file__).parent.parent / "README.md"


def commands(group: click.Group = main, lead: str = "pyrec") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{lead} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{lead} {name}")


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_and_so_has_each_of_its_options(name: str) -> None:
    command = ALL[name]
    assert command.help
    assert not command.get_short_help_str(60).endswith("..."), "its line in the list is cut off"
    undescribed = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert undescribed == []


@pytest.mark.parametrize("name", ALL)
def test_every_command_stands_in_the_readme(name: str) -> None:
    assert name in README.read_text("utf-8")


@pytest.mark.parametrize("code", ["PYREC_DB", "PYREC_MODELS", "_PYREC_COMPLETE", "--json"])
def test_what_the_environment_may_set_and_how_to_complete_stand_in_the_readme(code: str) -> None:
    assert code in README.read_text("utf-8")
