"""Frequent n-grams of many short texts, as flat arrays.

`phrases.py` and `segmentation.py` build on these: an atom is a word or one character of a
spaceless script, a gram a run of atoms that occurs in enough titles. A gram of m atoms is only
counted where both grams of m − 1 inside it are frequent (Agrawal and Srikant, 1994), so memory
grows with the frequent ones and not with all there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

BREAK = -1
"""The atom that no gram crosses; each title ends with one."""


@dataclass(frozen=True)
class Corpus:
    """Titles as one sequence of atoms.

    Attributes:
        atom: (n,) int32, atom ids from 0, or BREAK; the last one is a BREAK.
        title: (n,) int32, the title each place belongs to, ascending.
        n_atoms: how many different atoms there are.
    """

    atom: I32
    title: I32
    n_atoms: int


@dataclass(frozen=True)
class Grams:
    """Frequent grams, numbered from 0: first every atom under its own id, then by length.

    Attributes:
        at: (max_length, n) int32: at[m − 1, i] is the gram of m atoms from place i on, or −1.
        length: (n_grams,) int32, in atoms.
        place: (n_grams,) int64, a place where it begins.
        df: (n_grams,) int64, in how many titles it occurs.
    """

    at: I32
    length: I32
    place: I64
    df: I64

    def __len__(self) -> int:
        """Count the grams."""
        return len(self.length)

    def part(self, grams: I64, begin: int, length: int) -> I32:
        """Return the gram of `length` atoms that stands `begin` atoms into each of these."""
        found: I32 = self.at[length - 1, self.place[grams] + begin]
        return found

    def up_to(self, length: int) -> Grams:
        """Return the grams of at most `length` atoms, under the same numbers."""
        n = int(np.searchsorted(self.length, length, side="right"))
        return Grams(self.at[:length], self.length[:n], self.place[:n], self.df[:n])


def find_frequent(corpus: Corpus, max_length: int, min_df: int) -> Grams:
    """Find the grams of 2 to `max_length` atoms in at least `min_df` titles, and all atoms."""
    n = len(corpus.atom)
    at = np.full((max_length, n), -1, np.int32)
    at[0] = corpus.atom
    here = np.flatnonzero(corpus.atom >= 0)
    atoms, first = np.unique(corpus.atom[here], return_index=True)
    place = np.zeros(corpus.n_atoms, np.int64)
    place[atoms] = here[first]
    places = [place]
    counts = [_count_titles(corpus.atom[here], corpus.title[here], corpus.n_atoms)]
    n_grams = corpus.n_atoms
    for length in range(2, max_length + 1):
        shorter = at[length - 2]
        here = np.flatnonzero((shorter[:-1] >= 0) & (shorter[1:] >= 0))
        key = shorter[here].astype(np.int64) * corpus.n_atoms + corpus.atom[here + length - 1]
        keys, first, which = np.unique(key, return_index=True, return_inverse=True)
        df = _count_titles(which, corpus.title[here], len(keys))
        kept = np.flatnonzero(df >= min_df)
        number = np.full(len(keys), -1, np.int32)
        number[kept] = np.arange(n_grams, n_grams + len(kept))
        at[length - 1, here] = number[which]
        places.append(here[first[kept]])
        counts.append(df[kept])
        n_grams += len(kept)
    lengths = [np.full(len(p), m, np.int32) for m, p in enumerate(places, 1)]
    return Grams(at, np.concatenate(lengths), np.concatenate(places), np.concatenate(counts))


def end_share(corpus: Corpus, grams: Grams, ends: npt.NDArray[np.bool_]) -> F64:
    """Return how often a BREAK, or an atom that `ends` marks, follows a gram: (n_grams,) 0 to 1.

    In titles the thing itself tends to stand last, after what describes it. `ends` is (n_atoms,).
    """
    is_end = np.append(ends, True)  # BREAK is −1, the last entry
    total, at_end = np.zeros(len(grams)), np.zeros(len(grams))
    for length, at in enumerate(grams.at, 1):
        here = np.flatnonzero(at >= 0)
        followed = is_end[corpus.atom[here + length]]
        total += np.bincount(at[here], minlength=len(grams))
        at_end += np.bincount(at[here], weights=followed, minlength=len(grams))
    share: F64 = at_end / np.maximum(total, 1)
    return share


def branching(corpus: Corpus, grams: Grams, ends: npt.NDArray[np.bool_], *, left: bool) -> F64:
    """Return the entropy of what stands beside each gram, in nats: (n_grams,) float64.

    A part of a word has few neighbors, a word many (Harris, 1955). A BREAK, or an atom that `ends`
    (n_atoms,) marks, counts as another neighbor each time; the same neighbor in the same title
    counts once, so that a shop's repeated title parts do not pass for variety.
    """
    is_end = np.append(ends, True)  # BREAK is −1, the last entry
    entropy = np.zeros(len(grams))
    n_titles = int(corpus.title[-1]) + 1
    for length, at in enumerate(grams.at, 1):
        here = np.flatnonzero(at >= 0)
        beside = here - 1 if left else here + length
        # Before the first place stands the last one, which is a BREAK.
        neighbor = corpus.atom[beside].astype(np.int64)
        alone = is_end[neighbor]
        neighbor[alone] = corpus.n_atoms + np.arange(int(alone.sum()))
        key = at[here].astype(np.int64) * (corpus.n_atoms + len(corpus.atom)) + neighbor
        keys, which = np.unique(key, return_inverse=True)
        times = _count_titles(which, corpus.title[here], len(keys), n_titles)
        gram = keys // (corpus.n_atoms + len(corpus.atom))
        total = np.bincount(gram, weights=times, minlength=len(grams))
        spread = np.bincount(gram, weights=times * np.log(times), minlength=len(grams))
        found = total > 0
        entropy[found] = np.log(total[found]) - spread[found] / total[found]
    return entropy


def _count_titles(ids: npt.NDArray[np.integer], title: I32, n_ids: int, n_titles: int = 0) -> I64:
    """Count the different titles of each id: (n_ids,) int64."""
    if not len(ids):
        return np.zeros(n_ids, np.int64)
    n_titles = n_titles or int(title[-1]) + 1
    pairs = np.unique(ids.astype(np.int64) * n_titles + title)
    return np.bincount(pairs // n_titles, minlength=n_ids)
