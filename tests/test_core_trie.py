"""trie.h: the answers that can be generated."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

# A small alphabet and short answers, so that prefixes, repeats and empty answers are common.
answer_lists = st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=12)


def trie_of(answers):
    ptr = np.cumsum([0, *map(len, answers)], dtype=np.int64)
    return _core.Trie(ptr, np.array([t for a in answers for t in a], np.int32))


@given(answer_lists)
def test_agrees_with_its_twin(answers):
    trie, twin = trie_of(answers), twins.Trie(answers)
    assert trie.token.tolist() == [p[-1] if p else -1 for p in twin.prefix]
    assert trie.depth.tolist() == [len(p) for p in twin.prefix]
    assert trie.parent.tolist() == [twin.node[p[:-1]] if p else -1 for p in twin.prefix]
    for node in range(len(twin.prefix)):
        children = twin.children(node)
        assert trie.n_children[node] == len(children)
        assert trie.first_child[node] == (children[0] if children else -1)
        ending = twin.answers_at(node)
        assert trie.answers_at(node).tolist() == ending
        assert trie.answer[node] == (ending[0] if ending else -1)


@given(answer_lists, st.data())
def test_the_bonus_is_the_best_score_at_or_below(answers, data):
    trie, twin = trie_of(answers), twins.Trie(answers)
    drawn = st.lists(
        st.floats(width=32, allow_nan=False), min_size=len(answers), max_size=len(answers)
    )
    scores = np.array(data.draw(drawn), np.float32)
    trie.set_bonus_from_answers(scores)
    expected = [twin.best_below(n, scores) for n in range(len(twin.prefix))] if answers else [0]
    assert trie.bonus.tolist() == expected
    assert trie.ahead.tolist() == (
        [twin.ahead(n, scores) for n in range(len(twin.prefix))] if answers else [0]
    )


@given(answer_lists.filter(len), st.integers(0, 1000))
def test_what_is_gained_on_the_way_counts(answers, seed):
    trie, twin = trie_of(answers), twins.Trie(answers)
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=len(answers)).astype(np.float32)
    gain = rng.normal(size=len(trie.token)).astype(np.float32)
    trie.set_bonus_from_answers(scores, gain)
    expected = [twin.with_gain(n, scores, gain) for n in range(len(twin.prefix))]
    np.testing.assert_allclose(trie.bonus, expected, atol=1e-5)
    length = rng.random(len(trie.token)).astype(np.float32)
    trie.set_bonus_from_answers(scores, gain, length)
    ahead = [twin.ahead_by(n, scores, gain, length) for n in range(len(twin.prefix))]
    np.testing.assert_allclose(trie.ahead, ahead, atol=1e-5)
    trie.set_bonus_from_answers(scores)
    assert trie.bonus[0] == scores.max()
    with pytest.raises(ValueError, match="gain"):
        trie.set_bonus_from_answers(scores, gain[:-1])
    with pytest.raises(ValueError, match="nan"):
        trie.set_bonus_from_answers(scores, np.full_like(gain, np.nan))


def test_an_answer_may_be_the_prefix_of_another():
    trie = trie_of([[5, 7], [5]])
    assert trie.answer.tolist() == [-1, 1, 0]
    assert trie.n_children.tolist() == [1, 1, 0]


def test_equal_answers_share_a_node():
    trie = trie_of([[5], [6], [5]])
    assert trie.answer.tolist() == [-1, 0, 1]
    assert trie.answers_at(1).tolist() == [0, 2]


def test_many_equal_answers_come_in_their_order(rng):
    answers = [[int(t)] for t in rng.integers(0, 3, 300)]
    trie = trie_of(answers)
    for node in (1, 2, 3):
        same = [i for i, answer in enumerate(answers) if answer == [trie.token[node]]]
        assert trie.answers_at(node).tolist() == same


def test_a_trie_of_nothing_is_a_root():
    trie = trie_of([])
    assert trie.token.tolist() == [-1]
    assert trie.answers_at(0).tolist() == []


def test_prior_and_bonus_start_at_zero_and_take_a_whole_array():
    trie = trie_of([[5, 7]])
    assert (trie.prior.tolist(), trie.bonus.tolist()) == ([0, 0, 0], [0, 0, 0])
    before = trie.prior
    trie.prior = np.array([0, -1, -2], np.float32)
    trie.bonus = np.array([1, 2, 3], np.float32)
    assert before.tolist() == [0, -1, -2]
    assert trie.bonus.tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["prior", "bonus"])
def test_a_wrong_array_for_the_nodes_is_refused(name):
    trie = trie_of([[5, 7]])
    with pytest.raises(ValueError, match=f"{name} has 2 entries; expected 3"):
        setattr(trie, name, np.zeros(2, np.float32))
    with pytest.raises(TypeError):
        setattr(trie, name, np.zeros(3))


def test_views_are_read_only_and_outlive_the_trie():
    token = trie_of([[5, 7], [6]]).token
    gc.collect()
    assert token.tolist() == [-1, 5, 6, 7]
    assert not token.flags.writeable
    with pytest.raises(AttributeError):
        trie_of([[5]]).token = token


def test_a_score_that_is_nan_is_refused():
    with pytest.raises(ValueError, match=r"scores\[0\] is nan"):
        trie_of([[5]]).set_bonus_from_answers(np.array([np.nan], np.float32))


def test_scores_must_match_the_answers():
    with pytest.raises(ValueError, match="scores has 2 entries; expected 1"):
        trie_of([[5]]).set_bonus_from_answers(np.zeros(2, np.float32))


def test_a_node_that_is_not_there_is_an_index_error():
    with pytest.raises(IndexError, match="node 2 is not in a trie of 2 nodes"):
        trie_of([[5]]).answers_at(2)


def test_negative_tokens_are_refused():
    with pytest.raises(ValueError, match=r"tokens\[1\] is -3"):
        trie_of([[5, -3]])


def test_offsets_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="ptr ends at 3"):
        _core.Trie(np.array([0, 3], np.int64), np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="ptr must start with 0"):
        _core.Trie(np.zeros(0, np.int64), np.zeros(0, np.int32))


def test_twenty_thousand_titles_become_a_trie_that_spells_them(rng):
    answers = [rng.integers(0, 50, rng.integers(1, 12)).tolist() for _ in range(20_000)]
    trie = trie_of(answers)
    token, parent = trie.token, trie.parent
    ends = np.zeros(len(answers), np.int64)
    for node in np.flatnonzero(trie.answer >= 0):
        ends[trie.answers_at(node)] = node
    for answer, node in zip(answers, ends, strict=True):
        spelled = []
        while node:
            spelled.append(token[node])
            node = parent[node]
        assert spelled[::-1] == answer
