"""How far chance could move a mean over questions, and a difference between two systems.

Percentile bootstrap after Efron and Tibshirani (1993): the questions are drawn again with
replacement, and the bounds are quantiles of the means. Every question weighs the same. The
evaluation and the benchmarks call these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

_CELLS = 4_000_000  # of one block of draws: many questions must not fill the memory


class Interval(NamedTuple):
    """A mean, or a mean difference, and its bounds; above zero means `low > 0`."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: npt.ArrayLike, rng: np.random.Generator, n: int = 2000, level: float = 0.95
) -> Interval:
    """Return the mean over questions and how far chance could move it.

    Args:
        values: (n_questions,) a measure; NaN where it is not defined, which is left out.
        rng: the source of randomness; the same state gives the same interval.
        n: how many times to draw.
        level: the share of draws inside the interval, between 0 and 1.

    Raises:
        ValueError: there are no questions, or n or level is out of range.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or len(column) == 0:
        raise ValueError(f"values {column.shape} must be (n_questions,) and not empty")
    return intervals(column[:, None], rng, n, level)[0]


def paired_bootstrap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    rng: np.random.Generator,
    n: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the mean of a − b over questions and how far chance could move it.

    The same questions answered by two systems are drawn together. Questions where either is NaN
    are left out.

    Args:
        a: (n_questions,) the measure of one system.
        b: (n_questions,) that of the other, in the same order.
        rng: the source of randomness; the same state gives the same interval.
        n: how many times to draw.
        level: the share of draws inside the interval, between 0 and 1.

    Raises:
        ValueError: there are no questions, the lengths differ, or n or level is out of range.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ValueError(
            f"a {first.shape} and b {second.shape} must be (n_questions,) alike and not empty"
        )
    return bootstrap(first - second, rng, n, level)


def intervals(
    columns: npt.ArrayLike, rng: np.random.Generator, n: int = 2000, level: float = 0.95
) -> list[Interval]:
    """Return one interval a column, all from the same draws: the price of one for many.

    The bounds are the (1 − level)/2 and (1 + level)/2 quantiles of the n means. A draw that holds
    only NaN of a column says nothing of it; a column of NaN alone has NaN for mean and bounds.

    Args:
        columns: (n_questions, n_columns) measures; NaN where one is not defined.
        rng: the source of randomness; the same state gives the same intervals.
        n: how many times to draw.
        level: the share of draws inside the interval, between 0 and 1.

    Raises:
        ValueError: there are no questions, or n or level is out of range.
    """
    values = np.asarray(columns, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(f"columns {values.shape} must be (n_questions, n_columns) and not empty")
    if n < 1 or not 0 < level < 1:
        raise ValueError(f"draw n {n} times with level {level}: n from 1, level between 0 and 1")
    gaps = np.isnan(values)
    has_gaps = gaps.any()
    known = (~gaps if has_gaps else ~gaps[:, :1]).astype(np.float64)  # one column serves all
    if has_gaps:
        values = np.where(gaps, 0.0, values)
    means = np.empty((n, values.shape[1]))
    n_questions = len(values)
    rows = max(1, _CELLS // n_questions)
    for begin in range(0, n, rows):
        n_rows = min(rows, n - begin)
        drawn = rng.integers(n_questions, size=(n_rows, n_questions))
        # How often each question was drawn says it all, and makes a mean a product of matrices.
        drawn += np.arange(n_rows)[:, None] * n_questions
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        weights = times.astype(np.float64)
        means[begin : begin + n_rows] = _divide(weights @ values, weights @ known)
    totals = _divide(values.sum(0), known.sum(0))
    low, high = (1 - level) / 2, (1 + level) / 2
    return [_interval(totals[j], means[:, j], low, high) for j in range(len(totals))]


def _interval(mean: float, drawn: F64, low: float, high: float) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Interval(np.nan, np.nan, np.nan)
    bounds = np.quantile(known, [low, high])
    return Interval(float(mean), float(bounds[0]), float(bounds[1]))


def _divide(sums: F64, counts: F64) -> F64:
    """Return the quotients, NaN where nothing was counted."""
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
