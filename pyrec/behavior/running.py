"""A trained behavior model beside a catalog that goes on: which item a history is followed by.

Items that came after training get a row from their words and vectors, appended and never rewritten.
`questions.py` holds one and gives it to the signal `behavior`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pyrec.behavior.content import content_of, read_terms
from pyrec.behavior.model import BehaviorModel
from pyrec.behavior.state import BehaviorState
from pyrec.behavior.streams import window_start
from pyrec.catalog import Catalog
from pyrec.index import Index
from pyrec.types import Event
from pyrec.vectors import quantize

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

Stream = Sequence[tuple[str, str]]
"""What somebody took, oldest first: item ids, and how as `action_of` names it; "" for the usual."""


def action_of(kind: str, value: float | None) -> str:
    """Name an action: the kind of an event, a rating with its value."""
    return kind if value is None or kind != "rating" else f"rating {value:g}"


def stream_of(events: Sequence[Event]) -> Stream:
    """Return events as a stream."""
    return [(event.item_id, action_of(event.kind, event.value)) for event in events]


class Behavior:
    """Answers which item follows, for the rows of a catalog.

    Attributes:
        state: what training left.
        reached: the newest event that it was trained on.

    Args:
        state: what training left.
        catalog: the items.
        embedding: the embedding model whose vectors the catalog's index holds; empty for none.
    """

    def __init__(self, state: BehaviorState, catalog: Catalog, embedding: str) -> None:
        self.state = state
        self.reached = state.reached
        self._catalog = catalog
        self._uses_vectors = embedding == state.embedding
        length = state.config.length * (2 if state.has_actions else 1)
        # After the rows that were trained comes one of zeros, for what the model knows nothing of.
        self._unknown = len(state.rows)
        rows = np.concatenate([state.rows, np.zeros_like(state.rows[:1])])
        bias = np.append(state.bias, np.float32(-np.inf))
        self.model = BehaviorModel(state.body, rows, bias, state.config.temperature, length + 1)
        self._lock = self.model.lock  # one for both: lists by beam hold it and look up tokens
        self._token_of_id = {item_id: token for token, item_id in enumerate(state.item_ids)}
        first = len(state.item_ids)
        self._token_of_action = {name: first + n for n, name in enumerate(state.actions)}
        self._version = -1
        self._tokens = np.empty(0, np.int32)

    def close(self) -> None:
        """Free the model."""
        self.model.close()

    def __del__(self) -> None:
        if hasattr(self, "model"):
            self.model.close()

    def tokens(self, index: Index) -> I32:
        """Return the token of each row of the catalog, (n_items,) int32, -1 where it has none."""
        with self._lock:
            if index.version > self._version or len(self._tokens) < index.n_items:
                self._follow(index)
            return self._tokens[: index.n_items]

    def _follow(self, index: Index) -> None:
        ids = list(self._token_of_id)
        rows = self._catalog.idxs(ids).astype(np.int64)
        tokens = np.full(index.n_items, -1, np.int32)
        inside = (rows >= 0) & (rows < index.n_items)
        tokens[rows[inside]] = np.fromiter(self._token_of_id.values(), np.int32, len(ids))[inside]
        fresh = np.flatnonzero((tokens < 0) & (index.live != 0)).astype(np.int32)
        if len(fresh):
            table = self.state.table
            terms = read_terms(self._catalog, index.n_items, self._version)
            center = table.center if self._uses_vectors else table.center[:0]
            content = content_of(terms, index, fresh, table.words, center)
            known = fresh[content.described]
            vectors = table.rows_of(content)[content.described]
            added = np.arange(self.model.n_vocab, self.model.n_vocab + len(known), dtype=np.int32)
            self.model.extend(quantize(vectors)[0], np.full(len(known), table.bias, np.float32))
            tokens[known] = added
            items = self._catalog.items(known)
            self._token_of_id |= {i.item_id: int(t) for i, t in zip(items, added, strict=True)}
        self._tokens, self._version = tokens, index.version

    def encode(self, stream: Stream) -> list[int]:
        """Return the part of a history that the model reads, as tokens; unknown items fall out."""
        known = [(self._token_of_id[i], action) for i, action in stream if i in self._token_of_id]
        known = known[window_start(len(known), self.state.config.length) :]
        if not self.state.has_actions:
            return [token for token, _ in known]
        return [token for item, action in known for token in (item, self._action(action))]

    def _action(self, name: str) -> int:
        found = self._token_of_action.get(name)
        if found is None:
            found = _nearest(name, self._token_of_action)
            self._token_of_action[name] = found
        return found

    def logits(self, stream: Stream, index: Index) -> F32 | None:
        """Say how likely each item follows a history.

        Args:
            stream: the history.
            index: the catalog's arrays.

        Returns:
            (n_items,) float32 logits, NaN for items of which the model knows nothing; None where
            it knows nothing of the history.
        """
        tokens = self.tokens(index)
        history = self.encode(stream)
        if not history:
            return None
        return by_row(self.model.read(history), tokens)

    def begin(self, stream: Stream) -> int | None:
        """Read a history that `grow` shall continue; hold `model.lock` from here to its last call.

        Returns:
            What to give `grow` as parent of its first items; None where the history is unknown.
        """
        history = self.encode(stream)
        if not history:
            return None
        slot = self.model.slot(history)
        self.model.prompt(np.array(history, np.int32), slot)
        return slot

    def grow(self, parents: Sequence[int], rows: I32, index: Index) -> list[F32]:
        """Continue what was read by an item each.

        Args:
            parents: what `begin` gave, or which of the last call's results each continues.
            rows: (n,) int32, a row of the catalog for each.
            index: the catalog's arrays.

        Returns:
            For each (n_items,) float32 logits of what follows.
        """
        tokens = self.tokens(index)
        each = 2 if self.state.has_actions else 1
        usual = [len(self.state.item_ids)] * (each - 1)
        known = np.where(tokens[rows] >= 0, tokens[rows], self._unknown)
        told = [[token, *usual] for token in known.tolist()]
        logits = self.model.grow(parents, told)[each - 1 :: each]
        return [by_row(row, tokens) for row in logits]

    def nearest(self, item_idx: int, others: I32, index: Index) -> int:
        """Return the place in `others` of the row that stands nearest to a row; -1 for none."""
        tokens = self.tokens(index)
        known = np.flatnonzero(tokens[others] >= 0)
        if tokens[item_idx] < 0 or not len(known):
            return -1
        near = self.model.nearness(int(tokens[item_idx]), tokens[others[known]].tolist())
        return int(known[np.argmax(near)])


def by_row(logits: F32, tokens: I32) -> F32:
    """Return logits of tokens in the order of the catalog, NaN where a row has no token."""
    found: F32 = logits[np.maximum(tokens, 0)]
    found[tokens < 0] = np.nan
    return found


def _nearest(name: str, known: Mapping[str, int]) -> int:
    """Return the token of a rating's nearest known value; of anything else, the usual action."""
    usual = min(known.values())
    kind, _, value = name.partition(" ")
    ratings = {float(n.split(" ")[1]): token for n, token in known.items() if " " in n}
    if kind != "rating" or not value or not ratings:
        return usual
    return ratings[min(ratings, key=lambda other: abs(other - float(value)))]
