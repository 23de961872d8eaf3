"""What users do and say, what they are shown, and what they control.

Feedback goes in and is taken back here; users are paused, forgotten, and told what is kept of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pyrec.event_fields import events_of
from pyrec.event_importing import EventImportReport
from pyrec.exporting import export_data
from pyrec.forgetting import Forgotten, forget
from pyrec.said import Said
from pyrec.shown import Shown
from pyrec.study import Study
from pyrec.tasks.base import check_user, make_ask
from pyrec.tasks.corrections import understand_correction
from pyrec.types import (
    Event,
    Slate,
)


class People(Study):
    """Takes what users do, and takes it back."""

    def feedback(self, user: str, item_id: str, kind: str, value: float | None = None) -> Event:
        """Take what a user did with an item; durable when this returns, and it counts at once.

        Args:
            user: any id of yours.
            item_id: an item of the catalog.
            kind: `impression click like dislike purchase rating skip`.
            value: the rating, for `rating`.

        Raises:
            UnknownItemError: the catalog does not hold the item.
            InvalidEventError: the kind or the value makes no sense.
        """
        self.catalog.idx(item_id)
        return self._feedback.take(Event(user, item_id, kind, value))

    def add_events(self, rows: Iterable[Event | Mapping[str, Any]]) -> EventImportReport:
        """Add a log from elsewhere; all of it or nothing, and adding it again adds nothing.

        Args:
            rows: events, or dictionaries whose keys are read as `pyrec events import` reads
                columns; time 0 or none is unknown, before everything that has one. Items that the
                catalog does not hold are fine.

        Raises:
            InvalidEventError: a row that is no event; the log stays as it was.
        """
        return self.events.add(events_of(rows))

    def correct(self, user: str, text: str) -> list[Said]:
        """Take what a user says of their taste: "I don't like horror", "genres=Horror".

        It counts from the next question on, and outweighs events, until `take_back` or until the
        user says something else of the value.

        Args:
            user: any id of yours.
            text: words that name values of the catalog, or a condition with = or !=.

        Returns:
            What was understood.

        Raises:
            CatalogError: no value of the catalog is named.
        """
        make_ask(text, user)
        found = understand_correction(text, self.questions.current(), self._need)
        if user not in self._paused:
            self.said.say(user, found)
        return found

    def take_back(self, user: str, column: str, value: str) -> bool:
        """Forget what a user said of a value; tell whether there was anything."""
        return self.said.take_back(user, column, value)

    def log_shown(self, slate: Slate) -> None:
        """Log that a user saw a list, with the evidence that made it; `Slate.shown` calls this."""
        if slate.user is None or slate.user in self._paused or not len(slate):
            return
        seen = [
            Event(slate.user, each.item_id, "impression", float(place))
            for place, each in enumerate(slate)
        ]
        with self.store.transact():
            at = self.events.append_many(seen)[0].at
            if isinstance(slate.evidence, Shown):
                self.shown.add(replace(slate.evidence, user_id=slate.user, at=at))

    def undo(self, user: str) -> Event | None:
        """Take back the user's last event that is no impression, and what it taught.

        The weights go back to what they were, and what came later is learned again without it, by
        the catalog of now: some two milliseconds a step, for up to a thousand (`steps.N_BEFORE`),
        and a second for each 200,000 events of the log; others wait to write meanwhile. Where more
        was learned since, or all was trained, the weights stay.

        Returns:
            The event; None without one.
        """
        return self._feedback.undo(check_user(user))

    def pause(self, user: str) -> None:
        """Keep nothing of a user from now on: a private session, until `resume`.

        They are answered from what is known already; feedback, corrections and what is shown are
        checked, and forgotten. An imported log is kept, whoever it is of.
        """
        self._paused.add(check_user(user))

    def resume(self, user: str) -> bool:
        """Keep what a user does again; tell whether they were paused."""
        return self._paused.remove(check_user(user))

    def export_data(self, user: str) -> dict[str, Any]:
        """Return all that is kept of a user, as JSON takes it."""
        return export_data(
            check_user(user), self.events, self.said, self.shown, self.steps, self._paused
        )

    def forget(self, user: str) -> Forgotten:
        """Forget a user, with all that was learned from them, and scrub the file.

        Lists are then those of a store that never saw them, but for what others were shown
        meanwhile and for changes of the catalog. What single events taught is learned again without
        them, some two milliseconds a step, in which others wait to write; where the store was
        trained, it is trained again, which takes as long as `train`. A behavior model and an
        adapter go away until they are trained again, and a private session ends. Files that were
        exported and backups are yours to delete.

        Raises:
            StoreBusyError: another process trains or reads for too long; call it again.
            StoreError: the file cannot be written anew; call it again.
        """
        parts = self.store, check_user(user), self.learned, self.steps, self._feedback
        return forget(*parts, self.train)

    def history(self, user: str, limit: int | None = None) -> list[Event]:
        """Return a user's events, the newest last; impressions are left out."""
        kinds = ("click", "like", "dislike", "purchase", "rating", "skip")
        return self.events.history(user, limit, kinds)
