"""A trained behavior model beside a catalog that goes on: which item a history is followed by.

Items that came after training get a row from their words and vectors, appended and never rewritten.
`questions.py` holds one and gives it to the signal `behavior`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyrec.behavior.content import content_of, read_terms
from pyrec.behavior.model import BehaviorModel
from pyrec.behavior.state import BehaviorState
from pyrec.behavior.streams import action_of, nearest_action, window_start
from pyrec.catalog import Catalog
from pyrec.index import Index
from pyrec.types import Event
from pyrec.vectors import quantize

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

Stream = Sequence[tuple[str, str]]
"""What somebody took, oldest first: item ids, and how as `action_of` names it; "" for the usual."""


def stream_of(events: Sequence[Event]) -> Stream:
    """Return events as a stream."""
    return [(event.item_id, action_of(event.kind, event.value)) for event in events]


class Behavior:
    """Answers which item follows, for the rows of a catalog.

    Attributes:
        state: what training left.

    Args:
        state: what training left.
        catalog: the items.
        embedding: the embedding model whose vectors the catalog's index holds; empty for none.
    """

    def __init__(self, state: BehaviorState, catalog: Catalog, embedding: str) -> None:
        self.state = state
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
        self._action_of: dict[str, int] = {}
        self._versions = (-1, -1)
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
            wanted, reached = (index.version, index.vectors_version), self._versions
            if wanted != reached and all(a >= b for a, b in zip(wanted, reached, strict=True)):
                self._follow(index)
            return self._tokens[: index.n_items]

    def _follow(self, index: Index) -> None:
        since, vectors_version = self._versions
        tokens = np.full(max(index.n_items, len(self._tokens)), -1, np.int32)
        tokens[: len(self._tokens)] = self._tokens
        if since < 0:
            rows = self._catalog.idxs(self.state.item_ids)
            inside = (rows >= 0) & (rows < index.n_items)
            tokens[rows[inside]] = np.flatnonzero(inside)
        if self._uses_vectors and vectors_version not in (-1, index.vectors_version):
            # Vectors came: rows that were made from content are made again.
            self.model.cut(self._unknown + 1)
            tokens[tokens > self._unknown] = -1
            kept = {i: t for i, t in self._token_of_id.items() if t < self._unknown}
            self._token_of_id = kept
            since = -1
        if (tokens[: index.n_items][index.live != 0] < 0).any():
            self._add(index, tokens, since)
        self._tokens, self._versions = tokens, (index.version, index.vectors_version)

    def _add(self, index: Index, tokens: I32, since: int) -> None:
        """Give rows of the catalog that changed and have no token one, where anything is known."""
        terms = read_terms(self._catalog, index.n_items, since)
        fresh = terms.rows[(tokens[terms.rows] < 0) & (index.live[terms.rows] != 0)]
        # Another process may have removed some meanwhile.
        ids = self._catalog.ids(fresh)
        fresh = fresh[[row in ids for row in fresh.tolist()]]
        held = [self._token_of_id.get(ids[row], -1) for row in fresh.tolist()]
        known = np.array(held, np.int32)
        back = (known >= 0) & (known < self._unknown)  # removed once, and here again
        tokens[fresh[back]] = known[back]
        fresh = fresh[~back]
        center = self.state.table.center[: None if self._uses_vectors else 0]
        content = content_of(terms, index, fresh, self.state.table.words, center)
        fresh = fresh[content.described]
        vectors = self.state.table.rows_of(content)[content.described]
        first = self.model.n_vocab
        self.model.extend(
            quantize(vectors)[0], np.full(len(fresh), self.state.table.bias, np.float32)
        )
        tokens[fresh] = np.arange(first, first + len(fresh), dtype=np.int32)
        self._token_of_id |= {ids[row]: int(tokens[row]) for row in fresh.tolist()}

    def encode(self, stream: Stream) -> list[int]:
        """Return the part of a history that the model reads, as tokens; unknown items fall out."""
        known = [(self._token_of_id[i], action) for i, action in stream if i in self._token_of_id]
        known = known[window_start(len(known), self.state.config.length) :]
        if not self.state.has_actions:
            return [token for token, _ in known]
        return [token for item, action in known for token in (item, self._action(action))]

    def _action(self, name: str) -> int:
        if name not in self._action_of:
            self._action_of[name] = nearest_action(name, self.state.actions)
        return len(self.state.item_ids) + self._action_of[name]

    def logits(self, stream: Stream, index: Index) -> F32 | None:
        """Say how likely each item follows a history.

        Args:
            stream: the history.
            index: the catalog's arrays.

        Returns:
            (n_items,) float32 logits, NaN for items of which the model knows nothing; None where
            it knows nothing of the history.
        """
        with self._lock:
            tokens = self.tokens(index)
            history = self.encode(stream)
            return by_row(self.model.read(history), tokens) if history else None

    def begin(self, stream: Stream, index: Index) -> int | None:
        """Read a history that `grow` shall continue; hold `model.lock` from here to its last call.

        Returns:
            What to give `grow` as parent of its first items; None where the history is unknown.
        """
        self.tokens(index)
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
        with self._lock:
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
