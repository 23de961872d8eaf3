"""A linear model of items: what having one item says about every other.

EASE (Steck, 2019, "Embarrassingly Shallow Autoencoders for Sparse Data") fits B with a diagonal of
zeros such that X B comes close to X, the binary matrix of users and items. There is one solution:

    P = (XᵀX + l2·I)⁻¹        B = I − P · diag(P)⁻¹

B is as large as items times items, so only its largest weights are kept. Where there
are fewer users than items P comes from a system of users instead (Woodbury):

    P = (I − Xᵀ (XXᵀ + l2·I)⁻¹ X) / l2

Everything is float32: with l2 on the diagonal both systems are well conditioned, and at least three
digits of the weights are those of float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

BLOCK = 256
"""Rows of B that are held at once."""
CHUNK = 4_000_000
"""Numbers that a step of a sparse sum may hold beside its result."""
PAIR_COST = 1000
"""How many multiplications of a dense product take as long as counting one pair."""
ADD_COST = 150
"""How many multiplications of a dense product take as long as one number of a sparse sum."""
LEAF = 512
"""A square of this side is inverted by LAPACK, a larger one by its quarters."""


@dataclass(frozen=True)
class LinearConfig:
    """How the model is fitted.

    Attributes:
        l2: weight of the squared size of B; more of it trusts rare items less. 200 stays within
            2% of the best nDCG@10 of each data set that `bench/peers.py` reads.
        max_side: the largest system that is solved, in items or users; memory grows with its
            square (8,000: 410 MB) and time with its cube.
        n_weights: how many weights are kept for each item on average, the largest of all: those of
            rare items are small, and the more of the popular ones stay. Of more than `max_side`
            items, with few users, no more than for so many.
    """

    l2: float = 200.0
    max_side: int = 8000
    n_weights: int = 300


@dataclass(frozen=True)
class LinearModel:
    """B row by row: what having item i says about others.

    Attributes:
        ptr: (n_items + 1,) int64, row i is ptr[i]:ptr[i + 1]; an item without users has no row.
        idx: (n,) int32, the other items, ascending within a row; never i itself.
        weights: (n,) float32, positive where i speaks for the other, negative where against.
    """

    ptr: I64
    idx: I32
    weights: F32


@dataclass(frozen=True)
class _Rows:
    """A binary matrix of n_columns columns by the places of its ones, rows one after the other."""

    ptr: I64
    idx: I32
    n_columns: int

    def __len__(self) -> int:
        return len(self.ptr) - 1

    @classmethod
    def of(cls, row: I64, column: I64, n_columns: int) -> _Rows:
        """Take ones by row, ascending from 0 without a gap, and column."""
        return cls(_ptr(np.bincount(row)), column.astype(np.int32), n_columns)

    def select(self, rows: I64) -> _Rows:
        """Return these rows in this order."""
        lengths = np.diff(self.ptr)[rows]
        ptr = _ptr(lengths)
        at = np.arange(ptr[-1]) + np.repeat(self.ptr[rows] - ptr[:-1], lengths)
        return _Rows(ptr, self.idx[at], self.n_columns)

    def transposed(self) -> _Rows:
        """Return columns as rows."""
        row = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.ptr))
        order = np.argsort(self.idx, kind="stable")
        return _Rows(_ptr(np.bincount(self.idx, minlength=self.n_columns)), row[order], len(self))

    def dense(self) -> F32:
        """Return (n_rows, n_columns) zeros and ones."""
        full = np.zeros((len(self), self.n_columns), np.float32)
        full[np.repeat(np.arange(len(self)), np.diff(self.ptr)), self.idx] = 1.0
        return full


def fit(ptr: I64, items: I32, n_items: int, config: LinearConfig | None = None) -> LinearModel:
    """Fit the model to what users had.

    Where both sides exceed `max_side` only the `max_side` items with the most users take part; the
    others get no row and stand in none. (On Beauty the 8,000 most active of 22,363 users with all
    12,101 items gave 6% less nDCG@10 than all users with the 8,000 items.)

    Args:
        ptr: (n_users + 1,) int64, user u had items[ptr[u]:ptr[u + 1]].
        items: (n,) int32 from 0 to n_items - 1, in any order; what a user had twice counts once.
        n_items: how many items there are.
        config: None for the defaults.

    Raises:
        ValueError: ptr does not end where items end, or an item is not below n_items.
    """
    config = config or LinearConfig()
    counts = np.diff(ptr)
    if ptr[-1] != len(items):
        raise ValueError(f"ptr must end at the {len(items)} items, not at {ptr[-1]}")
    if len(items) and not 0 <= items.min() <= items.max() < n_items:
        raise ValueError(f"items must be from 0 to {n_items - 1}: {items.min()} to {items.max()}")
    key = np.unique(np.repeat(np.arange(len(counts)), counts) * n_items + items)
    user, item = np.divmod(key, max(n_items, 1))
    kept = np.flatnonzero(np.bincount(item, minlength=n_items))
    if min(len(np.unique(user)), len(kept)) > config.max_side:
        most = np.argsort(-np.bincount(item, minlength=n_items), kind="stable")
        kept = np.sort(most[: config.max_side])
    part = np.isin(item, kept)
    by_user = _Rows.of(
        np.unique(user[part], return_inverse=True)[1], np.searchsorted(kept, item[part]), len(kept)
    )
    solve = _through_users if len(by_user) < len(kept) else _through_items
    return _keep_largest(
        solve(by_user, config.l2), kept, n_items, config.n_weights * min(len(kept), config.max_side)
    )


def _through_items(by_user: _Rows, l2: float) -> Iterator[F32]:
    """Yield blocks of columns of B, a column a row, from a system of items."""
    p = _gram(by_user.transposed(), l2)
    invert_in_place(p)
    scale = np.float32(-1.0) / np.diag(p)
    for begin in range(0, len(p), BLOCK):
        yield p[begin : begin + BLOCK] * scale[begin : begin + BLOCK, None]


def _through_users(by_user: _Rows, l2: float) -> Iterator[F32]:
    """Yield the same from a system of users; never holds items times items."""
    by_item = by_user.transposed()
    inverse = _gram(by_user, l2)
    invert_in_place(inverse)
    blocks = [
        by_item.select(np.arange(begin, min(begin + BLOCK, len(by_item))))
        for begin in range(0, len(by_item), BLOCK)
    ]
    for rows in blocks:
        product = _product(rows, inverse)
        # l2 · P where both items are the same.
        diagonal = 1 - np.einsum("iu,iu->i", product, rows.dense())
        half = np.ascontiguousarray(product.T)  # (n_users, n_rows)
        yield _product(by_item, half).T / diagonal[:, None]


def _keep_largest(blocks: Iterator[F32], kept: I64, n_items: int, n: int) -> LinearModel:
    """Keep the n largest magnitudes; kept says which item a row or column is."""
    item = kept.astype(np.int32)
    held = [(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))]
    begin, least = 0, np.float32(0.0)
    for block in blocks:
        rows = np.arange(len(block))
        block[rows, begin + rows] = 0.0
        row, column = np.nonzero(np.abs(block) > least)
        held.append(_largest(item[column], item[begin + row], block[row, column], n))
        begin += len(block)
        # Not after every block: this goes over all that is held.
        if sum(len(values) for _, _, values in held) > 3 * n // 2:
            held = [_joined(held, n)]
            least = np.abs(held[0][2]).min(initial=np.inf)
    source, target, weights = _joined(held, n)
    order = np.lexsort((target, source))
    ptr = _ptr(np.bincount(source, minlength=n_items))
    return LinearModel(ptr, target[order], weights[order])


def _joined(held: list[tuple[I32, I32, F32]], n: int) -> tuple[I32, I32, F32]:
    source, target, weights = (np.concatenate(part) for part in zip(*held, strict=True))
    return _largest(source, target, weights, n)


def _largest(source: I32, target: I32, weights: F32, n: int) -> tuple[I32, I32, F32]:
    """Return the n of these weights that are largest in magnitude, with their items."""
    if len(weights) <= n:
        return source, target, weights
    at = np.argpartition(np.abs(weights), -n)[-n:]
    return source[at], target[at], weights[at]


def _gram(rows: _Rows, l2: float) -> F32:
    """Return M Mᵀ + l2·I, (n_rows, n_rows)."""
    n = len(rows)
    columns = rows.transposed()
    per_column = np.diff(columns.ptr)
    gram = np.zeros((n, n), np.float32)
    if float(np.square(per_column, dtype=np.float64).sum()) > len(columns) * n * n / PAIR_COST:
        for first in range(0, len(columns), 4 * BLOCK):
            some = columns.select(np.arange(first, min(first + 4 * BLOCK, len(columns)))).dense()
            for begin in range(0, n, 4 * BLOCK):
                part = slice(begin, begin + 4 * BLOCK)
                gram[part] += some[:, part].T @ some
    else:
        pairs = _ptr(per_column[rows.idx])[rows.ptr]
        for begin, end in _cuts(pairs, most=CHUNK, most_rows=BLOCK):
            mine = rows.select(np.arange(begin, end))
            met = columns.select(mine.idx.astype(np.int64))
            row = np.repeat(np.arange(end - begin), np.diff(pairs[begin : end + 1]))
            counts = np.bincount(row * n + met.idx, minlength=(end - begin) * n)
            gram[begin:end] = counts.reshape(-1, n)
    gram[np.arange(n), np.arange(n)] += np.float32(l2)
    return gram


def invert_in_place(a: F32) -> None:
    """Invert a symmetric positive definite matrix where it stands.

    Through its Cholesky factor, A⁻¹ = L⁻ᵀ L⁻¹, by quarters, so that all but the smallest squares
    is matrix products: 5/3·n³ operations and n²/2 numbers beside a itself. `np.linalg.inv` takes
    three times the time and four more squares. Inverting quarters without the factor (Schur
    complements of explicit inverses) is a little faster and, in float32, wrong: on MovieLens with
    l2 = 20 no digit was left.

    Args:
        a: (n, n) float32, overwritten by its inverse.
    """
    _invert_factor(a)
    _multiply_factor(a)


def _invert_factor(a: F32) -> None:
    """Overwrite a with L⁻¹ of a = L Lᵀ, zeros above the diagonal."""
    if len(a) <= LEAF:
        a[...] = np.tril(np.linalg.inv(np.linalg.cholesky(a.astype(np.float64))))
        return
    half = len(a) // 2
    first, low, last = a[:half, :half], a[half:, :half], a[half:, half:]
    _invert_factor(first)
    across = low @ first.T
    last -= across @ across.T
    _invert_factor(last)
    np.matmul(last, across @ first, out=low)
    np.negative(low, out=low)
    a[:half, half:] = 0.0


def _multiply_factor(a: F32) -> None:
    """Overwrite a lower triangle W with WᵀW."""
    if len(a) <= LEAF:
        a[...] = a.T @ a
        return
    half = len(a) // 2
    first, low, last = a[:half, :half], a[half:, :half], a[half:, half:]
    square = low.T @ low
    np.matmul(last.T, low, out=low)
    _multiply_factor(first)
    first += square
    _multiply_factor(last)
    a[:half, half:] = low.T


def _product(rows: _Rows, dense: F32) -> F32:
    """Return M times dense, (n_rows, dense.shape[1]); no row may be empty."""
    out = np.empty((len(rows), dense.shape[1]), np.float32)
    for begin, end in _cuts(rows.ptr, most=max(1, CHUNK // dense.shape[1]), most_rows=len(rows)):
        some = rows.select(np.arange(begin, end))
        if len(some.idx) > (end - begin) * len(dense) / ADD_COST:
            out[begin:end] = some.dense() @ dense
        else:
            out[begin:end] = np.add.reduceat(dense[some.idx], some.ptr[:-1], axis=0)
    return out


def _cuts(ptr: I64, most: int, most_rows: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that hold at most so many numbers, or one row."""
    begin = 0
    while begin < len(ptr) - 1:
        end = int(np.searchsorted(ptr, ptr[begin] + most, side="right")) - 1
        end = min(max(end, begin + 1), begin + most_rows, len(ptr) - 1)
        yield begin, end
        begin = end


def _ptr(lengths: I64) -> I64:
    ptr = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ptr[1:])
    return ptr
