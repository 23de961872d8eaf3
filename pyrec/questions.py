"""How a question is made: words, user and conditions into what signals read.

`recommender.py` asks through it, and `replay.py` makes the questions of training here. Policy lives
here: what is left out, and how much of a history counts.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from pyrec import _core
from pyrec.behavior.running import Behavior, stream_of
from pyrec.behavior.state import BehaviorState
from pyrec.behavior.streams import window_start
from pyrec.catalog import Catalog
from pyrec.deep import DeepState
from pyrec.errors import ModelFileError
from pyrec.events import EventLog
from pyrec.filters import parse_filter
from pyrec.index import Index, follow
from pyrec.interactions import TAKEN, Crowd, Interactions
from pyrec.learned import Learned
from pyrec.loaded import LoadedModels
from pyrec.opinions import Scale
from pyrec.past import N_EVENTS, weigh
from pyrec.phrasebook import Phrasebook
from pyrec.rows import described
from pyrec.said import SaidLog
from pyrec.signals.base import F32, I32, U8, Past, Question
from pyrec.signals.lexical import K1, B, in_doubt
from pyrec.states import States
from pyrec.steps import Steps
from pyrec.tastes import Tastes, newest_events, read_tastes
from pyrec.text import analyze, fold, hash_terms
from pyrec.types import EVENT_KINDS, Event, Filter, Need, Phrase
from pyrec.vectors import Vectors

N_PAST = 30
"""How many of the newest things are read word by word; signals let older ones fade to nothing."""
N_TITLES = 200
"""How many titles with the same words are looked at for their order."""
_TOLD = tuple(kind for kind in EVENT_KINDS if kind != "impression")
N_SHOWN = 1000
"""How many of the newest showings to a user count against what they did not take."""
N_TAKEN = 2000
"""How much of a very long history counts."""


class Questions:
    """Encodes questions over one store.

    Attributes:
        catalog: the items.
        understand: turns words of a user into a need; the need task puts itself here.
    """

    def __init__(
        self,
        catalog: Catalog,
        events: EventLog,
        interactions: Interactions,
        vectors: Vectors | None,
        states: States,
        models: LoadedModels,
        learned: Learned,
        said: SaidLog,
        book: Phrasebook,
    ) -> None:
        self.catalog = catalog
        self._events = events
        self._interactions = interactions
        self._vectors = vectors
        self._states = states
        self._models = models
        self._learned = learned
        self._steps = Steps(learned.store)
        self._said = said
        self._book = book
        self._index: Index | None = None
        self._state: BehaviorState | None = None
        self._behavior: Behavior | None = None
        self.understand: Callable[[str, str | None, Index], Need] = _words_only
        self._lock = threading.Lock()

    def current(self) -> Index:
        """Return the catalog's arrays as they are now."""
        with self._lock:
            states = self._states.of(self.catalog.language)
            self._index = follow(self._index, self.catalog, self._vectors, states)
            return self._index

    def ask(
        self,
        text: str,
        user: str | None,
        history: Sequence[str],
        where: Sequence[str | Filter],
        *,
        include_seen: bool,
        asks: Callable[[str], bool],
    ) -> Question:
        """Encode a question.

        Args:
            text: the words, empty for none.
            user: whose history counts, None for nobody's.
            history: item ids that count instead, oldest first.
            where: conditions.
            include_seen: whether what the user took may be recommended.
            asks: whether a signal is asked, by its name.
        """
        index = self.current()
        need = self.understand(text, user, index) if text.strip() else None
        mask = self._mask(index, [*conditions(where), *(need.filters if need else ())])
        question = self._question(index, mask, need)
        if need is not None and need.text and asks("dense") and in_doubt(question):
            embedder = self._models.embedder()
            question.vector = embedder.embed_query(need.text) if embedder else None
        if asks("query_likelihood"):
            self.put_output(question)
        if user is not None:
            self._put_user(question, user, include_seen=include_seen)
        elif history:
            self._put_items(question, history, include_seen=include_seen)
        if need is not None:
            question.want, question.avoid = need.want, need.avoid
        elif user is not None:
            question.want, question.avoid = self.stance(user)
        return question

    def put_output(self, question: Question) -> None:
        """Give a question in words what `query_likelihood` asks by, where items were read."""
        if question.need is not None and question.need.text and len(question.index.states.item_idx):
            question.output = self._states.output(question.need.text, question.index.language)

    def stance(self, user: str) -> tuple[tuple[Phrase, ...], tuple[Phrase, ...]]:
        """Return what a user said they like, and what they clearly dislike."""
        said = self._said.of(user)
        if not said and self._events.n_against(user, self._scale(user).middle, 3) < 3:
            return (), ()  # the usual case: no items have to be read
        tastes = self.tastes(user)
        return tastes.wanted(), self.avoided(tastes)

    def tastes(self, user: str) -> Tastes:
        """Return what a user's events and corrections say of attribute values."""
        events = newest_events(self._events, user)
        ids = list({event.item_id for event in events})
        rows = self.catalog.idxs(ids)
        items = self.catalog.items(rows[rows >= 0])
        known = {item.item_id: item for item in items}
        return read_tastes(
            events, known, self._said.of(user), self._scale(user), self._book.phrases_in
        )

    def _scale(self, user: str) -> Scale:
        """Return the scale of the ratings: the trained one, else a wider one if the user's is."""
        state = self._learned.opinions()
        if state.trained:
            return state.scale
        return state.scale.holding(self._events.highest_rating(user))

    def avoided(self, tastes: Tastes) -> tuple[Phrase, ...]:
        """Return what a user clearly dislikes."""
        self._book.load()
        values, n_items = self._book.survey.values, max(self.current().n_live, 1)
        return tastes.avoided(lambda c, v: values.get(c, {}).get(v, 0) / n_items)

    def past(self, user: str) -> Question:
        """Encode the question of a user's history alone, as training asks it."""
        index = self.current()
        question = self._question(index, index.live.copy(), None)
        self._put_user(question, user, include_seen=False)
        return question

    def taken_among(self, user: str, item_ids: Sequence[str]) -> set[str]:
        """Return which of some items a user took; quick for the longest history."""
        index = self.current()
        crowd = self._interactions.follow(index.n_items, index.version)
        taken = crowd.histories.took(crowd.user(user), crowd.numbers(item_ids))
        return {item_id for item_id, was in zip(item_ids, taken.tolist(), strict=True) if was}

    def over(self, events: EventLog) -> Questions:
        """Return the same over another log; close it when it has answered."""
        beside = Questions(
            self.catalog,
            events,
            Interactions(events, self.catalog),
            self._vectors,
            self._states,
            self._models,
            self._learned,
            self._said,
            self._book,
        )
        beside._index = self.current()  # of the same catalog; it need not be built again
        return beside

    def like(self, item_id: str, where: Sequence[str | Filter]) -> Question:
        """Encode the question for items like one item.

        Raises:
            UnknownItemError: the catalog does not hold it.
        """
        self.catalog.idx(item_id)
        index = self.current()
        question = self._question(index, self._mask(index, conditions(where)), None)
        self._put_items(question, [item_id], include_seen=False)
        return question

    def replayed(
        self, index: Index, crowd: Crowd, taken: I32, ages: F32, *, include_seen: bool
    ) -> Question:
        """Encode the question of a history that is given by numbers of a crowd, for training."""
        question = Question(index, index.live.copy(), self.titles, self.catalog.mask, crowd=crowd)
        question.deep = self.network()
        question.taken, question.ages = taken, ages
        rows = crowd.row_of[taken]
        rows = rows[(rows >= 0) & (rows < index.n_items)]
        if not include_seen:
            question.mask[rows] = 0
        newest = _newest(rows)
        question.history = self._past(newest, [1.0] * len(newest))
        return question

    def is_title(self, text: str, index: Index) -> bool:
        """Tell whether a text is the title of an item, case and accents aside."""
        terms = hash_terms(list(dict.fromkeys(analyze(text, index.language))))
        if not len(terms):
            return False
        # An item with just these words as its title stands among the first by BM25.
        ones = np.ones(len(terms), np.float32)
        scores = index.text.bm25(terms, ones, K1, B, index.live)
        rows, _ = _core.topk(scores, 20, index.live)
        wanted = fold(text).strip()
        return any(fold(title).strip() == wanted for title in self.titles(rows))

    def stands_in_title(self, words: str, index: Index) -> bool:
        """Tell whether words stand in just this order in a title."""
        terms = hash_terms(list(dict.fromkeys(analyze(words, index.language))))
        if not len(terms):
            return False
        rows = index.text.containing(terms)
        rows = rows[index.live[rows] != 0][:N_TITLES]
        return any(fold(words) in fold(title) for title in self.titles(rows))

    def descriptions(self, rows: I32) -> list[str]:
        """Return titles of rows with the words of their attributes."""
        return [described(item) for item in self.catalog.items(rows)]

    def titles(self, rows: I32) -> list[str]:
        """Return the titles of rows."""
        return [item.title for item in self.catalog.items(rows)]

    def _question(self, index: Index, mask: U8, need: Need | None) -> Question:
        crowd = self._interactions.follow(index.n_items, index.version)
        linear, deep = self._learned.linear(crowd), self.network()
        return Question(
            index, mask, self.titles, self.catalog.mask, need, crowd=crowd, linear=linear, deep=deep
        )

    def network(self) -> DeepState | None:
        """Return the network over what signals say, None without one."""
        return self._learned.deep()

    def behavior(self) -> Behavior | None:
        """Return the behavior model of the last training that kept one, None before that."""
        with self._lock:
            state = self._learned.behavior()
            if state is not self._state:
                # The one before is freed when the last question that reads it is answered.
                name = self._models.embedding_name
                self._behavior = Behavior(state, self.catalog, name) if state else None
                self._state = state
            return self._behavior

    def _put_stream(self, question: Question, user: str, against: Collection[str]) -> None:
        """Give the question what the behavior model reads of a user's events."""
        self._put_behavior(question)
        if question.behavior is not None:
            n_taken = self._events.count(user, TAKEN)
            n = n_taken - window_start(n_taken, question.behavior.state.config.length)
            events = self._events.history(user, n, kinds=TAKEN)
            question.stream = stream_of([e for e in events if e.item_id not in against])

    def _put_behavior(self, question: Question) -> None:
        try:
            question.behavior = self.behavior()
        except ModelFileError as error:  # the other signals answer, and the list says so
            question.trouble = str(error)

    def close(self) -> None:
        """Free the behavior model."""
        with self._lock:
            if self._behavior is not None:
                self._behavior.close()
            self._behavior = self._state = None

    def _put_user(self, question: Question, user: str, *, include_seen: bool) -> None:
        """Give the question a user's past, and take what is not to be shown off the mask."""
        events = self._events.history(user, N_EVENTS, _TOLD)
        weights = weigh(events)
        taken, same = self._taken(question.crowd, user)
        if include_seen:
            hidden = disliked(self._events.history(user, kinds=("like", "dislike")))
        else:
            hidden = self._events.disliked(user)
            rows_taken = question.crowd.row_of[taken] if question.crowd else taken
            question.mask[_within(rows_taken, question.mask)] = 0
        ids = list({**weights, **dict.fromkeys(hidden)})
        rows = dict(zip(ids, self.catalog.idxs(ids).tolist(), strict=True))
        # Items that left the catalog, or came after this state of it, count nothing.
        rows = {i: row for i, row in rows.items() if 0 <= row < len(question.mask)}
        question.mask[[rows[i] for i in hidden if i in rows]] = 0
        past = [i for i in weights if i in rows][-N_PAST:]
        question.history = self._past([rows[i] for i in past], [weights[i] for i in past])
        question.own = self._steps.own(user)
        question.unanswered = self._unanswered(question.crowd, user, hidden)
        if len(taken) and question.crowd is not None:
            against = {i for i, weight in weights.items() if weight < 0.0} | disliked(events)
            kept = ~np.isin(taken, question.crowd.numbers(against))
            self._put_stream(question, user, disliked(events))
            question.taken = taken[kept][-N_TAKEN:]
            question.ages = ages_of(same)[kept][-N_TAKEN:]

    @staticmethod
    def _taken(crowd: Crowd | None, user: str) -> tuple[I32, U8]:
        """Return what a user took by item numbers of a crowd, and which came at the same time."""
        if crowd is None:
            return np.empty(0, np.int32), np.empty(0, np.uint8)
        items, same = crowd.histories.history(crowd.user(user))
        known = items < crowd.n_items  # others may have added to it meanwhile
        return items[known], same[known]

    def _unanswered(
        self, crowd: Crowd | None, user: str, hidden: Collection[str]
    ) -> dict[int, int]:
        """Return rows of items that were shown to a user in vain, and how many times."""
        counts = Counter(self._events.shown(user, N_SHOWN))
        ids = [item_id for item_id in counts if item_id not in hidden]
        if not ids or crowd is None:
            return {}
        answered = crowd.histories.took(crowd.user(user), crowd.numbers(ids)).tolist()
        numbers = zip(ids, self.catalog.idxs(ids).tolist(), answered, strict=True)
        return {row: counts[i] for i, row, was in numbers if row >= 0 and not was}

    def _put_items(self, question: Question, history: Sequence[str], *, include_seen: bool) -> None:
        """Give the question items of nobody in particular as its past."""
        ids = list(history)[-N_TAKEN:]
        rows = self.catalog.idxs(ids)
        rows = rows[(rows >= 0) & (rows < len(question.mask))]
        if not include_seen:
            question.mask[rows] = 0
        newest = _newest(rows)
        question.history = self._past(newest, [1.0] * len(newest))
        if question.crowd is None:
            return
        question.stream = [(item_id, "") for item_id in ids]
        self._put_behavior(question)
        numbers = question.crowd.numbers(ids)
        question.taken = numbers[numbers >= 0]
        question.ages = np.arange(len(numbers) - 1, -1, -1, dtype=np.float32)[numbers >= 0]

    def _past(self, rows: Sequence[int], weights: Sequence[float]) -> list[Past]:
        items = self.catalog.items(rows)
        # A dislike makes no like older: what a user wants fades by what else they want.
        past: list[Past] = []
        age = 0
        for row, weight, item in reversed(list(zip(rows, weights, items, strict=True))):
            past.append(Past(row, weight, item.title, described(item), age))
            age += weight > 0.0
        return past[::-1]

    def _mask(self, index: Index, filters: Sequence[Filter]) -> U8:
        mask: U8 = index.live.copy()
        if filters:
            # Rows added by another process since `follow` are not in this state yet.
            mask[self.catalog.mask(filters)[: len(mask)] == 0] = 0
        return mask


