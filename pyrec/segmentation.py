"""Words of a script without spaces, found by how well they explain the titles.

Every title is cut into grams in all possible ways; each gram's probability is the share of cuts
that it stands in, found by expectation-maximization (the unigram model of Kudo, 2018, without its
tokenizer's purposes). Unlike plain counts and mutual information this finds words of two common
characters (女装) and lets go of pieces that are frequent only inside a longer word. `phrases.py`
calls it.
"""

from __future__ import annotations

import numpy as np

from pyrec.grams import F64, I64, Corpus, Grams

N_ROUNDS = 5  # the likelihood gains less than one part in 10,000 afterwards
_N_RUNS = 2048  # runs walked at once, some MB of work space
_RARE = 0.5  # the count of a character that never stands alone


def expected_counts(corpus: Corpus, grams: Grams) -> F64:
    """Return how often each gram is a word of its own, over all cuts: (n_grams,) float64."""
    counts = _sum_up(grams, (grams.at >= 0).astype(np.float32))
    breaks = np.flatnonzero(corpus.atom < 0)
    start = np.append(0, breaks[:-1] + 1)
    length = breaks - start
    order = np.argsort(-length, kind="stable")
    order = order[length[order] > 0]
    for _ in range(N_ROUNDS):
        logprob = _logprob(grams, counts)
        share = np.zeros(grams.at.shape, np.float32)
        for begin in range(0, len(order), _N_RUNS):
            runs = order[begin : begin + _N_RUNS]
            _share_out(grams, start[runs], length[runs], logprob, share)
        counts = _sum_up(grams, share)
    return counts


def gain(grams: Grams, counts: F64) -> F64:
    """Return log P(gram) − log P(its best cut into smaller ones): (n_grams,) float64, nats.

    How much better than its parts a gram explains itself: the cohesion. 0 for atoms.
    """
    logprob = _logprob(grams, counts)
    result = np.zeros(len(grams))
    for length in range(2, len(grams.at) + 1):
        these: I64 = np.flatnonzero(grams.length == length)
        best = [np.zeros(len(these))]
        for end in range(1, length + 1):
            cuts = [
                best[end - size] + logprob[grams.part(these, end - size, size)]
                for size in range(1, end + 1)
                if size < length
            ]
            best.append(np.max(cuts, axis=0))
        result[these] = logprob[these] - best[length]
    return result


def _logprob(grams: Grams, counts: F64) -> F64:
    """Return log shares of the counts, and −inf behind them for the gram number −1."""
    floor = np.where(grams.length == 1, _RARE, 1e-9)
    kept = np.maximum(counts, floor)
    return np.append(np.log(kept / kept.sum()), -np.inf)


def _sum_up(grams: Grams, share: np.ndarray) -> F64:
    """Sum a value at each place over the gram there."""
    counts = np.zeros(len(grams))
    for at, values in zip(grams.at, share, strict=True):
        here = np.flatnonzero(at >= 0)
        counts += np.bincount(at[here], weights=values[here], minlength=len(grams))
    return counts


def _share_out(grams: Grams, start: I64, length: I64, logprob: F64, share: np.ndarray) -> None:
    """Set at each place the probability that a gram is a word there (forward-backward).

    `start` (n_runs,) is the first place of each run and `length` its atoms, longest run first: so
    the runs alive at any depth are a prefix. `share` (max_length, n) float32 is written to.
    """
    longest, n_runs = int(length[0]), len(start)
    n_live = [int(np.searchsorted(-length, -size, side="right")) for size in range(longest + 1)]
    forward = np.full((longest + 1, n_runs), -np.inf)
    forward[0] = 0
    for end in range(1, longest + 1):
        live = n_live[end]
        cuts = [
            forward[end - size, :live] + logprob[grams.at[size - 1, start[:live] + end - size]]
            for size in range(1, min(len(grams.at), end) + 1)
        ]
        forward[end, :live] = np.logaddexp.reduce(cuts, axis=0)
    total = forward[length, np.arange(n_runs)]
    backward = np.full((longest + 1, n_runs), -np.inf)
    backward[length, np.arange(n_runs)] = 0
    for begin in range(longest - 1, -1, -1):
        live = n_live[begin + 1]
        after = np.full((len(grams.at), live), -np.inf)
        for size in range(1, min(len(grams.at), longest - begin) + 1):
            fits = n_live[begin + size]
            place = start[:fits] + begin
            cut = logprob[grams.at[size - 1, place]] + backward[begin + size, :fits]
            share[size - 1, place] = np.exp(forward[begin, :fits] + cut - total[:fits])
            after[size - 1, :fits] = cut
        backward[begin, :live] = np.logaddexp.reduce(after, axis=0)
