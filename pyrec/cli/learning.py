"""The commands about what all users took: `train` learns from it, `evaluate` measures by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyrec.cli.doors import StoppedError
from pyrec.cli.files import written
from pyrec.cli.options import db_option, embedding_option, model_options, open_db, verbatim
from pyrec.cli.output import emit, for_people, format_options, plural, say, say_steps
from pyrec.cli.progress import Progress
from pyrec.errors import EventError

if TYPE_CHECKING:
    from pyrec.adapter.training import TextReport
    from pyrec.bootstrap import Interval
    from pyrec.evaluation import Evaluation, System
    from pyrec.logged import LoggedEvaluation
    from pyrec.train import TrainReport
    from pyrec.train_behavior import BehaviorReport
    from pyrec.train_words import WordsReport

_COLUMNS = ("measure", "system", "mean", "low", "high", "n_users", "gain", "gain_low", "gain_high")
_FEW = 30  # users
_WORTH = "ndcg"  # by which the signals are put in order


@click.command(
    epilog=verbatim("pyrec train", "pyrec train --behavior", "pyrec train --text --minutes 20")
)
@click.option(
    "--behavior",
    is_flag=True,
    help="Train the behavior model as well; takes minutes, and needs pip install 'pyrec[train]'.",
)
@click.option("--update", is_flag=True, help="With --behavior: go on with what came since.")
@click.option(
    "--text",
    "of_text",
    is_flag=True,
    help="Adapt the text model to this store instead; it needs pip install 'pyrec[train]'.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="With --text: how long at most.",
)
@model_options
@db_option
def train(
    behavior: bool,
    update: bool,
    of_text: bool,
    minutes: float,
    text_model: str,
    embedding_model: str,
    db: Path,
) -> None:
    """Learn from what all users took.

    A part of what many users took is hidden and asked for, and what weighs how much is fitted to
    the answers; users who were kept out of it decide whether the result is used. What was taken
    of lists that were shown for words does the same for what words ask. What items go together is
    worked out anew. Ctrl-C leaves all as it was.

    With --behavior a small language model learns which item follows a history. It answers only if
    it is no worse than the one before, and a training that was stopped goes on where it stood.

    With --text the text model learns the catalog's titles and who took which after which.
    What it learned is used only if held-out answers are likelier with it.
    """
    if update and not behavior:
        raise click.UsageError("--update continues the behavior model: use it with --behavior")
    if of_text and behavior:
        raise click.UsageError("--behavior and --text are two trainings; ask for one of them")
    if of_text:
        say(_of_text(_adapt(db, text_model, minutes)))
        return
    with open_db(db, None, embedding_model) as rec:
        if next(rec.events.walk(), None) is None:
            raise EventError(
                "there are no events to learn from; import a log with `pyrec events import FILE`"
            )
        try:
            with Progress() as progress:
                wanted = "update" if update else behavior
                report = rec.train(behavior=wanted, progress=_told(progress))
        except KeyboardInterrupt:
            later = "; the same command goes on where it stood" if behavior else ""
            raise StoppedError(f"stopped; nothing was changed{later}") from None
    say(_outcome(report))
    if report.behavior is not None:
        say(_of_behavior(report.behavior))


@click.command(
    epilog=verbatim(
        "pyrec evaluate",
        "pyrec evaluate --split temporal --share 0.1 --ablation --html report.html",
    )
)
@click.option(
    "--split",
    type=click.Choice(("last", "temporal", "random")),
    default="last",
    show_default=True,
    help="What is hidden: each user's last event, all of late, or some of each user's.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="How much of the events 'temporal' and 'random' hide.",
)
@click.option(
    "-k",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="How long the lists are.",
)
@click.option(
    "--include-seen/--exclude-seen",
    default=False,
    show_default=True,
    help="Whether what a user took before may be recommended, and is an answer.",
)
@click.option("--ablation", is_flag=True, help="Also measure what each signal adds.")
@click.option(
    "--logged",
    is_flag=True,
    help="Judge by the clicks on lists that were shown with --explore, and nothing else.",
)
@click.option(
    "--users",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    metavar="N",
    help="How many users are asked at most, drawn at random.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, help="Another draw of all that is random."
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write a page with charts, which needs nothing else.",
)
@embedding_option
@db_option
@format_options
def evaluate(
    split: str,
    share: float,
    k: int,
    include_seen: bool,
    ablation: bool,
    logged: bool,
    users: int,
    seed: int,
    html: Path | None,
    embedding_model: str,
    db: Path,
    form: str | None,
) -> None:
    """Measure how well users' next steps are foretold.

    Part of the log is hidden and asked for from the rest, beside the most popular items. Each mean
    comes with the interval in which chance lets it lie at 95%. Nothing is changed.
    """
    if logged and (html or ablation or _given("split", "share", "k", "include_seen", "users")):
        raise click.UsageError(
            "--logged looks at lists that were shown: of options only --seed counts"
        )
    if logged:
        with open_db(db, None, embedding_model) as rec:
            _show_logged(rec.evaluate_logged(seed=seed), form)
        return
    with (
        open_db(db, None, embedding_model) as rec,
        written(html) if html else nullcontext() as page,
    ):
        from pyrec.evaluate import EvaluateConfig

        config = EvaluateConfig(split, share, k, include_seen, users, ablation, seed)
        with Progress() as progress:
            found = rec.evaluate(config, progress=_told(progress))
        if page:
            from pyrec import report

            page.write(report.html(found).encode())
    _show(found, form)
    say_steps([f"{name}: {value}" for name, value in found.settings.items()])
    if found.n_users < _FEW:
        say(f"only {plural(found.n_users, 'user')} could be asked: chance moves these means a lot")
    if html:
        say(f"wrote {html}")


def _given(*names: str) -> bool:
    """Tell whether any of some options stands on the command line."""
    ctx = click.get_current_context()
    typed = click.core.ParameterSource.COMMANDLINE
    return any(ctx.get_parameter_source(name) is typed for name in names)


def _show_logged(found: LoggedEvaluation, form: str | None) -> None:
    """Print what the weights would have earned on lists that were shown."""
    rows = [
        {"things taken a list": name, **_bounds(interval, "mean")}
        for name, interval in (
            ("as it was shown", found.logged),
            ("by the weights in use", found.expected),
            ("gain", found.gain),
        )
    ]
    emit(rows, "table" if for_people(form) else form, list(rows[0]))
    worth = f"their places that agree are worth {found.n_effective:.0f}"
    say(f"{plural(found.n_lists, 'list')} of which a part was left to chance; {worth}")
    if math.isnan(found.expected.mean):
        say("at some place none of them agrees with these weights: log more lists")


def _told(progress: Progress) -> Callable[[str, float], None]:
    """Return what tells a step and the share of it that is done, where that is known."""
    return lambda step, share: progress.update(step, share, 1.0 if share else 0.0, " ")


def _adapt(db: Path, text_model: str, minutes: float) -> TextReport:
    """Adapt the text model, and tell how far it is."""
    with open_db(db, text_model) as rec:
        try:
            with Progress() as progress:
                return rec.train_text(minutes=minutes, progress=_told(progress))
        except KeyboardInterrupt:
            raise StoppedError(
                "stopped; nothing was changed; the same command goes on where it stood"
            ) from None


def _outcome(report: TrainReport) -> str:
    """Say what training did."""
    asked = plural(report.n_users, "user")
    if math.isnan(report.before):
        told = f"{asked} could be asked; what histories weigh stays as it was: {report.why}"
    else:
        loss = f"loss {report.before:.4f} before, {report.after:.4f} after"
        if report.used:
            new = "new weights and a network over the signals" if report.deep else "new weights"
            told = f"asked {asked}; the {new} are used from now on ({loss})"
        else:
            told = f"asked {asked}; what histories weigh stays as it was: {report.why} ({loss})"
    told += "; what items go together was worked out anew"
    if report.words.n_lists:
        lists = plural(report.words.n_lists, "list")
        told += f"; {lists} shown for words, {_of_words(report.words)}"
    if report.n_opinions:
        new = " and ".join(report.tasks) or "neither of click and rating"
        told += f"; {plural(report.n_opinions, 'opinion')} fitted, new weights for {new}"
    return told


def _of_words(report: WordsReport) -> str:
    if math.isnan(report.before):
        return report.why
    loss = f"loss {report.before:.4f} before, {report.after:.4f} after"
    told = "new weights for what words ask" if report.used else f"nothing new: {report.why}"
    return f"{told} ({loss})"


def _of_behavior(report: BehaviorReport) -> str:
    """Say what training did for the behavior model."""
    if not report.steps:
        return f"behavior model: nothing new is used: {report.why}"
    size = f"{plural(report.n_items, 'item')}, {report.n_bytes / 1e6:.1f} MB"
    told = (
        f"behavior model: {size}, {report.steps} steps on {report.device} in {report.seconds:.0f} s"
    )
    if not math.isnan(report.after):
        before = "" if math.isnan(report.before) else f", {report.before:.4f} before"
        told += f", nDCG@10 of users who judge {report.after:.4f}{before}"
    return f"{told}; {'it answers from now on' if report.used else f'not used: {report.why}'}"


def _of_text(report: TextReport) -> str:
    """Say what training did for the text model."""
    gains = "; ".join(
        f"{g.kind} {g.before:.1f} to {g.after:.1f} nats ({_gain(g.gain)})" for g in report.gains
    )
    took = f"{report.seconds / 60:.0f} min on {report.device}, {report.steps} steps"
    if not report.used:
        return f"{report.model} stays as it comes: {report.why} ({took}; {gains})"
    return (
        f"{report.model} is adapted to this store, {report.n_bytes / 1e6:.1f} MB ({took}); "
        f"held-out answers are likelier: {gains}. Titles are generated with it from now on"
    )


def _gain(gain: Interval) -> str:
    return f"{gain.mean:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]"


def _show(found: Evaluation, form: str | None) -> None:
    """Print an evaluation: a row a measure for people, a row a measure and system for programs."""
    if form != "table" and not for_people(form):
        emit(_rows(found), form, _COLUMNS)
        return
    ours, popular = found.systems
    rows: list[dict[str, Any]] = []
    for measure in found.metrics:
        mean, other = ours.measured[measure].mean, popular.measured[measure]
        rows.append(
            {
                "measure": measure,
                **_bounds(mean, ours.name),
                popular.name: _plain(other.mean.mean),
                **_bounds(other.gain, "gain", "gain_"),
            }
        )
    for measure in found.list_metrics:
        both = {s.name: _plain(s.list_metrics.get(measure)) for s in found.systems}
        rows.append({"measure": measure, **both})
    emit(rows, "table", list(rows[0]))
    if found.left_out:
        click.echo()
        gains = {system.name: system.measured[_WORTH].gain for system in found.left_out}
        in_order = sorted(gains.items(), key=lambda pair: -pair[1].mean if pair[1] else 0.0)
        worth = [{"signal": name, **_bounds(gain, f"adds to {_WORTH}")} for name, gain in in_order]
        emit(worth, "table", list(worth[0]))


def _rows(found: Evaluation) -> list[dict[str, Any]]:
    named = [(system.name, system) for system in found.systems]
    named += [(f"without {system.name}", system) for system in found.left_out]
    return [row for name, system in named for row in _rows_of(name, system)]


def _rows_of(name: str, system: System) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "measure": measure,
            "system": name,
            **_bounds(measured.mean, "mean"),
            "n_users": sum(not math.isnan(value) for value in measured.values),
            **_bounds(measured.gain, "gain", "gain_"),
        }
        for measure, measured in system.measured.items()
    ]
    for measure, value in system.list_metrics.items():
        told = {"measure": measure, "system": name, "mean": _plain(value)}
        rows.append({**dict.fromkeys(_COLUMNS), **told})
    return rows


def _bounds(interval: Interval | None, name: str, lead: str = "") -> dict[str, float | None]:
    """Return a mean and its bounds, None where there is none."""
    values = interval or (None, None, None)
    return dict(zip((name, f"{lead}low", f"{lead}high"), map(_plain, values), strict=True))


def _plain(value: float | None) -> float | None:
    """Return a number to print, None where nothing is defined."""
    return None if value is None or math.isnan(value) else round(value, 4)
