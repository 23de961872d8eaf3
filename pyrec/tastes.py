"""What a user's events say of attribute values: how much was liked and disliked of what has them.

The profile shows them, and what is disliked clearly is kept away from lists and needs. Of values
that the same disliked items share, the rarest one is to blame: who disliked three leather shoes has
nothing against shoes if leather is rarer. What the user said of a value outweighs events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pyrec.events import EventLog
from pyrec.opinions import Scale, read_person
from pyrec.said import Said
from pyrec.types import Event, Item, Phrase

N_EVENTS = 200
"""How many of a user's newest events are looked at."""
RECENCY = 0.85
"""What each later liked thing takes off an earlier one's weight in what is recent."""
MIN_DISLIKES = 1.75
"""So much must have been disliked before a value is kept away; a dislike counts 1, a skip ½."""
MIN_ITEMS = 3
"""And so many items with it."""
LEAST = 0.55
"""How likely the value must be disliked."""
STANDS_FOR = 2.0
"""For how many opinions the user's share of dislikes stands in that of a value."""
SAID = 0.97
"""How likely what a user said is meant."""


@dataclass
class Taste:
    """One value of an attribute, or a phrase of titles (column ""), and what the user did with it.

    Attributes:
        liked: sum of the opinions above 0.
        disliked: the same below 0, as a positive number.
        recent: `liked` with old things fading.
        item_ids: of those items, the newest first.
        said: 1 where the user said that they like the value, -1 that they do not, 0 if nothing.
    """

    column: str
    value: str
    liked: float = 0.0
    disliked: float = 0.0
    recent: float = 0.0
    item_ids: list[str] = field(default_factory=list)
    said: int = 0

    def dislike(self, usual: float) -> float:
        """Return how likely the user dislikes the value, given their usual share of dislikes."""
        if self.said:
            return SAID if self.said < 0 else 1.0 - SAID
        total = self.liked + self.disliked
        return (self.disliked + STANDS_FOR * usual) / (total + STANDS_FOR)


@dataclass(frozen=True)
class Tastes:
    """All values that a user had to do with, by column and value.

    Attributes:
        usual: the user's share of dislikes, drawn to a quarter.
        newest: the opinions by item id, oldest first.
    """

    by_value: Mapping[tuple[str, str], Taste]
    usual: float
    newest: Mapping[str, float]

    def is_against(self, taste: Taste) -> bool:
        """Tell whether enough was disliked of what has a value to speak of it."""
        n_items = sum(self.newest.get(i, 0.0) < 0.0 for i in taste.item_ids)
        return n_items >= MIN_ITEMS and taste.disliked >= MIN_DISLIKES

    def avoided(self, share_of: Callable[[str, str], float]) -> tuple[Phrase, ...]:
        """Return what is clearly disliked, with its probability, the most likely first.

        Args:
            share_of: gives the share of the catalog's items that have a value of a column.
        """
        found: list[tuple[float, Taste]] = []
        blamed: list[set[str]] = []
        # Titles share many phrases by chance: one is kept away only where the user said so.
        tastes = [
            t for t in self.by_value.values() if t.said < 0 or (t.column and self.is_against(t))
        ]
        tastes.sort(key=lambda t: (t.said, share_of(t.column, t.value), t.value))
        for taste in tastes:
            probability = taste.dislike(self.usual)
            if probability < LEAST or share_of(taste.column, taste.value) > 0.5:
                continue
            items = {i for i in taste.item_ids if self.newest.get(i, 0.0) < 0.0}
            if taste.said == 0 and any(items <= others for others in blamed):
                continue  # a rarer value says the same
            blamed.append(items)
            found.append((probability, taste))
        found.sort(key=lambda each: (-each[0], each[1].column, each[1].value))
        return tuple(Phrase(t.value, p, t.column) for p, t in found)

    def wanted(self) -> tuple[Phrase, ...]:
        """Return what the user said that they like."""
        return tuple(Phrase(t.value, SAID, t.column) for t in self.by_value.values() if t.said > 0)


def read_tastes(
    events: Sequence[Event],
    items: Mapping[str, Item],
    said: Iterable[Said],
    scale: Scale,
    phrases_in: Callable[[str], Sequence[str]],
) -> Tastes:
    """Add up what events say of the values of their items.

    Args:
        events: one user's newest, oldest first.
        items: those of the events that the catalog holds, by id.
        said: what the user said of values.
        scale: of the ratings.
        phrases_in: gives the frequent phrases of a title; they are values of the column "".
    """
    opinions = read_person(((e.item_id, e.kind, e.value) for e in events), scale)
    by_value: dict[tuple[str, str], Taste] = {}
    weight = 1.0
    for item_id, opinion in reversed(opinions.items()):
        item = items.get(item_id)
        if item is None:
            continue
        phrases = [("", phrase) for phrase in phrases_in(item.title)]
        for column, value in (*values_of(item), *phrases):
            taste = by_value.setdefault((column, value), Taste(column, value))
            taste.liked += max(opinion, 0.0)
            taste.disliked += max(-opinion, 0.0)
            taste.recent += weight * max(opinion, 0.0)
            taste.item_ids.append(item_id)
        weight *= RECENCY if opinion > 0.0 else 1.0
    for each in said:
        key = (each.column, each.value)
        by_value.setdefault(key, Taste(*key)).said = 1 if each.likes else -1
    bad = sum(max(-v, 0.0) for v in opinions.values())
    total = sum(abs(v) for v in opinions.values())
    return Tastes(by_value, (bad + 1.0) / (total + 4.0), opinions)


def values_of(item: Item) -> list[tuple[str, str]]:
    """Return the texts among an item's attributes, with their columns."""
    found: list[tuple[str, str]] = []
    for column, value in item.attributes.items():
        if isinstance(value, tuple):
            found += [(column, each) for each in value]
        elif isinstance(value, str):
            found.append((column, value))
    return found


def newest_events(log: EventLog, user: str) -> list[Event]:
    """Return the newest events that say something of a user's taste, oldest first."""
    kinds = ("rating", "like", "dislike", "purchase", "click", "skip")
    return log.history(user, N_EVENTS, kinds)
