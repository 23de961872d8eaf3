"""How far a long step is, on stderr: a bar where a terminal shows it, else a line now and then.

The import, the index and the pull of models tell it; it knows nothing of them.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType

import click

from pyrec.cli.width import fit, printable

_TERMINAL_S = 0.1
_LINES_S = 10.0
_BAR = 16
_SURE_AFTER_S = 2.0  # before that, what is left is a guess

Unit = Callable[[float], str]


def count(number: float) -> str:
    """Write a number of things."""
    return f"{number:,.0f}"


def megabytes(number: float) -> str:
    """Write a number of bytes."""
    return f"{number / 1e6:,.1f} MB"


class Progress:
    """One line that changes, for as long as the `with` block lasts."""

    def __init__(self, unit: Unit = count) -> None:
        self._unit = unit
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._what = ""
        self._began = self._first = 0.0
        self._told_at = -_LINES_S
        self._shown = False

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away."""
        self._clear()

    def update(self, what: str, done: float, total: float, note: str = "") -> None:
        """Tell where a step is, as often as one likes.

        Args:
            what: the step, in words.
            done: how much of it, in the unit.
            total: of how much, 0 when unknown.
            note: what else there is to say.
        """
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._first = what, now, done
        elif now - self._told_at < (_TERMINAL_S if self._is_terminal else _LINES_S):
            return
        self._told_at = now
        if self._is_terminal:
            line = self._line(done, total, now, note, bar=True)
            columns = shutil.get_terminal_size().columns - 1
            click.echo("\r\x1b[K" + fit(line, columns), err=True, nl=False)
            self._shown = True
        else:
            click.echo(self._line(done, total, now, note, bar=False), err=True)

    def say(self, message: str) -> None:
        """Tell something above the line."""
        self._clear()
        click.echo(message, err=True)

    def _line(self, done: float, total: float, now: float, note: str, *, bar: bool) -> str:
        parts = [printable(self._what)]
        if total > 0:
            done = min(done, total)  # a total may be an estimate
            share = done / total
            if bar:
                parts.append(f"[{'#' * round(share * _BAR):<{_BAR}}]")
            parts.append(f"{share:4.0%}")
            elapsed = now - self._began
            if elapsed > _SURE_AFTER_S and self._first < done < total:
                left = elapsed * (total - done) / (done - self._first)
                parts.append(f"{duration(left)} left")
            parts.append(note or f"{self._unit(done)} of {self._unit(total)}")
        elif note or done:
            parts.append(note or self._unit(done))
        else:
            parts[0] += " ..."
        return "  ".join(parts).rstrip()

    def _clear(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._shown = False


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
