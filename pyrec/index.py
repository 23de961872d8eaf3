"""The catalog's arrays as signals read them: one consistent, immutable state per catalog version.

Derived from the store and deletable at any time. A change of the catalog makes the next state
from the last one and the changed rows alone; readers of the old state are not disturbed.
`recommender.py` keeps the current one and refreshes it before each question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.catalog import Catalog
from pyrec.vectors import NOTHING, VectorRows, Vectors

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Index:
    """One state of the catalog in arrays; n_items counts rows, removed ones included.

    Attributes:
        version: the catalog's version that this is.
        vectors_version: which state of the vectors this is.
        states_version: by whom and in which wording, and which state of that reading this is.
        language: what the catalog is analyzed as, a code of `text.LANGUAGES`.
        text: the inverted index of all searchable words.
        live: (n_items,) uint8, 0 for removed items.
        popularity: (n_items,) float32 ≥ 0, the catalog's own, NaN where it says none.
        matrix: (n_items, dim) int8 and `scales` (n_items,) float32: vectors; dim 0 without any.
        has_vector: (n_items,) uint8.
        states: what the text model read of items (`state_reader.py`), rows of its width and one.
    """

    version: int
    vectors_version: int
    states_version: tuple[str, int]
    language: str
    text: _core.InvertedIndex
    live: U8
    popularity: F32
    matrix: npt.NDArray[np.int8]
    scales: F32
    has_vector: U8
    states: VectorRows

    @property
    def n_items(self) -> int:
        """Count the rows, removed ones included."""
        return len(self.live)

    @cached_property
    def n_live(self) -> int:
        """Count the items that are not removed."""
        return int(self.live.sum())

    @cached_property
    def norms(self) -> F32:
        """Return the lengths of the items' TF-IDF vectors, (n_items,) float32."""
        return self.text.norms()

    @cached_property
    def title_lengths(self) -> F32:
        """Return the sum of the idf of each title's terms, (n_items,) float32."""
        return self.text.title_lengths()

    @cached_property
    def usual_cosine(self) -> float:
        """Return the mean cosine of two items, from a sample; below 1."""
        rows = np.flatnonzero(self.has_vector)
        some = self.vectors_of(rows[:: max(len(rows) // 200, 1)].tolist())
        return min(float((some @ some.T).mean()), 0.99) if len(some) > 1 else 0.0

    def cosines(self, query: F32) -> F32:
        """Return the cosine of a unit vector and each item's, (n_items,) float32; 0 without."""
        return _core.inner_int8(self.matrix, self.scales, np.ascontiguousarray(query), None)

    def states_by(self, output: F32) -> F32:
        """Multiply what the text model read of items with what a word comes out by.

        Args:
            output: (width + 1,) float32; the last number stands for the total.

        Returns:
            (n_items,) float32, NaN for what was not read.
        """
        found = np.full(self.n_items, np.nan, np.float32)
        read = self.states
        if read.rows.shape[1] == len(output):
            # The kernel takes the query as int8, whose steps the last number would make too large.
            of_state = output.copy()
            of_state[-1] = 0.0
            values = _core.inner_int8(read.rows, read.scales, of_state, None)
            values += read.rows[:, -1] * read.scales * output[-1]
            inside = read.item_idx < self.n_items
            found[read.item_idx[inside]] = values[inside]
        return found

    def vectors_of(self, item_idx: Sequence[int]) -> F32:
        """Return (n, dim) float32 vectors of items."""
        rows = np.asarray(item_idx, np.int64)
        vectors: F32 = self.matrix[rows].astype(np.float32) * self.scales[rows, None]
        return vectors


def follow(
    last: Index | None, catalog: Catalog, vectors: Vectors | None, states: Vectors | None = None
) -> Index:
    """Return the state of the catalog now: `last` itself where nothing changed since.

    Args:
        last: an earlier state of the same catalog, None for none.
        catalog: what to follow.
        vectors: those of the embedding model in use, None without one.
        states: what the text model in use read, None without one.
    """
    version = catalog.version
    vectors_version = vectors.version if vectors else 0
    states_version = (states.model, states.version) if states else ("", 0)
    versions = (version, vectors_version, states_version)
    if last is not None and versions == (last.version, last.vectors_version, last.states_version):
        return last
    if last is not None and last.version == version:
        text, live, popularity = last.text, last.live, last.popularity
    else:
        text = last.text if last is not None else _core.InvertedIndex()
        for rows in catalog.changes(last.version if last is not None else -1):
            # Others may add items while this reads: the size is asked after the rows, and what
            # came later still is cut off below. The next call sees a newer version and reads it.
            n_items = catalog.n_items
            text = text.updated(rows.item_idx, rows.ptr, rows.terms, rows.weights, n_items)
        live = np.ascontiguousarray(catalog.live()[: text.n_items])
        numbers = catalog.numbers("popularity")[: text.n_items]
        popularity = numbers.astype(np.float32)
    if last is not None and (last.version, last.vectors_version) == versions[:2]:
        matrix, scales, has_vector = last.matrix, last.scales, last.has_vector
    else:
        matrix, scales, has_vector = _vectors(vectors, len(live))
    if last is not None and last.states_version == states_version:
        read = last.states
    else:
        read = states.load() if states else NOTHING
    return Index(
        version,
        vectors_version,
        states_version,
        catalog.language,
        text,
        live,
        popularity,
        matrix,
        scales,
        has_vector,
        read,
    )


def _vectors(vectors: Vectors | None, n_items: int) -> tuple[npt.NDArray[np.int8], F32, U8]:
    has_vector = np.zeros(n_items, np.uint8)
    scales = np.zeros(n_items, np.float32)
    if vectors is None:
        return np.zeros((n_items, 0), np.int8), scales, has_vector
    stored = vectors.load()
    matrix = np.zeros((n_items, stored.rows.shape[1]), np.int8)
    inside = stored.item_idx < n_items
    idx = stored.item_idx[inside]
    matrix[idx], scales[idx], has_vector[idx] = stored.rows[inside], stored.scales[inside], 1
    return matrix, scales, has_vector
