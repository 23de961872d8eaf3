"""The command `doctor`."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from pathlib import Path

import click

from pyrec.cli.options import db_option
from pyrec.cli.output import bold, emit, for_people, format_options, say, terminal_columns
from pyrec.cli.width import printable

_COLUMNS = ("name", "state", "found", "fix")


@click.command()
@db_option
@format_options
@click.pass_context
def doctor(ctx: click.Context, db: Path, form: str | None) -> None:
    """Tell what is set up, what is missing, and how to fix it.

    The exit code is 1 when something is broken, 0 when only optional things are missing.
    """
    from pyrec.doctor import Finding, examine

    findings: list[Finding] = []
    for finding in examine(db):
        findings.append(finding)
        if for_people(form):
            _print(finding.name, finding.state, finding.found, finding.fix)
    if not for_people(form):
        emit([asdict(finding) for finding in findings], form, _COLUMNS)
    n_broken = sum(finding.state == "broken" for finding in findings)
    n_missing = sum(finding.state == "missing" for finding in findings)
    if n_broken or n_missing:
        say(f"{n_broken} broken, {n_missing} missing; each has its fix above")
    else:
        say("everything is in place")
    if n_broken:
        ctx.exit(1)


def _print(name: str, state: str, found: str, fix: str) -> None:
    indent = " " * 9
    colors = {"ok": "green", "missing": "yellow", "broken": "red"}
    head = click.style(f"{state:<7}", fg=colors[state])
    width = max(terminal_columns(), 40)
    lines = textwrap.wrap(f"{name}: {printable(found)}", width - len(indent)) or [name]
    click.echo(f"{head}  {lines[0].replace(name, bold(name), 1)}")
    for line in lines[1:]:
        click.echo(indent + line)
    if fix:
        for line in textwrap.wrap(f"fix: {fix}", width - len(indent), break_on_hyphens=False):
            click.echo(indent + bold(line))
