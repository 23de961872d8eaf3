from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec import grams as ngrams
from pyrec import segmentation
from pyrec.grams import BREAK, Corpus

runs = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), min_size=1, max_size=5)


def corpus_of(runs):
    atom, title = [], []
    for number, run in enumerate(runs):
        atom += [*run, BREAK]
        title += [number] * (len(run) + 1)
    return Corpus(np.array(atom, np.int32), np.array(title, np.int32), 3)


def cuts(run, max_length):
    """All ways to cut a run into pieces, each a list of (begin, length)."""
    for marks in product([False, True], repeat=len(run) - 1):
        borders = [0, *(i + 1 for i, cut in enumerate(marks) if cut), len(run)]
        pieces = [(a, b - a) for a, b in pairwise(borders)]
        if all(length <= max_length for _, length in pieces):
            yield pieces


def counts_by_enumeration(corpus, runs, grams, logprob):
    """One round of expectation-maximization, all cuts written out."""
    counts = np.zeros(len(grams))
    start = 0
    for run in runs:
        weighed = []
        for pieces in cuts(run, len(grams.at)):
            ids = [grams.at[length - 1, start + begin] for begin, length in pieces]
            if min(ids) >= 0:
                weighed.append((np.exp(sum(logprob[i] for i in ids)), ids))
        total = sum(weight for weight, _ in weighed)
        for weight, ids in weighed:
            for i in ids:
                counts[i] += weight / total
        start += len(run) + 1
    return counts


@given(runs, st.integers(1, 2), st.integers(1, 3))
def test_forward_and_backward_equal_the_sum_over_all_cuts(runs, min_df, chunk):
    corpus = corpus_of(runs)
    grams = ngrams.find_frequent(corpus, 3, min_df)
    occurrences = np.array([(grams.at == n).sum() for n in range(len(grams))], float)
    expected = counts_by_enumeration(corpus, runs, grams, segmentation._logprob(grams, occurrences))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmentation, "N_ROUNDS", 1)
        patch.setattr(segmentation, "_N_RUNS", chunk)
        found = segmentation.expected_counts(corpus, grams)
    assert found == pytest.approx(expected, abs=1e-4)


@given(runs)
def test_every_atom_stands_in_exactly_one_word(runs):
    corpus = corpus_of(runs)
    grams = ngrams.find_frequent(corpus, 3, 1)
    counts = segmentation.expected_counts(corpus, grams)
    assert (counts * grams.length).sum() == pytest.approx(sum(map(len, runs)), rel=1e-4)


def test_a_pair_that_always_stands_together_is_a_word_and_its_halves_are_not():
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(200):
        run = []
        for word in rng.integers(0, 2, size=4):
            run += [0, 1] if word == 0 else [2]
        runs.append(run)
    corpus = corpus_of(runs)
    grams = ngrams.find_frequent(corpus, 2, 2)
    counts = segmentation.expected_counts(corpus, grams)
    pair = grams.at[1, np.flatnonzero((corpus.atom[:-1] == 0) & (corpus.atom[1:] == 1))[0]]
    occurrences = (grams.at[1] == pair).sum()
    assert counts[pair] > 0.8 * occurrences
    assert counts[0] < 0.2 * occurrences
    assert segmentation.gain(grams, counts)[pair] > 3


def test_gain_of_atoms_is_zero():
    corpus = corpus_of([[0, 1], [1, 0]])
    grams = ngrams.find_frequent(corpus, 2, 1)
    assert segmentation.gain(grams, segmentation.expected_counts(corpus, grams))[:3].tolist() == [
        0,
        0,
        0,
    ]
