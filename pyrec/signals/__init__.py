"""Signals: each says how well an item fits a question; the mixer weighs them."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

from pyrec.signals.base import Signal
from pyrec.signals.behavior import Behavior
from pyrec.signals.content import Content
from pyrec.signals.deep import Deep
from pyrec.signals.dense import Dense, DenseHistory
from pyrec.signals.histories import After, Beside, Lately, Near, Next, Taken, Together
from pyrec.signals.lexical import Coverage, Lexical, TitleShare
from pyrec.signals.linear import Linear, LinearRecent
from pyrec.signals.phrases import Phrases
from pyrec.signals.popular import Popular
from pyrec.signals.query_likelihood import QueryLikelihood
from pyrec.signals.tastes import Tastes
from pyrec.signals.unanswered import Unanswered


def every() -> list[Signal]:
    """Return all signals that rank by default: ours, then those that installed packages offer."""
    ours: list[Signal] = [
        Lexical(),
        Coverage(),
        TitleShare(),
        Phrases(),
        Dense(),
        QueryLikelihood(),
        Content(),
        DenseHistory(),
        Popular(),
        After(),
        Near(),
        Next(),
        Beside(),
        Together(),
        Linear(),
        LinearRecent(),
        Taken(),
        Lately(),
        Popular(asked=False),
        Tastes(),
        Unanswered(),
        Behavior(),
    ]
    return [*ours, Deep(ours), *(offered() for offered in _offered())]


@cache
def _offered() -> tuple[Callable[[], Signal], ...]:
    # Once a process: looking through all installed packages takes a millisecond, and theta moves
    # with every event.
    return tuple(entry.load() for entry in entry_points(group="pyrec.signals"))
