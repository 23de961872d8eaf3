"""The words of the question in the words of the item: BM25, and the shares matched of both.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009),
over one field in which each column counts with its weight (`catalog.FIELD_WEIGHTS`).
"""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np

from pyrec.index import Index
from pyrec.rows import digest_text
from pyrec.signals.base import F32, U32, CatalogSignal, Question
from pyrec.stopwords import STOP_WORDS
from pyrec.text import analyze, hash_terms, words
from pyrec.types import Item

K1 = 1.2
B = 0.75
DOUBT = 0.5
"""Where no item has so much of the words that were asked, words are not to be trusted."""

_LITTLE = STOP_WORDS["en"]


def question_terms(question: Question) -> U32:
    """Return the hashes of the question's words, (n_terms,) uint32, repeated ones once."""
    terms = question.need.terms if question.need else ()
    return hash_terms(list(dict.fromkeys(terms)))


def shared_words(text: str, other: str) -> list[str]:
    """Return the words of one text that another has too, in order, as they are written.

    Words that say little ("for") are left out. Of a run without spaces (Chinese, Japanese) the
    longest part that both have is quoted.
    """
    there = set(analyze(other))
    folded = " ".join(words(other))
    found: list[str] = []
    for word in words(text):
        if word in _LITTLE:
            continue
        terms = analyze(word)
        if len(terms) <= 1:
            if terms and terms[0] in there:
                found.append(word)
        elif any(term in there for term in terms):
            match = SequenceMatcher(None, word, folded, autojunk=False).find_longest_match()
            found.append(word[match.a : match.a + match.size])
    return list(dict.fromkeys(found))


def full_match(index: Index, terms: U32, weights: F32) -> float:
    """Return about what BM25 gives an item of middle length that holds all of the terms once.

    Divided by it, BM25 tells how much of a question was matched: 1 is all, whatever the catalog.
    """
    df = index.text.df(terms).astype(np.float64)
    idf = np.log1p((index.n_live - df + 0.5) / (df + 0.5))
    return max(float(idf @ np.maximum(weights, 0.0)), 1e-6)


class Lexical(CatalogSignal):
    """BM25 of the question's words."""

    name = "lexical"

    def scores(self, question: Question) -> F32 | None:
        """Sum BM25 over the words, 1 for about a full match; None without words."""
        terms = question_terms(question)
        if not len(terms):
            return None
        ones = np.ones(len(terms), np.float32)
        scores = question.index.text.bm25(terms, ones, K1, B, question.mask)
        scores /= np.float32(full_match(question.index, terms, ones))
        return scores

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Quote the question's words that the item has."""
        text = question.need.text if question.need else ""
        return ", ".join(shared_words(text, digest_text(item)))


class Coverage(CatalogSignal):
    """The share of the question's words that the item has, rare words counting more."""

    name = "coverage"

    def scores(self, question: Question) -> F32 | None:
        """Return the idf-weighted share in [0, 1]; None without words."""
        terms = question_terms(question)
        if not len(terms):
            return None
        return question.index.text.coverage(terms, question.mask)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Quote the words, as `lexical` does."""
        return Lexical().why(question, item_idx, item)


class TitleShare(CatalogSignal):
    """The share of the item's title that the question says, rare words counting more.

    Half of a title is mostly a search for that item; one word of a long one mostly is not.
    """

    name = "title_share"

    def scores(self, question: Question) -> F32 | None:
        """Return the idf-weighted share in [0, 1]; None without words."""
        terms = question_terms(question)
        if not len(terms):
            return None
        index = question.index
        return index.text.title_share(terms, index.title_lengths, question.mask)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Quote the words, as `lexical` does."""
        return Lexical().why(question, item_idx, item)


def in_doubt(question: Question) -> bool:
    """Tell whether no item says half of what was asked: then meaning has to find what words cannot.

    A question in another language than the catalog's is the plainest case.
    """
    covered = Coverage()._once(question)
    return covered is not None and float(covered.max(initial=0.0)) < DOUBT
