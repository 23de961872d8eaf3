"""What is known of an item before anybody took it: its words, and its vector.

Words are the hashed terms that text search knows of an item, title, attributes and text, weighed as
there; vectors those of the embedding model. A `ContentTable` turns them into a row of the behavior
model, for items that came after training too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec.catalog import Catalog
from pyrec.index import Index

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]

MIN_ITEMS = 2
"""A word that fewer items have says nothing of others."""


@dataclass(frozen=True)
class Content:
    """Words and vectors of some items, row by row.

    Attributes:
        ptr: (n + 1,) int64.
        word: (n_words_in_all,) int32, rows of the vocabulary, those it does not know left out.
        weight: (n_words_in_all,) float32, each item's of length 1.
        vectors: (n, dim) float32, of length 1 or 0; dim 0 where the model knows none.
    """

    ptr: I64
    word: I32
    weight: F32
    vectors: F32

    @property
    def described(self) -> npt.NDArray[np.bool_]:
        """Tell of which items anything is known, (n,) bool."""
        some: npt.NDArray[np.bool_] = (np.diff(self.ptr) > 0) | np.any(self.vectors != 0.0, axis=1)
        return some


@dataclass(frozen=True)
class Terms:
    """The terms of rows of a catalog.

    Attributes:
        rows: (n,) int32, ascending, which rows were read.
        ptr: (n_items + 1,) int64, of all rows of the catalog; the others are empty.
        term: (n_terms_in_all,) uint32 hashes.
        weight: (n_terms_in_all,) float32.
    """

    rows: I32
    ptr: I64
    term: U32
    weight: F32


def read_terms(catalog: Catalog, n_items: int, since: int = -1) -> Terms:
    """Read the terms of the rows that changed after a version; the others stay empty."""
    counts = np.zeros(n_items, np.int64)
    parts: dict[int, tuple[U32, F32]] = {}
    for rows in catalog.changes(since):
        for n, row in enumerate(rows.item_idx.tolist()):
            if row < n_items:
                part = slice(rows.ptr[n], rows.ptr[n + 1])
                weights = rows.weights[part] & ~np.uint8(1)  # where a term stands does not count
                parts[row] = (rows.terms[part], weights.astype(np.float32))
                counts[row] = part.stop - part.start
    ordered = [parts[row] for row in sorted(parts)]
    term = np.concatenate([np.empty(0, np.uint32), *(t for t, _ in ordered)])
    weight = np.concatenate([np.empty(0, np.float32), *(w for _, w in ordered)])
    ptr = np.concatenate([[0], np.cumsum(counts)])
    return Terms(np.array(sorted(parts), np.int32), ptr, term, weight)


def choose_words(terms: Terms, rows: I32, most: int) -> U32:
    """Return the terms that most of these rows have, ascending, at most so many."""
    have = np.zeros(len(terms.ptr) - 1, bool)
    have[rows] = True
    term, count = np.unique(terms.term[np.repeat(have, np.diff(terms.ptr))], return_counts=True)
    order = np.lexsort((term, -count))
    return np.sort(term[order[count[order] >= MIN_ITEMS][:most]])


def content_of(terms: Terms, index: Index, rows: I32, words: U32, center: F32) -> Content:
    """Return the content of rows of the catalog.

    Args:
        terms: of all rows.
        index: the catalog's arrays, for the vectors.
        rows: (n,) int32; -1 for an item that the catalog does not hold, of which nothing is known.
        words: the vocabulary, ascending.
        center: (dim,) float32, what all vectors share; dim 0 to leave vectors out.
    """
    ptr, word, weight = [0], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for row in rows.tolist():
        if row >= 0:
            part = slice(terms.ptr[row], terms.ptr[row + 1])
            term = terms.term[part]
            place = np.searchsorted(words, term)
            known = place < len(words)
            known[known] = words[place[known]] == term[known]
            value = np.sqrt(terms.weight[part][known])
            word.append(place[known].astype(np.int32))
            weight.append(value / np.float32(max(float(np.linalg.norm(value)), 1e-6)))
        ptr.append(ptr[-1] + (len(word[-1]) if row >= 0 else 0))
    vectors = vectors_of(index, rows, center)
    return Content(np.array(ptr, np.int64), np.concatenate(word), np.concatenate(weight), vectors)


def center_of(index: Index) -> F32:
    """Return the mean vector of the catalog, (dim,) float32; dim 0 where there are no vectors."""
    have = np.flatnonzero(index.has_vector)
    if not len(have):
        return np.empty(0, np.float32)
    center: F32 = index.vectors_of(have.tolist()).mean(axis=0)
    return center


def vectors_of(index: Index, rows: I32, center: F32) -> F32:
    """Return vectors less the center, of length 1, zeros where there is none, (n, dim) float32."""
    vectors = np.zeros((len(rows), len(center)), np.float32)
    if index.matrix.shape[1] == len(center) > 0:
        have = np.flatnonzero((rows >= 0) & (index.has_vector[rows] != 0))
        vectors[have] = index.vectors_of(rows[have].tolist()) - center
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: F32 = vectors / np.maximum(lengths, np.float32(1e-6))
    return unit


@dataclass(frozen=True)
class ContentTable:
    """What training found words and vectors to say of an item's row.

    Attributes:
        words: (n_words,) uint32, hashes of terms, ascending.
        rows: (n_words, width) float32, a row for each of them.
        center: (dim,) float32.
        projection: (dim, width) float32.
        bias: of an item that nobody took yet.
    """

    words: U32
    rows: F32
    center: F32
    projection: F32
    bias: float

    def rows_of(self, content: Content) -> F32:
        """Return (n, width) float32, zeros where nothing is known."""
        n = len(content.ptr) - 1
        rows = np.zeros((n, self.width), np.float32)
        if content.vectors.shape[1]:
            rows += content.vectors @ self.projection
        item = np.repeat(np.arange(n), np.diff(content.ptr))
        np.add.at(rows, item, self.rows[content.word] * content.weight[:, None])
        return rows

    @property
    def width(self) -> int:
        """Return the width of a row."""
        return int(self.rows.shape[1])
