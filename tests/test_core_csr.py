"""csr.h: rows of a sparse matrix added up."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

F32, I32, I64 = np.float32, np.int32, np.int64


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 6))
def test_agrees_with_its_twin(seed, n_rows, n_asked):
    rng = np.random.default_rng(seed)
    ptr = np.cumsum([0, *rng.integers(0, 5, n_rows)], dtype=I64)
    idx = rng.integers(0, 7, ptr[-1], I32)
    weights = rng.normal(size=ptr[-1]).astype(F32)
    rows = rng.integers(0, n_rows, n_asked, I32)
    by = rng.normal(size=n_asked).astype(F32)
    np.testing.assert_allclose(
        _core.csr_accumulate(ptr, idx, weights, rows, by, 7),
        twins.csr_accumulate(ptr, idx, weights, rows, by, 7),
        rtol=1e-5,
        atol=1e-5,
    )


def ask(**change):
    asked = {
        "ptr": np.array([0, 2, 3], I64),
        "idx": np.array([0, 2, 1], I32),
        "weights": np.array([1, 2, 4], F32),
        "rows": np.array([1, 0], I32),
        "row_weights": np.array([1, 10], F32),
        "n_items": 3,
    }
    return _core.csr_accumulate(**(asked | change))


def test_each_row_counts_with_its_weight():
    assert ask().tolist() == [10, 4, 20]


def test_no_rows_give_zeros():
    assert ask(rows=np.zeros(0, I32), row_weights=np.zeros(0, F32)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rows": np.array([1, 2], I32)}, IndexError, r"rows\[1\] is 2; there are 2 rows"),
        ({"rows": np.array([-1, 0], I32)}, IndexError, r"rows\[0\] is -1"),
        ({"n_items": 2}, IndexError, r"idx\[1\] is 2; n_items is 2"),
        ({"idx": np.array([0, -2, 1], I32)}, IndexError, r"idx\[1\] is -2"),
        ({"n_items": -1}, ValueError, "n_items is -1"),
        ({"ptr": np.array([0, 2, 4], I64)}, ValueError, "row 1 the entries 2 to 4 of 3"),
        ({"ptr": np.array([0, 2, 1], I64)}, ValueError, "row 1 the entries 2 to 1"),
        ({"ptr": np.array([-1, 2, 3], I64)}, ValueError, "row 0 the entries -1 to 2"),
        ({"ptr": np.zeros(0, I64)}, ValueError, "ptr is empty"),
        ({"weights": np.ones(2, F32)}, ValueError, "weights has 2 entries; expected 3"),
        ({"row_weights": np.ones(3, F32)}, ValueError, "row_weights has 3 entries; expected 2"),
    ],
)
def test_what_makes_no_sense_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        ask(**change)
