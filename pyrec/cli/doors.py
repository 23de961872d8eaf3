"""What every command shares: how an error becomes a message on stderr and an exit code.

No command lets a traceback out. `Door` is the outermost group; a test or the shell calls it, it
runs a command and ends the process with one of the codes below.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from pyrec import errors

FINE, ERROR, USAGE, NOT_FOUND, BUSY, DAMAGED = range(6)
STOPPED = 130  # as a shell reports Ctrl-C
PIPE_CLOSED = 141  # and a reader that went away

_CODES: tuple[tuple[type[errors.PyrecError], int], ...] = (
    (errors.UnknownItemError, NOT_FOUND),
    (errors.ModelNotFoundError, NOT_FOUND),
    (errors.StoreBusyError, BUSY),
    (errors.StoreCorruptError, DAMAGED),
    (errors.ModelFileError, DAMAGED),
)


class NotFoundError(click.ClickException):
    """A file that a command was told to read is not there."""

    exit_code = NOT_FOUND


class StoppedError(click.ClickException):
    """The user pressed Ctrl-C where there is something to say about it."""

    exit_code = STOPPED


class Door(click.Group):
    """The group of all commands: translates errors, closes the streams, sets the exit code."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> NoReturn:
        """Run a command and exit."""
        for stream in (sys.stdout, sys.stderr):
            # A console that cannot show a character shows a question mark.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        extra["standalone_mode"] = False
        try:
            code = super().main(args, *more, **extra)
        except (KeyboardInterrupt, click.Abort):
            _say("stopped")
            code = STOPPED
        except click.ClickException as error:
            code = _show(error)
        except errors.PyrecError as error:
            _say(f"Error: {error}")
            code = exit_code(error)
        except OSError as error:
            what = f"{error.filename}: " if error.filename else ""
            _say(f"Error: {what}{error.strerror or error}")
            code = ERROR
            _write_out()
        except Exception as error:
            _unexpected(error)
            code = ERROR
        sys.exit(code if isinstance(code, int) else FINE)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order they were added, which is that of a first day."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named, and see that all it wrote arrives."""
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return result
        except BrokenPipeError:
            # Nobody reads on, `head` for instance; the interpreter must not try again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(PIPE_CLOSED)


def exit_code(error: errors.PyrecError) -> int:
    """Return the code that an error ends the process with."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ERROR)


def _show(error: click.ClickException) -> int:
    if isinstance(error, click.UsageError):
        error.show()
    else:
        _say(error.message if error.exit_code == STOPPED else f"Error: {error.message}")
    return error.exit_code


def _say(message: str) -> None:
    click.echo(message, err=True)


def _write_out() -> None:
    """Write what stdout still holds; where it cannot, keep the interpreter from trying again."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception) -> None:
    """Tell of an error that pyrec did not foresee, with a traceback only on demand."""
    if os.environ.get("PYREC_DEBUG"):
        traceback.print_exc()
    _say(
        f"Error: pyrec met a problem it did not expect: {type(error).__name__}: {error}\n"
        "Set PYREC_DEBUG=1 and run the command again to see where, and please report it."
    )
