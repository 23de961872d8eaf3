"""The Gaussian parts of an opinion model: sums over ratings, and what is solved from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Ints = npt.NDArray[np.integer]

NOISE_FLOOR = 1e-3
"""Least variance of the noise, for values that are all equal."""
CHUNK = 1 << 16
"""How many ratings a sum looks up at once."""
GUESS_WEIGHT = 4.0
"""For how many users or items the first variances stand later: it matters where there are few."""
NOISE_WEIGHT = HABIT_WEIGHT = 20.0
"""For how many ratings the noise, and the opinions, of all stand in a user's own."""
LONG_ROW = 8
"""From this mean length rows are summed one by one: reduceat is slow, but not as slow as Python."""
BIAS_OF_USER, BIAS_OF_ITEM = 0, 1
"""Columns of a loading: a user's holds his bias and 1, an item's 1 and its bias; then factors."""


class Parts(NamedTuple):
    """Biases and factors of n users or items, Gaussian: mean (n, d + 1), cov (n, d + 1, d + 1)."""

    mean: F32
    cov: F32


class Sums(NamedTuple):
    """Sums over the ratings of each of n users or items; of the other side's moments and loadings.

    moment (n, D (D + 1) / 2), loading * opinion (n, D), opinion ** 2 (n,), number of ratings (n,).
    """

    moment: F32
    loading: F32
    square: F32
    number: F32

    def normal(self, known: int) -> tuple[F32, F32]:
        """Normal equations of the parts, their column `known` (the other's bias) being given."""
        width = self.loading.shape[1]
        moment, own = symmetric(self.moment, width), np.delete(np.arange(width), known)
        return moment[:, own[:, None], own], self.loading[:, own] - moment[:, own, known]


class Sparse:
    """A sparse matrix that multiplies dense ones from the left; without weights, one of ones."""

    def __init__(self, row: Ints, column: Ints, n_rows: int, weight: F32 | None = None) -> None:
        order = np.argsort(row, kind="stable")
        self._ptr = np.append(0, np.cumsum(np.bincount(row, minlength=n_rows)))
        self._column = column[order]
        self._weight = None if weight is None else weight[order, None].astype(np.float32)

    def __matmul__(self, x: F32) -> F32:
        out = np.empty((len(self._ptr) - 1, x.shape[1]), np.float32)
        start = 0
        while start < len(out):
            stop = int(np.searchsorted(self._ptr, self._ptr[start] + CHUNK, "right")) - 1
            stop = max(stop, start + 1)
            ptr = self._ptr[start : stop + 1]
            lines = x[self._column[ptr[0] : ptr[-1]]]
            if self._weight is not None:
                lines *= self._weight[ptr[0] : ptr[-1]]
            out[start:stop] = row_sums(lines, ptr - ptr[0])
            start = stop
        return out


def solve(sums: Sums, prior: F32, precision: F32, known: int, noise: F32) -> Parts:
    """The parts of n rows around their prior; the noise (n,) is the variance of their opinions."""
    products, target = sums.normal(known)
    cov = np.linalg.inv(products / noise[:, None, None] + precision)
    return Parts(np.einsum("nij,nj->ni", cov, target / noise[:, None] + prior @ precision), cov)


def solve_users(sums: Sums, prior: F32, precision: F32, shared: float) -> tuple[Parts, F32, float]:
    """The parts of users, the variance of each one's noise (n,), and that of all together."""
    products, target = sums.normal(BIAS_OF_ITEM)
    noise = np.full(len(sums.number), shared, np.float32)
    biases = symmetric(sums.moment, sums.loading.shape[1])[:, BIAS_OF_ITEM, BIAS_OF_ITEM]
    square = sums.square - 2 * sums.loading[:, BIAS_OF_ITEM] + biases
    for _ in range(2):  # The noise depends on the parts and they on it, but little.
        parts = solve(sums, prior, precision, BIAS_OF_ITEM, noise)
        second = parts.mean[:, :, None] * parts.mean[:, None] + parts.cov
        misfit = square - 2 * (parts.mean * target).sum(1) + (second * products).sum((1, 2))
        noise = (NOISE_WEIGHT * shared + misfit) / (NOISE_WEIGHT + sums.number)
        noise = np.maximum(noise, NOISE_FLOOR).astype(np.float32)
    return parts, noise, max(float(misfit.sum() / max(sums.number.sum(), 1)), NOISE_FLOOR)


def loadings(parts: Parts, one: int, weight: F32) -> tuple[F32, F32]:
    """Loadings (n, D), of which column `one` is 1, and moments; both times the weight (n,)."""
    loading, cov = np.insert(parts.mean, one, 1, axis=1), parts.cov
    cov = np.insert(np.insert(cov, one, 0, axis=1), one, 0, axis=2)
    i, j = np.triu_indices(loading.shape[1])
    moment = loading[:, i] * loading[:, j] + cov[:, i, j]
    return loading * weight[:, None], moment * weight[:, None]


def symmetric(packed: F32, width: int) -> F32:
    """Symmetric matrices (n, width, width) from their upper triangles."""
    at, (i, j) = np.zeros((width, width), np.int64), np.triu_indices(width)
    at[i, j] = at[j, i] = np.arange(len(i))
    return packed[:, at]


def precision_around(parts: Parts, prior: F32, use: npt.NDArray[np.bool_], guess: F32) -> F32:
    """The precision (d + 1, d + 1) of the parts in use around their prior."""
    off = (parts.mean - prior)[use]
    spread = off.T @ off + parts.cov[use].sum(axis=0) + GUESS_WEIGHT * guess
    return np.linalg.inv(spread / (len(off) + GUESS_WEIGHT)).astype(np.float32)


def row_sums(x: F32, ptr: I64) -> F32:
    """Sum the lines of x that each row spans; 0 for a row of none."""
    out = np.zeros((len(ptr) - 1, x.shape[1]), np.float32)
    some = np.flatnonzero(np.diff(ptr))
    if len(x) > LONG_ROW * len(some):
        one = np.ones(int(np.diff(ptr).max(initial=0)), np.float32)
        for row in some:
            np.matmul(one[: ptr[row + 1] - ptr[row]], x[ptr[row] : ptr[row + 1]], out=out[row])
    elif len(some):  # Of a row of none reduceat would take the next one's first line.
        out[some] = np.add.reduceat(x, ptr[some], axis=0)
    return out
