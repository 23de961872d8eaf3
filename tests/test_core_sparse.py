"""sparse.h: the inverted index, BM25 and coverage."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

F32, U32 = np.float32, np.uint32


def update(index, rows, n_items):
    """Replace rows given as {item: {term: weight}}, in the order of the dictionary."""
    ptr = np.cumsum([0, *(len(row) for row in rows.values())], dtype=np.int64)
    terms = np.array([t for row in rows.values() for t in row], U32)
    weights = np.array([w for row in rows.values() for w in row.values()], np.uint8)
    return index.updated(np.array(list(rows), np.int32), ptr, terms, weights, n_items)


def built(rows, n_items=None):
    return update(_core.InvertedIndex(), rows, n_items or max(rows, default=-1) + 1)


N_ITEMS = 8
terms_drawn = st.sampled_from([0, 1, 2, 3, 4, 2**31, 2**32 - 1])
row_drawn = st.dictionaries(terms_drawn, st.integers(2, 255), max_size=5)
updates_drawn = st.lists(st.dictionaries(st.integers(0, N_ITEMS - 1), row_drawn), max_size=5)
query_drawn = st.lists(st.tuples(terms_drawn, st.sampled_from([-1.0, 0.5, 1.0])), max_size=5)
mask_drawn = st.none() | st.lists(st.integers(0, 1), min_size=N_ITEMS, max_size=N_ITEMS)


@given(updates_drawn, query_drawn, mask_drawn, st.floats(0, 3), st.floats(0, 1))
def test_agrees_with_its_twin_after_any_updates(updates, query, mask, k1, b):
    index, twin = _core.InvertedIndex(), twins.InvertedIndex()
    for rows in updates:
        index, twin = update(index, rows, N_ITEMS), update(twin, rows, N_ITEMS)
    if not updates:
        index, twin = update(index, {}, N_ITEMS), update(twin, {}, N_ITEMS)
    terms = np.array([t for t, _ in query], U32)
    weights = np.array([w for _, w in query], F32)
    mask = None if mask is None else np.array(mask, np.uint8)

    assert index.df(terms).tolist() == twin.df(terms).tolist()
    assert index.containing(terms).tolist() == twin.containing(terms).tolist()
    np.testing.assert_allclose(
        index.bm25(terms, weights, k1, b, mask),
        twin.bm25(terms, weights, k1, b, mask),
        rtol=1e-5,
        atol=1e-5,
    )
    np.testing.assert_allclose(index.coverage(terms, mask), twin.coverage(terms, mask), rtol=1e-5)
    np.testing.assert_allclose(index.norms(), twin.norms(), rtol=1e-5)
    lengths = index.title_lengths()
    np.testing.assert_allclose(lengths, twin.title_lengths(), rtol=1e-5)
    np.testing.assert_allclose(
        index.title_share(terms, lengths, mask), twin.title_share(terms, mask), rtol=1e-5
    )
    assert index.nnz == sum(map(len, twin.rows.values()))
    assert index.n_terms == len({t for row in twin.rows.values() for t in row})


@given(updates_drawn)
def test_updates_one_by_one_equal_a_rebuild_to_the_bit(updates):
    index, rows = built({}, N_ITEMS), {}
    for changed in updates:
        index = update(index, changed, N_ITEMS)
        rows |= changed
    fresh = built({item: row for item, row in rows.items() if row}, N_ITEMS)
    terms = np.array([0, 1, 2, 3, 4, 2**31, 2**32 - 1], U32)
    weights = np.ones(len(terms), F32)
    assert (
        index.bm25(terms, weights, 1.2, 0.75).tobytes()
        == fresh.bm25(terms, weights, 1.2, 0.75).tobytes()
    )
    assert (index.n_terms, index.nnz, index.nbytes) == (fresh.n_terms, fresh.nnz, fresh.nbytes)


def test_an_update_leaves_the_old_index_as_it_was():
    old = built({0: {7: 8}, 1: {7: 8}})
    update(old, {0: {}}, 2)
    assert old.df(np.array([7], U32)).tolist() == [2]


def test_an_empty_row_removes_the_item_and_its_last_terms():
    index = update(built({0: {7: 8}, 1: {7: 8, 9: 8}}), {1: {}}, 2)
    assert index.containing(np.array([7], U32)).tolist() == [0]
    assert (index.n_terms, index.nnz, index.n_items) == (1, 1, 2)


def test_a_negative_query_weight_pushes_an_item_down():
    index = built({0: {1: 8}, 1: {1: 8, 2: 8}})
    scores = index.bm25(np.array([1, 2], U32), np.array([1, -1], F32), 1.2, 0.75)
    assert scores[1] < 0 < scores[0]


def test_an_item_that_holds_every_word_is_covered_exactly():
    terms = np.array([5, 3, 9, 3], U32)
    index = built({0: {3: 2, 5: 2, 9: 2}, 1: {3: 2}, 2: {4: 2}})
    shares = index.coverage(terms)
    assert shares[0] == 1.0
    assert 0 < shares[1] < 1
    assert shares[2] == 0


def test_a_title_that_is_asked_for_in_full_is_shared_exactly():
    # The first holds all three in its title, the second one elsewhere, the third a word more.
    rows = {0: {3: 9, 5: 9, 9: 9}, 1: {3: 9, 5: 8}, 2: {3: 9, 5: 9, 9: 9, 4: 9}, 3: {4: 9}}
    index = built(rows)
    shares = index.title_share(np.array([9, 3, 5, 3], U32), index.title_lengths())
    assert shares[0] == shares[1] == 1.0
    assert 0 < shares[2] < 1
    assert shares[3] == 0


def test_where_a_term_stands_changes_no_bm25():
    terms, ones = np.array([3, 5], U32), np.ones(2, F32)
    plain, titled = built({0: {3: 8, 5: 4}, 1: {5: 6}}), built({0: {3: 9, 5: 4}, 1: {5: 7}})
    assert plain.bm25(terms, ones, 1.2, 0.75).tobytes() == (
        titled.bm25(terms, ones, 1.2, 0.75).tobytes()
    )
    assert plain.norms().tobytes() == titled.norms().tobytes()


def test_a_word_that_nothing_holds_lowers_coverage():
    index = built({0: {3: 8}})
    assert index.coverage(np.array([3, 4], U32))[0] < 1


def test_masked_items_get_zero():
    index = built({0: {3: 8}, 1: {3: 8}})
    mask = np.array([0, 1], np.uint8)
    terms = np.array([3], U32)
    assert (index.bm25(terms, np.ones(1, F32), 1.2, 0.75, mask) > 0).tolist() == [False, True]
    assert (index.coverage(terms, mask) > 0).tolist() == [False, True]


def test_an_empty_index_answers():
    index, terms = _core.InvertedIndex(), np.array([1], U32)
    assert len(index.bm25(terms, np.ones(1, F32), 1.2, 0.75)) == 0
    assert len(index.coverage(terms)) == 0
    assert index.containing(terms).tolist() == []
    assert index.df(terms).tolist() == [0]
    assert (index.n_items, index.n_terms, index.nnz) == (0, 0, 0)


def test_no_terms_are_contained_nowhere():
    assert built({0: {3: 8}}).containing(np.zeros(0, U32)).tolist() == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"item_idx": np.array([0, 0], np.int32)}, ValueError, "item 0 comes twice"),
        ({"item_idx": np.array([0, 2], np.int32)}, IndexError, r"item_idx\[1\] is 2; n_items is 2"),
        ({"item_idx": np.array([-1, 0], np.int32)}, IndexError, r"item_idx\[0\] is -1"),
        ({"terms": np.array([4, 4, 4], U32)}, ValueError, "item 0 has term 4 twice"),
        ({"weights": np.array([8, 0, 8], np.uint8)}, ValueError, r"weights\[1\] is 0"),
        ({"weights": np.array([8, 8], np.uint8)}, ValueError, "weights has 2 entries; expected 3"),
        ({"ptr": np.array([0, 3], np.int64)}, ValueError, "ptr has 2 entries; expected 3"),
        ({"ptr": np.array([0, 4, 3], np.int64)}, ValueError, "ptr falls at 2"),
        ({"ptr": np.array([1, 2, 3], np.int64)}, ValueError, "ptr must start with 0"),
        ({"ptr": np.array([0, 2, 4], np.int64)}, ValueError, "ptr ends at 4"),
        ({"n_items": 1}, IndexError, r"item_idx\[1\] is 1; n_items is 1"),
    ],
)
def test_rows_that_make_no_sense_are_refused(change, error, message):
    rows = {
        "item_idx": np.array([0, 1], np.int32),
        "ptr": np.array([0, 2, 3], np.int64),
        "terms": np.array([4, 5, 4], U32),
        "weights": np.array([8, 8, 8], np.uint8),
        "n_items": 2,
    }
    with pytest.raises(error, match=message):
        _core.InvertedIndex().updated(**(rows | change))


def test_the_number_of_items_never_shrinks():
    with pytest.raises(ValueError, match="never shrinks"):
        update(built({0: {1: 8}, 1: {1: 8}}), {}, 1)


@pytest.mark.parametrize(("k1", "b"), [(-1.0, 0.5), (1.0, 1.5), (float("nan"), 0.5)])
def test_parameters_out_of_range_are_refused(k1, b):
    with pytest.raises(ValueError, match="BM25 wants"):
        built({0: {1: 8}}).bm25(np.array([1], U32), np.ones(1, F32), k1, b)
