"""Predicts opinions (ratings, likes, dislikes) from factors of the items and of the user.

An opinion is the mean + the item's bias + the user's bias + factors of both, multiplied, + noise.
Both sides are random: the bias and factors of an item (its *part*) lie around what its features and
its number of raters foretell, those of a user around those of all users. Variational Bayes fits the
parts of one side after the other, then the priors around them. So what is known little is drawn to
its prior as far as it should be, and an item that nobody rated has a part too. Users are not kept:
a user's part is solved from his ratings when he asks.

Sources: Lim and Teh, "Variational Bayesian approach to movie rating prediction" (KDD Cup 2007);
Simm et al., "Macau" (2017), for the features; Lakshminarayanan et al., "Robust Bayesian matrix
factorisation" (AISTATS 2011), for the noise, of which each user has his own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from pyrec.opinion_parts import (
    BIAS_OF_ITEM,
    BIAS_OF_USER,
    GUESS_WEIGHT,
    HABIT_WEIGHT,
    NOISE_FLOOR,
    Ints,
    Parts,
    Sparse,
    Sums,
    loadings,
    precision_around,
    row_sums,
    solve,
    solve_users,
    symmetric,
)

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

N_FACTORS, N_ROUNDS = 12, 60
BIAS_GUESS, FACTOR_GUESS = 0.1, 0.25
"""First variances of biases and factors. Near 0, factors would take hundreds of rounds to grow."""
NOISE_GUESS = 0.15
"""First variance of the noise."""
FEATURE_WEIGHT = 10.0
"""For how many ratings without an effect a user's liking of a feature has to make up."""
SLOPE_RIDGE, SLOPE_STEPS = 20.0, 6
"""For how many items without an effect a feature has to make up; steps of regression a round."""
MIN_FEATURE_ITEMS = 5
"""Features of fewer items foretell nothing."""


class ItemFeatures(NamedTuple):
    """Which features the items have, row by row.

    Attributes:
        ptr: (n_items + 1,) int64, row i is ptr[i]:ptr[i + 1].
        idx: (ptr[-1],) int32, numbers of features, each once in a row.
        weight: (ptr[-1],) float32, above 0, 1 for a plain yes.
        n_features: how many features there are.
    """

    ptr: I64
    idx: I32
    weight: F32
    n_features: int


