"""The commands about model files: `pyrec models list pull show rm verify export import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyrec.cli.doors import StoppedError
from pyrec.cli.output import (
    bold,
    describe,
    dim,
    emit,
    for_people,
    format_options,
    say,
    terminal_columns,
)
from pyrec.cli.progress import Progress, megabytes
from pyrec.cli.width import fit, pad, width

if TYPE_CHECKING:
    from pyrec.models import ModelInfo

_SHOWN_METADATA = ("architecture", "name", "size_label", "context_length", "embedding_length")

accept_license = click.option(
    "--accept-license", is_flag=True, help="You have read the model's license and accept it."
)


@click.group()
def models() -> None:
    """List, get, check and carry models.

    They lie in the user's data folder, or where PYREC_MODELS says. Only `pull` uses the network.
    """


@models.command("list")
@format_options
def list_(form: str | None) -> None:
    """List the models that can be pulled and those that are here."""
    from pyrec.models import folder
    from pyrec.models import list_ as list_models

    infos = list_models()
    rows = [_row(info) for info in infos]
    if for_people(form):
        _print(rows)
    else:
        emit(rows, form, ("name", "kind", "state", "size", "license", "about"))
    say(dim(f"folder: {folder()}"))
    for info in infos:
        if info.problem:
            say(f"{info.name}: {info.problem}")
    if all(info.path is None for info in infos):
        say("get one with `pyrec models pull NAME`")


@models.command()
@click.argument("name")
@accept_license
def pull(name: str, accept_license: bool) -> None:
    """Get the model NAME from the network.

    It is checked before it comes into the folder.
    """
    from pyrec import manifest
    from pyrec.models import pull as pull_model

    spec = manifest.get(name)
    say(f"{spec.about} ({megabytes(spec.size)})")
    say(f"License: {spec.license}, {spec.license_url}")
    with Progress(megabytes) as progress:
        try:
            model = pull_model(name, accept_license=accept_license, progress=progress.update)
        except KeyboardInterrupt:
            raise StoppedError("stopped; nothing half-made is left") from None
    say(f"{name} is ready: {model.path}")


@models.command()
@click.argument("name")
@format_options
def show(name: str, form: str | None) -> None:
    """Show what is known of the model NAME."""
    from pyrec.models import show as show_model

    info = show_model(name)
    row = {**_row(info), **_more(info)}
    if not for_people(form):
        emit([row], form, ("name", "kind", "state", "size", "license", "path"))
        return
    metadata = row.pop("metadata")
    row |= {k: v for k, v in metadata.items() if k.partition(".")[2] in _SHOWN_METADATA}
    row["size"] = megabytes(info.size)
    describe(row)


@models.command()
@click.argument("name")
def rm(name: str) -> None:
    """Remove the model NAME from this device."""
    from pyrec.models import rm as remove

    say(f"removed {remove(name)}")


@models.command()
@click.argument("name")
def verify(name: str) -> None:
    """Compare the file of the model NAME with its checksum."""
    from pyrec.models import verify as verify_model

    with Progress(megabytes) as progress:
        model = verify_model(name, progress=progress.update)
    say(f"{name} is as it was recorded: {model.path}")


@models.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def export(name: str, folder: Path) -> None:
    """Copy the model NAME into FOLDER.

    So it is carried to a device without a network, where `pyrec models import` takes it in.
    """
    from pyrec.models import export as export_model

    with Progress(megabytes) as progress:
        copy = export_model(name, folder, progress=progress.update)
    say(f"exported {copy}; take it in with `pyrec models import {copy.name}` where it is needed")


@models.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What to call it, where it is none that pyrec knows.")
@click.option("--kind", type=click.Choice(("text", "embedding")), help="Instead of guessing it.")
@accept_license
def import_(file: Path, name: str | None, kind: Any, accept_license: bool) -> None:
    """Take in a model FILE: an exported one, or any GGUF."""
    from pyrec.models import import_ as import_model

    with Progress(megabytes) as progress:
        try:
            model = import_model(
                file, name, kind=kind, accept_license=accept_license, progress=progress.update
            )
        except KeyboardInterrupt:
            raise StoppedError("stopped; nothing half-made is left") from None
    say(f"{model.name} is ready, a model for {model.kind}: {model.path}")


def _print(rows: list[dict[str, Any]]) -> None:
    wide = max(width(row["name"]) for row in rows)
    for row in rows:
        size = f"{megabytes(row['size']):>10}"
        line = f"  {row['kind'] or '':<9}  {row['state']:<10}  {size}  {row['license']}"
        click.echo(bold(pad(row["name"], wide)) + line.rstrip())
        if row["about"]:
            click.echo(dim("    " + fit(row["about"], terminal_columns() - 4)))


def _row(info: ModelInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "kind": info.kind,
        "state": info.state,
        "size": info.size,
        "license": info.license,
        "about": info.spec.about if info.spec else "",
    }


def _more(info: ModelInfo) -> dict[str, Any]:
    spec, record = info.spec, info.record
    is_ready = info.path is not None and info.problem is None
    return {
        "license_url": spec.license_url if spec else "",
        "license_accepted_at": record.license_accepted_at if record else None,
        "path": str(info.path) if info.path else None,
        "problem": info.problem,
        "sha256": record.sha256 if record else None,
        "source_sha256": spec.sha256 if spec else None,
        "origin": record.origin if record else "",
        "sources": " or ".join(map(str, spec.sources)) if spec else "",
        "metadata": info.header().metadata if is_ready else {},
    }