def _words_only(text: str, user: str | None, index: Index) -> Need:
    return Need(text, tuple(dict.fromkeys(analyze(text, index.language))))


def ages_of(same: U8) -> F32:
    """Return how many steps of time before the newest each entry of a history was, (n,) float32."""
    steps = np.cumsum(same == 0)
    ages: F32 = (steps[-1] - steps).astype(np.float32) if len(steps) else np.empty(0, np.float32)
    return ages


def disliked(events: Iterable[Event]) -> set[str]:
    """Return the items that a user's last word on was a dislike, given the events in order."""
    last = {e.item_id: e.kind for e in events if e.kind in ("like", "dislike")}
    return {item_id for item_id, kind in last.items() if kind == "dislike"}


def conditions(where: Sequence[str | Filter]) -> list[Filter]:
    """Read conditions such as `price<=300`."""
    return [f if isinstance(f, Filter) else parse_filter(f) for f in where]


def _within(rows: I32, mask: U8) -> I32:
    return rows[(rows >= 0) & (rows < len(mask))]


def _newest(rows: Collection[int] | I32) -> list[int]:
    """Return the newest distinct rows, oldest first."""
    distinct = dict.fromkeys(reversed([int(row) for row in rows]))
    return list(distinct)[:N_PAST][::-1]