@dataclass(frozen=True)
class OpinionModel:
    """What is known of the items, and the prior of a user; d factors, D = d + 2.

    Attributes:
        loading: (n_items + 1, D) float32: 1, the bias, the factors. The last row is an item
            without features and raters, where the item -1 finds it.
        moment: (n_items + 1, D (D + 1) / 2) float32: the expected product of a loading with
            itself, upper triangle; it exceeds the product of the means by their covariance.
        mean: (d + 1,) float32: a user's expected bias and factors.
        precision: (d + 1, d + 1) float32: of a user's bias and factors around that.
        scale: (3,) float32: mean and variance of the opinions, and the variance of the noise.
        feature_ptr: (n_items + 2,) int64: features of the items, as in `ItemFeatures`.
        feature_idx: (feature_ptr[-1],) int32.
        feature_weight: (feature_ptr[-1],) float32.
    """

    SIGNALS: ClassVar[tuple[str, ...]] = ("item", "user", "taste", "feature")
    LEVEL_SIGNALS: ClassVar[tuple[str, ...]] = ("habit", "normal")

    loading: F32
    moment: F32
    mean: F32
    precision: F32
    scale: F32
    feature_ptr: I64
    feature_idx: I32
    feature_weight: F32

    def evidence(self, items: I32, values: F32, pool: I32) -> F32:
        """Say what speaks for a good opinion of each item of the pool.

        Each signal is a difference of opinion divided by the variance of the user's opinions: if
        his answers y are as frequent as usual times exp(y * signal), their mean moves by that much.

        Args:
            items: (m,) int32, the items that the user has rated; -1 where it is not in the model.
            values: (m,) float32, his opinions in [-1, 1].
            pool: (n,) int32, the items to score; -1 where it is not in the model.

        Returns:
            (n, 4) float32: what others think of the item; how far the user's bias is from his usual
            opinion, which also depends on what he chose to rate; what his factors add; and how much
            more than all that he liked what has the item's features.
        """
        part, _ = self._user(items, values)
        usual, variance = self._usual(values)
        loading = self.loading[pool]
        out = np.empty((len(pool), 4), np.float32)
        out[:, 0] = loading[:, BIAS_OF_ITEM]
        out[:, 1] = self.scale[0] + part[0] - usual
        out[:, 2] = loading[:, 2:] @ part[1:]
        out[:, 3] = self._by_features(items, values - self._expected(part, items), pool)
        out /= variance
        return out

    def level_evidence(self, items: I32, values: F32, pool: I32, levels: F32, share: F32) -> F32:
        """Say how likely each level is as an answer.

        Args:
            items: as in `evidence`.
            values: as in `evidence`.
            pool: as in `evidence`.
            levels: (L,) float32, the answers, in [-1, 1].
            share: (L,) float32, how often anyone gives each; above 0.

        Returns:
            (n, L, 2) float32 of log shares: how often the user gives each level, and the normal
            density around the opinion that the factors expect.
        """
        part, noise = self._user(items, values)
        nearest = np.abs(values[:, None] - levels).argmin(axis=1)
        habit = np.bincount(nearest, minlength=len(levels)) + HABIT_WEIGHT * share
        loading, width = self.loading[pool], self.loading.shape[1]
        cov = symmetric(self.moment[pool], width) - loading[:, :, None] * loading[:, None]
        user = np.insert(part, BIAS_OF_ITEM, 1)
        variance = noise + np.einsum("i,nij,j->n", user, cov, user)
        normal = (levels - self._expected(part, pool)[:, None]) ** 2 / (-2 * variance[:, None])
        normal -= normal.max(axis=1, keepdims=True, initial=-np.inf)
        normal -= np.log(np.exp(normal).sum(axis=1, keepdims=True))
        out = np.empty((len(pool), len(levels), 2), np.float32)
        out[:, :, 0] = np.log(habit / habit.sum())
        out[:, :, 1] = np.maximum(normal, -9)  # Far from what is expected still happens.
        return out

    def _user(self, items: I32, values: F32) -> tuple[F32, float]:
        """The expected bias and factors of a user, (d + 1,), and the variance of his noise."""
        y = (values - self.scale[0]).astype(np.float32)
        moment, loading = self.moment[items].sum(axis=0), y @ self.loading[items]
        sums = Sums(moment[None], loading[None], np.array([y @ y]), np.array([len(y)], np.float32))
        parts, noise, _ = solve_users(sums, self.mean, self.precision, float(self.scale[2]))
        return parts.mean[0], float(noise[0])

    def _usual(self, values: F32) -> tuple[float, float]:
        """Mean and variance of a user's opinions and some of anyone's."""
        mean, variance = float(self.scale[0]), float(self.scale[1])
        n = len(values) + HABIT_WEIGHT
        usual = mean + float((values - mean).sum()) / n
        around = float(((values - usual) ** 2).sum())
        around += HABIT_WEIGHT * (variance + (mean - usual) ** 2)
        return usual, max(around / n, NOISE_FLOOR)

    def _expected(self, part: F32, items: I32) -> F32:
        """The opinions of items that a user's bias and factors expect."""
        expected: F32 = self.scale[0] + self.loading[items] @ np.insert(part, BIAS_OF_ITEM, 1)
        return expected

    def _by_features(self, items: I32, rest: F32, pool: I32) -> F32:
        """How far what has the features of each of the pool was above what was expected."""
        feature, weight, ptr = self._features(items)
        rest = np.repeat(rest, np.diff(ptr)) * weight
        raters = np.bincount(feature, weight, 1)
        liking = np.bincount(feature, rest, 1) / (raters + FEATURE_WEIGHT)
        feature, weight, ptr = self._features(pool)
        known = np.minimum(feature, len(liking) - 1)
        liked = weight * liking[known] * (feature == known)
        sums = row_sums(np.stack([liked, weight], axis=1).astype(np.float32), ptr)
        return np.divide(sums[:, 0], np.maximum(sums[:, 1], 1e-9), dtype=np.float32)

    def _features(self, items: I32) -> tuple[I32, F32, I64]:
        """The features of items, one item after the other, their weights, and where each begins."""
        begin, length = self.feature_ptr[:-1][items], np.diff(self.feature_ptr)[items]
        ptr = np.append(0, np.cumsum(length))
        at = np.arange(ptr[-1]) + np.repeat(begin - ptr[:-1], length)
        return self.feature_idx[at], self.feature_weight[at], ptr


