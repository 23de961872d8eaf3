"""The frozen values that cross the public surface: items, events, needs, slates.

Every floor imports them; they import nothing of pyrec but errors. `item_id` is the catalog's own
string, `item_idx` a dense row; times are UTC seconds (`*_at`), durations milliseconds (`*_ms`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, overload

AttributeValue = str | float | tuple[str, ...]

EVENT_KINDS = ("impression", "click", "like", "dislike", "purchase", "rating", "skip")


@dataclass(frozen=True)
class Item:
    """A thing that can be recommended.

    Attributes:
        item_id: the catalog's own id, unique.
        title: what people call it; may be empty.
        text: a longer description, searched with a lower weight.
        price: in the catalog's own currency unit, None when unknown.
        popularity: any number ≥ 0 that grows with popularity, None when unknown.
        attributes: further named values: a string, a number, or several strings.
    """

    item_id: str
    title: str
    text: str = ""
    price: float | None = None
    popularity: float | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something a user did with an item; `kind` is one of `EVENT_KINDS`.

    Attributes:
        value: the rating for `rating`, the place in the list for `impression`, else None.
        at: UTC seconds; 0 in the log means that the time is unknown.
        event_id: the row in the log, None before it is stored.
    """

    user_id: str
    item_id: str
    kind: str
    value: float | None = None
    at: float = 0.0
    session: str | None = None
    event_id: int | None = None


@dataclass(frozen=True)
class Phrase:
    """A phrase of the catalog that a question means, with its probability in (0, 1].

    Attributes:
        column: the attribute that the question named a value of; "" where a model wrote the
            phrase, which then counts wherever its words stand.
    """

    text: str
    probability: float
    column: str = ""


@dataclass(frozen=True)
class Filter:
    """A condition on items: `column` is `price`, `popularity`, `item_id` or an attribute.

    `op` is one of `= != < <= > >=`; a column that holds several values matches when any does.
    `probability` says how likely it is meant, where it was read from a question.
    """

    column: str
    op: str
    value: str | float
    probability: float = field(default=1.0, compare=False)

    def __str__(self) -> str:
        """Write the condition as `where=` takes it."""
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.column}{self.op}{value}"


