"""Feedback: an event goes into the log and moves theta, in one transaction, and can be taken back.

`Recommender` calls it for what users do. What an event teaches is worked out before the transaction
(`lessons.py`), because questions read much and others wait to write; the step itself is taken
inside it, from the weights as they are then (`steps.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pyrec.event_rules import checked
from pyrec.events import EventLog
from pyrec.interactions import TAKEN
from pyrec.lessons import lessons, prior
from pyrec.mixer import Choice
from pyrec.paused import Paused
from pyrec.shown import Shown, ShownLog
from pyrec.steps import Step, Steps
from pyrec.store import MEMORY, Store
from pyrec.tasks.base import Context
from pyrec.types import Event


class Feedback:
    """Takes events and takes them back.

    Args:
        store: of all that follows.
        context: gives the store's parts with the weights in use.
        shown: the lists that users saw.
        steps: what events taught.
        paused: users of whom nothing is kept.
    """

    def __init__(
        self,
        store: Store,
        context: Callable[[], Context],
        shown: ShownLog,
        steps: Steps,
        paused: Paused,
    ) -> None:
        self._store, self._context, self._shown, self._steps = store, context, shown, steps
        self._paused = paused

    def take(self, event: Event) -> Event:
        """Log an event and learn from it; durable when this returns.

        The event of a user who is paused is checked, and returned as it is.

        Raises:
            InvalidEventError: the event makes no sense; nothing is kept.
        """
        event = checked(event)
        context = self._context()
        seen = context.events.state()[0]
        shown = None
        if event.kind in TAKEN:
            shown = self._shown.newest_with(event.user_id, event.item_id)
        choices = _lessons(event, context, shown)
        with self._store.transact():
            if event.user_id in self._paused:
                return event
            stored = context.events.append(event)
            self._take(stored, seen, shown.slate_id if shown else None, choices)
        return stored

    def undo(self, user: str) -> Event | None:
        """Take back a user's newest event that is no impression, and what it taught."""
        with self._store.transact():
            event = self._context().events.undo(user)
            if event is not None:
                self.again(self._steps.rewind(event.event_id or 0))
        return event

    def again(self, steps: Iterable[Step]) -> None:
        """Take steps again, in order, from the log as it is now.

        Each from the evidence that was there when the event came: a log of its own is filled event
        by event, over the catalog of now. Some two milliseconds a step, and a second for each
        200,000 events of the log; call it in a transaction.
        """
        todo = list(steps)
        if not todo:
            return
        context = self._context()
        with Store.open(MEMORY) as scratch:
            log, reached = EventLog(scratch), 0
            questions = context.questions.over(log)
            then = replace(context, events=log, questions=questions)
            try:
                for step in todo:
                    log.put(context.events.arrived(reached, step.seen))
                    reached = max(reached, step.seen)
                    event = context.events.get(step.event_id)
                    if event is not None:
                        self._once_more(event, step, then)
            finally:
                questions.close()

    def _once_more(self, event: Event, step: Step, then: Context) -> None:
        shown = None if step.slate_id is None else self._shown.get(step.slate_id)
        # Of a list that is no longer kept nothing can be learned again.
        lost = step.slate_id is not None and shown is None
        self._take(event, step.seen, step.slate_id, _lessons(event, then, shown, lost=lost))

    def _take(
        self, event: Event, seen: int, slate_id: int | None, choices: Sequence[Choice]
    ) -> None:
        if choices:
            number = event.event_id or 0
            self._steps.take(number, event.user_id, seen, slate_id, choices, prior())


def _lessons(
    event: Event, context: Context, shown: Shown | None, *, lost: bool = False
) -> list[Choice]:
    """Return what an event teaches; nothing, with a warning, where a signal gives no numbers."""
    try:
        return lessons(event, context, shown, lost=lost)
    except ValueError as error:
        told = f"{event.kind} of {event.item_id!r} is kept and teaches nothing: {error}"
        warnings.warn(told, RuntimeWarning, stacklevel=4)
        return []
