from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec import grams as ngrams
from pyrec.grams import BREAK, Corpus

titles = st.lists(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=3),
    min_size=1,
    max_size=6,
)

NO_ENDS = np.zeros(3, bool)


def corpus_of(titles):
    """A corpus of titles, each a list of segments, each a list of atoms."""
    atom, title = [], []
    for number, segments in enumerate(titles):
        for segment in segments:
            atom += [*segment, BREAK]
            title += [number] * (len(segment) + 1)
    return Corpus(np.array(atom, np.int32), np.array(title, np.int32), 3)


def spell(corpus, grams, gram):
    place, length = grams.place[gram], grams.length[gram]
    return tuple(corpus.atom[place : place + length].tolist())


@given(titles, st.integers(1, 3))
def test_frequent_grams_are_those_counted_by_hand(titles, min_df):
    seen = defaultdict(set)
    for number, segments in enumerate(titles):
        for segment in segments:
            for begin in range(len(segment)):
                for end in range(begin + 1, min(begin + 4, len(segment)) + 1):
                    seen[tuple(segment[begin:end])].add(number)
    expected = {g: len(t) for g, t in seen.items() if len(g) > 1 and len(t) >= min_df}
    corpus = corpus_of(titles)
    grams = ngrams.find_frequent(corpus, 4, min_df)
    found = {
        spell(corpus, grams, n): int(grams.df[n]) for n in range(len(grams)) if grams.length[n] > 1
    }
    assert found == expected


@given(titles)
def test_each_place_names_the_gram_that_begins_there(titles):
    corpus = corpus_of(titles)
    grams = ngrams.find_frequent(corpus, 3, 1)
    for length, at in enumerate(grams.at, 1):
        for place in np.flatnonzero(at >= 0):
            spelled = tuple(corpus.atom[place : place + length].tolist())
            assert spell(corpus, grams, at[place]) == spelled


def test_no_gram_crosses_a_break():
    corpus = corpus_of([[[0], [1]], [[0], [1]]])
    assert len(ngrams.find_frequent(corpus, 3, 1)) == 3


def test_end_share_counts_breaks_and_marked_atoms():
    corpus = corpus_of([[[0, 1]], [[0, 2]], [[0]], [[0, 0]]])
    grams = ngrams.find_frequent(corpus, 1, 1)
    only_breaks = ngrams.end_share(corpus, grams, np.zeros(3, bool))
    assert only_breaks[0] == pytest.approx(2 / 5)
    marked = ngrams.end_share(corpus, grams, np.array([False, False, True]))
    assert marked[0] == pytest.approx(3 / 5)


def test_branching_is_the_entropy_of_neighbors_and_breaks_are_all_different():
    corpus = corpus_of([[[0, 1]], [[0, 1]], [[0, 2]], [[0]]])
    grams = ngrams.find_frequent(corpus, 1, 1)
    shares = np.array([2, 1, 1]) / 4
    right = ngrams.branching(corpus, grams, NO_ENDS, left=False)
    assert right[0] == pytest.approx(-(shares * np.log(shares)).sum())
    assert ngrams.branching(corpus, grams, NO_ENDS, left=True)[0] == pytest.approx(np.log(4))


def test_an_atom_that_ends_phrases_is_another_neighbor_each_time():
    corpus = corpus_of([[[0, 1]], [[0, 1]]])
    grams = ngrams.find_frequent(corpus, 1, 1)
    ends = np.array([False, True, False])
    assert ngrams.branching(corpus, grams, NO_ENDS, left=False)[0] == 0
    assert ngrams.branching(corpus, grams, ends, left=False)[0] == pytest.approx(np.log(2))


def test_a_neighbor_repeated_within_a_title_counts_once():
    corpus = corpus_of([[[0, 1], [0, 1], [0, 1]], [[0, 2]]])
    grams = ngrams.find_frequent(corpus, 1, 1)
    assert ngrams.branching(corpus, grams, NO_ENDS, left=False)[0] == pytest.approx(np.log(2))


def test_neighbors_are_counted_right_where_numbers_exceed_32_bits():
    n = 60_000
    atom = np.tile(np.array([0, 1, BREAK], np.int32), n)
    atom[0::3] = np.arange(n) % 40_000
    corpus = Corpus(atom, np.repeat(np.arange(n, dtype=np.int32), 3), 40_000)
    grams = ngrams.find_frequent(corpus, 1, 1)
    left = ngrams.branching(corpus, grams, np.zeros(40_000, bool), left=True)
    expected = Counter(atom[0::3].tolist())
    # 1 follows every atom; it also stands first where the atom itself is 1.
    shares = np.array(list(expected.values())) / n
    assert left[1] == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-3)