@dataclass(frozen=True)
class Need:
    """What a question means in the catalog's own words.

    Attributes:
        text: the question without the parts that became filters.
        terms: the words looked for, analyzed (folded and stemmed).
        phrases: phrases of the catalog, most probable first.
        filters: hard conditions found in the question.
        avoid: what is to be kept away, most probable first: items that have it sink.
        order: the column that the list shall be in the order of, with a minus for the largest
            first; empty for none.
        n: how many items are asked for; None where it is not said.
        want: what the user said that they like: items without any of it sink a little.
        path: which steps made it, in order, for people to read.
    """

    text: str
    terms: tuple[str, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    filters: tuple[Filter, ...] = ()
    path: tuple[str, ...] = ()
    avoid: tuple[Phrase, ...] = ()
    order: str = ""
    n: int | None = None
    want: tuple[Phrase, ...] = ()


@dataclass(frozen=True)
class Reason:
    """One part of why an item stands where it does.

    Attributes:
        signal: the signal's name.
        contribution: θ · φ of that signal minus its mean over the pool, in natural-log units.
        text: what it saw, for people to read: words, phrases, titles of the user's items.
    """

    signal: str
    contribution: float
    text: str


@dataclass(frozen=True)
class Suggestion:
    """One place of a slate; `score` is log P(item | question), higher is better."""

    item: Item
    score: float
    reasons: tuple[Reason, ...] = ()

    @property
    def item_id(self) -> str:
        """The catalog's id of the item."""
        return self.item.item_id

    @property
    def title(self) -> str:
        """The title of the item."""
        return self.item.title


@dataclass(frozen=True)
class Click:
    """Whether a user says yes to an item.

    Attributes:
        item_id: the item.
        probability: of yes.
        reasons: the signals that raise it (above 0) or lower it, the strongest first, in log-odds.
        path: how it was made, for people to read.
    """

    item_id: str
    probability: float
    reasons: tuple[Reason, ...] = ()
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rating:
    """How a user rates an item, on the scale of the store's ratings.

    Attributes:
        item_id: the item.
        mean: the expected rating.
        median: the level in the middle of the distribution.
        distribution: the probability of each level, ascending; they sum to 1.
        reasons: the signals that raise it (above 0) or lower it, the strongest first, in log-odds
            of the highest level against the lowest.
        path: how it was made, for people to read.
    """

    item_id: str
    mean: float
    median: float
    distribution: Mapping[float, float]
    reasons: tuple[Reason, ...] = ()
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Interest:
    """A value of an attribute that a user likes or dislikes.

    Attributes:
        column: the attribute.
        value: as the catalog writes it.
        probability: that the next thing has it, among the column's values; of a dislike, how likely
            it is one.
        lasting: its share in all that was liked, 0 to 1.
        recent: how much of that is new; a liked thing counts 1, and fades as others come.
        usual: its share among the catalog's values of the column.
        evidence: ids of the items that say so, the newest first.
        said: whether the user said it themselves.
    """

    column: str
    value: str
    probability: float
    lasting: float = 0.0
    recent: float = 0.0
    usual: float = 0.0
    evidence: tuple[str, ...] = ()
    said: bool = False


@dataclass(frozen=True)
class Profile:
    """What a user is interested in.

    Attributes:
        interests: the most probable first.
        dislikes: the most likely first.
        sentence: what sets the user apart, for people to read.
        path: how it was made.
    """

    user: str
    interests: tuple[Interest, ...]
    dislikes: tuple[Interest, ...]
    sentence: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why an item stands where it does.

    Attributes:
        reasons: what moved it most, the strongest first.
        sentence: the same for people to read; it names only what the store and the question hold.
        path: how it was made.
    """

    item: Item
    reasons: tuple[Reason, ...]
    sentence: str
    path: tuple[str, ...] = ()


class SlateActions(Protocol):
    """What a slate asks of the recommender that made it."""

    def feedback(self, user: str, item_id: str, kind: str) -> Event:
        """Take one event."""
        ...

    def log_shown(self, slate: Slate) -> None:
        """Log impressions with their places, and what made the list."""
        ...


@dataclass(frozen=True)
class Slate(Sequence[Suggestion]):
    """A ranked list, best first, with how it was made.

    Attributes:
        suggestions: the items, best first; places count from 0.
        path: the steps that made it, in order, for people to read.
        ms: milliseconds from call to return.
        need: what the question was understood to mean, None without a question.
        user: the user it was made for, None for an anonymous one.
        evidence: what made it, for `shown` to keep.
    """

    suggestions: tuple[Suggestion, ...]
    path: tuple[str, ...] = ()
    ms: float = 0.0
    need: Need | None = None
    user: str | None = None
    actions: SlateActions | None = field(default=None, repr=False, compare=False)
    evidence: object = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        """Count the suggestions."""
        return len(self.suggestions)

    @overload
    def __getitem__(self, place: int) -> Suggestion: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Suggestion]: ...
    def __getitem__(self, place: int | slice) -> Suggestion | Sequence[Suggestion]:
        """Return the suggestion at a place, from 0."""
        return self.suggestions[place]

    def __iter__(self) -> Iterator[Suggestion]:
        """Walk the suggestions, best first."""
        return iter(self.suggestions)

    def feedback(self, place: int, kind: str) -> Event:
        """Tell what the user did with the item at `place`.

        Raises:
            IndexError: there is no such place.
            ValueError: the slate was made for nobody, so there is no one to learn for.
        """
        item_id = self.suggestions[place].item_id
        actions, user = self._owner()
        return actions.feedback(user, item_id, kind)

    def like(self, place: int) -> Event:
        """Say that the user likes the item at `place`."""
        return self.feedback(place, "like")

    def dislike(self, place: int) -> Event:
        """Say that the user is not interested in the item at `place`."""
        return self.feedback(place, "dislike")

    def shown(self) -> None:
        """Log that the user saw this list: one impression a place, and the evidence.

        What is taken of it later is learned against what was shown beside it.
        """
        actions, _ = self._owner()
        actions.log_shown(self)

    def _owner(self) -> tuple[SlateActions, str]:
        if self.actions is None or self.user is None:
            raise ValueError(
                "this slate was made for no user; give feedback on recommend(..., user=...)"
            )
        return self.actions, self.user
