"""dense.h: inner products, int8 and float32."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

# Widths around the length of a SIMD register, where a loop's remainder goes wrong.
dims = st.sampled_from([0, 1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100])
seeds = st.integers(0, 2**32 - 1)


def quantized(rows):
    scales = np.abs(rows).max(axis=1) / 127
    return np.rint(rows / scales[:, None]).astype(np.int8), scales.astype(np.float32)


@given(dims, st.integers(0, 6), seeds, st.booleans())
def test_int8_agrees_with_its_twin(dim, n, seed, masked):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-128, 128, (n, dim), dtype=np.int8)
    scales = rng.random(n, np.float32)
    query = rng.normal(size=dim).astype(np.float32)
    mask = rng.integers(0, 2, n, dtype=np.uint8) if masked else None
    scores = _core.inner_int8(matrix, scales, query, mask)
    expected = twins.inner_int8(matrix, scales, query, mask)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


@given(dims, st.integers(0, 6), seeds, st.booleans())
def test_float32_agrees_with_its_twin(dim, n, seed, masked):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, dim)).astype(np.float32)
    query = rng.normal(size=dim).astype(np.float32)
    mask = rng.integers(0, 2, n, dtype=np.uint8) if masked else None
    expected = twins.inner_f32(matrix, query, mask)
    np.testing.assert_allclose(_core.inner_f32(matrix, query, mask), expected, rtol=1e-5, atol=1e-5)


def test_int8_keeps_the_cosine_within_a_hundredth(rng):
    rows = rng.normal(size=(500, 384))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    query = rows[0] + 0.5 * rows[1]
    query /= np.linalg.norm(query)
    matrix, scales = quantized(rows)
    scores = _core.inner_int8(matrix, scales, query.astype(np.float32))
    assert np.abs(scores - rows @ query).max() < 0.01


def test_int8_sums_are_exact_at_their_extreme():
    matrix = np.full((1, 131072), -128, np.int8)
    query = np.ones(131072, np.float32)
    score = _core.inner_int8(matrix, np.ones(1, np.float32), query)[0]
    assert score == pytest.approx(-128.0 * 131072, rel=1e-6)


def test_rows_too_wide_for_an_exact_sum_are_refused():
    with pytest.raises(ValueError, match="at most 131072 numbers; these have 131073"):
        _core.inner_int8(
            np.zeros((1, 131073), np.int8), np.ones(1, np.float32), np.ones(131073, np.float32)
        )


def test_a_query_of_zeros_scores_zero():
    scores = _core.inner_int8(
        np.ones((2, 4), np.int8), np.ones(2, np.float32), np.zeros(4, np.float32)
    )
    assert scores.tolist() == [0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_query_that_is_not_finite_is_refused(bad):
    query = np.array([0, bad], np.float32)
    with pytest.raises(ValueError, match=r"query\[1\] is not finite"):
        _core.inner_f32(np.ones((1, 2), np.float32), query)
    with pytest.raises(ValueError, match=r"query\[1\] is not finite"):
        _core.inner_int8(np.ones((1, 2), np.int8), np.ones(1, np.float32), query)


def test_a_query_of_another_width_is_refused():
    with pytest.raises(ValueError, match="query has 3 numbers; the rows of matrix have 2"):
        _core.inner_f32(np.ones((1, 2), np.float32), np.ones(3, np.float32))


def test_scales_must_match_the_rows():
    with pytest.raises(ValueError, match="scales has 1 entries; expected 2"):
        _core.inner_int8(np.ones((2, 2), np.int8), np.ones(1, np.float32), np.ones(2, np.float32))


def test_cpu_features_are_named():
    features = _core.cpu_features()
    assert features == sorted(features)
    assert set(features) <= {"avx2", "fma", "sse2", "neon"}