def fit(
    user: I32,
    item: I32,
    value: F32,
    n_users: int,
    n_items: int,
    features: ItemFeatures,
    n_factors: int = N_FACTORS,
    n_rounds: int = N_ROUNDS,
    seed: int = 0,
) -> OpinionModel:
    """Fit the model; the same input gives the same model.

    Args:
        user: (n,) int32 numbers of users.
        item: (n,) int32 numbers of items; each pair of user and item once.
        value: (n,) float32 opinions in [-1, 1].
        n_users: how many users there are.
        n_items: how many items there are, rated or not.
        features: of the items.
        n_factors: d.
        n_rounds: how often both sides are solved, at least once.
        seed: of the users' first factors.
    """
    mean = np.float32(value.mean() if len(value) else 0)
    y = (value - mean).astype(np.float32)
    # Items that nobody rated have the part that their features foretell, and need no rounds.
    rated, number = np.unique(item, return_inverse=True)
    by_user, by_item = _Ratings(user, number, y, n_users), _Ratings(number, user, y, len(rated))
    count = np.bincount(item, minlength=n_items + 1).astype(np.float32)
    foretold = _Foretold(features, count, rated, n_factors + 1)
    shared, even = NOISE_GUESS, np.ones(len(rated), np.float32)
    noise: F32 = np.full(n_users, shared, np.float32)
    guess = np.diag([BIAS_GUESS, *[FACTOR_GUESS] * n_factors]).astype(np.float32)
    first = np.random.default_rng(seed).normal(size=(n_users, n_factors + 1)) @ np.sqrt(guess)
    users = Parts(first.astype(np.float32), np.zeros((n_users, *guess.shape), np.float32))
    users.mean[:, 0] = 0
    user_mean, user_precision = np.zeros(n_factors + 1, np.float32), np.linalg.inv(guess)
    item_mean, item_precision = np.zeros((len(rated), n_factors + 1), np.float32), user_precision
    for step in range(n_rounds):
        sums = by_item.sums(*loadings(users, BIAS_OF_ITEM, np.reciprocal(noise)))
        items = solve(sums, item_mean, item_precision, BIAS_OF_USER, even)
        if step > 1:  # Features would hold fast to the first factors, which are drawn at random.
            item_mean = foretold.means(items.mean)
        item_precision = precision_around(items, item_mean, even > 0, guess)
        sums = by_user.sums(*loadings(items, BIAS_OF_USER, even))
        users, noise, shared = solve_users(sums, user_mean, user_precision, shared)
        user_mean = users.mean.sum(axis=0) / (n_users + GUESS_WEIGHT)
        user_precision = precision_around(users, user_mean, np.ones(n_users, bool), guess)
    every = Parts(foretold.of_all(), np.tile(np.linalg.inv(item_precision), (n_items + 1, 1, 1)))
    every.mean[rated], every.cov[rated] = items
    loading, moment = loadings(every, BIAS_OF_USER, np.ones(n_items + 1, np.float32))
    scale = np.array([mean, value.var() if len(value) else BIAS_GUESS, shared], np.float32)
    ptr = np.append(features.ptr, features.ptr[-1])
    held = ptr, features.idx, features.weight
    return OpinionModel(loading, moment, user_mean, user_precision, scale, *held)


class _Ratings:
    """The ratings of one side, to be summed over the other side."""

    def __init__(self, row: Ints, column: Ints, y: F32, n_rows: int) -> None:
        self._ones, self._values = Sparse(row, column, n_rows), Sparse(row, column, n_rows, y)
        self._square = np.bincount(row, y**2, n_rows).astype(np.float32)
        self.number = np.bincount(row, minlength=n_rows).astype(np.float32)

    def sums(self, loading: F32, moment: F32) -> Sums:
        """Sum the other side's loadings (m, D) and moments (m, D (D + 1) / 2)."""
        return Sums(self._ones @ moment, self._values @ loading, self._square, self.number)


class _Foretold:
    """The parts of items as 1, log(1 + raters) and the features foretell them: ridge regression.

    Learned from the rated ones.
    """

    def __init__(self, features: ItemFeatures, count: F32, rated: Ints, n_parts: int) -> None:
        every = np.arange(len(count))
        common = np.bincount(features.idx, minlength=features.n_features) >= MIN_FEATURE_ITEMS
        row = np.repeat(every[:-1], np.diff(features.ptr))
        kept = common[features.idx]
        row = np.concatenate([every, every, row[kept]])
        column = np.concatenate([0 * every, 0 * every + 1, features.idx[kept] + 2])
        weight = np.concatenate([0 * count + 1, np.log1p(count), features.weight[kept]])
        self._all = Sparse(row, column, len(count), weight)
        number = np.full(len(count), -1)
        number[rated] = np.arange(len(rated))
        inside = number[row] >= 0
        row, column, weight = number[row[inside]], column[inside], weight[inside]
        n_columns = features.n_features + 2
        self._across = Sparse(row, column, len(rated), weight)
        self._down = Sparse(column, row, n_columns, weight)
        self._ridge = np.full((n_columns, 1), SLOPE_RIDGE, np.float32)
        self._ridge[:2] = 1
        # With these steps of Jacobi's method the misfit never grows (weights are not negative).
        size = self._down @ (self._across @ np.ones((n_columns, 1), np.float32))
        self._step: F32 = np.reciprocal(size + self._ridge)
        self._slope: F32 = np.zeros((n_columns, n_parts), np.float32)

    def means(self, part: F32) -> F32:
        """What is foretold (n, d + 1), a few steps closer to the parts of the rated than before."""
        for _ in range(SLOPE_STEPS):
            rest = self._down @ (part - self._across @ self._slope)
            self._slope = self._slope + self._step * (rest - self._ridge * self._slope)
        return self._across @ self._slope

    def of_all(self) -> F32:
        """What is foretold of all items, rated or not, (n_items + 1, d + 1)."""
        told = self._all @ self._slope
        return told
