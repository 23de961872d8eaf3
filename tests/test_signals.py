"""The contract of a signal, held against each of them: also those of installed packages."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import TOY_ITEMS
from scripted import ScriptedModel

from pyrec import signals
from pyrec.catalog import Catalog
from pyrec.index import follow
from pyrec.signals.base import Past, Question
from pyrec.signals.lexical import shared_words
from pyrec.signals.titles import Titles
from pyrec.text import analyze
from pyrec.types import Item, Need, Phrase
from pyrec.vectors import Vectors

EVERY = [*signals.every(), Titles()]


def toy_embed(texts):
    """Vectors of the characters' bigrams: the same text, the same vector."""
    rows = np.zeros((len(texts), 32), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for a, b in pairwise(text):
            row[(ord(a) * 31 + ord(b)) % 32] += 1.0
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return rows


@pytest.fixture
def vectors(store, toy_catalog):
    vectors = Vectors(store, toy_catalog, "toy")
    assert sum(vectors.compute(toy_embed)) == len(TOY_ITEMS)
    return vectors


@pytest.fixture
def states(store, toy_catalog):
    def read(texts):
        return np.hstack([toy_embed(texts), np.ones((len(texts), 1), np.float32)])

    states = Vectors(store, toy_catalog, "toy, states")
    assert sum(states.compute(read)) == len(TOY_ITEMS)
    return states


@pytest.fixture
def ask(toy_catalog, vectors, states):
    index = follow(None, toy_catalog, vectors, states)

    def ask(text="", past=(), mask=None):
        rows = toy_catalog.idxs(past)
        titles = [item.title for item in toy_catalog.items(rows)]
        terms = tuple(dict.fromkeys(analyze(text, index.language)))
        return Question(
            index,
            index.live.copy() if mask is None else mask,
            lambda rows: [item.title for item in toy_catalog.items(rows)],
            toy_catalog.mask,
            Need(text, terms, (Phrase("running shoes", 0.7),)) if text else None,
            toy_embed([text])[0] if text else None,
            ScriptedModel() if text else None,
            [Past(int(r), 1.0, t, t) for r, t in zip(rows, titles, strict=True)],
            output=np.append(toy_embed([text])[0], np.float32(-1.0)) if text else None,
        )

    return ask


@pytest.mark.parametrize("signal", EVERY, ids=lambda s: s.name)
class TestContract:
    def test_scores_are_finite_or_unknown_one_for_each_of_the_pool(self, signal, ask):
        question = ask("running shoes", ["s1"])
        pool = np.array([3, 1, 0, 11], np.int32)
        scores = signal.score(question, pool)
        assert scores.shape == (4,)
        assert scores.dtype == np.float32
        assert not np.isinf(scores).any()
        assert (scores[~np.isnan(scores)] >= 0.0).all()

    def test_candidates_pass_the_mask_and_come_once(self, signal, ask):
        mask = np.ones(len(TOY_ITEMS), np.uint8)
        mask[[0, 5]] = 0
        admitted = signal.admit(ask("running shoes", ["s1"], mask), 5)
        assert admitted.dtype == np.int32
        assert len(admitted) <= 5
        assert len(set(admitted.tolist())) == len(admitted)
        assert mask[admitted].all()

    def test_a_question_that_gives_nothing_to_go_by_is_unknown_not_zero(self, signal, ask):
        if signal.name == "popular_unasked":
            return  # what is popular is known without a question
        question = ask()
        assert len(signal.admit(question, 5)) == 0
        assert np.isnan(signal.score(question, np.array([0, 1], np.int32))).all()

    def test_the_same_question_gets_the_same_answer(self, signal, ask):
        pool = np.arange(len(TOY_ITEMS), dtype=np.int32)
        first = signal.score(ask("running shoes", ["s1"]), pool)
        again = signal.score(ask("running shoes", ["s1"]), pool)
        np.testing.assert_array_equal(first, again)

    def test_it_says_why_in_words(self, signal, ask, toy_catalog):
        item = toy_catalog.item("s2")
        assert isinstance(signal.why(ask("running shoes", ["s1"]), 1, item), str)


def named(name):
    return next(s for s in EVERY if s.name == name)


@pytest.mark.parametrize(
    ("name", "text", "past", "best"),
    [
        ("lexical", "wireless mouse", [], "t1"),
        ("coverage", "cast iron pan", [], "k1"),
        ("title_share", "wireless iron pan", [], "t1"),  # half of a title, not two of five words
        ("title_share", "不锈钢炒锅", [], "k2"),
        ("lexical", "无线鼠标", [], "t2"),
        ("phrases", "anything", [], "s1"),
        ("content", "", ["s1"], "s1"),
        ("popular", "anything", [], "t1"),
        ("popular_unasked", "", [], "t1"),
    ],
)
def test_a_signal_puts_the_item_first_that_a_person_would(ask, toy_catalog, name, text, past, best):
    admitted = named(name).admit(ask(text, past), 3)
    assert toy_catalog.items(admitted)[0].item_id == best


@pytest.mark.parametrize(("name", "text"), [("popular", ""), ("popular_unasked", "mouse")])
def test_popularity_beside_words_and_without_them_are_two_signals(ask, name, text):
    assert np.isnan(named(name).score(ask(text), np.arange(12, dtype=np.int32))).all()


def test_a_dislike_counts_against_its_words(toy_catalog, ask):
    question = ask("", ["s1"])
    shoes, pan = "Trail Running Shoes", "Cast Iron Pan 26 cm"
    question.history = [Past(0, -1.0, shoes, shoes), Past(6, 1.0, pan, pan)]
    scores = named("content").score(question, np.arange(12, dtype=np.int32))
    assert scores[1] == 0.0  # Road Running Shoes
    assert scores[6] > 0.0


def test_items_without_a_vector_are_unknown_to_dense(store, toy_catalog, vectors, ask):
    toy_catalog.add([Item("new", "Trail Running Shoes for Children")])
    index = follow(None, toy_catalog, vectors)
    question = ask("running shoes")
    question.index, question.mask = index, index.live.copy()
    scores = named("dense").score(question, np.array([0, 12], np.int32))
    assert not np.isnan(scores[0])
    assert np.isnan(scores[1])


@pytest.mark.parametrize(
    ("text", "other", "shared"),
    [
        ("running shoes", "Trail Running Shoe", ["running", "shoes"]),
        ("适合慢跑的运动鞋", "运动鞋 男款", ["运动鞋"]),
        ("camera", "Trail Running Shoe", []),
        ("shoes for the trail, shoes", "Shoes for the Trail", ["shoes", "trail"]),
        ("", "x", []),
    ],
)
def test_shared_words_are_quoted_as_they_are_written(text, other, shared):
    assert shared_words(text, other) == shared


def test_the_index_follows_changes_as_if_built_anew(store):
    catalog = Catalog(store)
    catalog.add(TOY_ITEMS[:6])
    state = follow(None, catalog, None)
    catalog.add([*TOY_ITEMS[6:], Item("s1", "Something else altogether", popularity=3.0)])
    catalog.remove(["s2", "b1"])
    state, anew = follow(state, catalog, None), follow(None, catalog, None)
    from pyrec.text import hash_terms

    for words in ("running shoes", "something else", "运动鞋", "backpack"):
        terms = hash_terms(analyze(words))
        ones = np.ones(len(terms), np.float32)
        np.testing.assert_allclose(
            state.text.bm25(terms, ones, 1.2, 0.75, None),
            anew.text.bm25(terms, ones, 1.2, 0.75, None),
            rtol=1e-5,
        )
    np.testing.assert_array_equal(state.live, anew.live)
    np.testing.assert_array_equal(state.popularity, anew.popularity)
    assert follow(state, catalog, None) is state
