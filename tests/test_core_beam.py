"""beam.h: one step of a beam over a trie, and log-probabilities of tokens."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st

from pyrec import _core

F32 = np.float32


def trie_of(*answers):
    ptr = np.cumsum([0, *map(len, answers)], dtype=np.int64)
    return _core.Trie(ptr, np.array([t for a in answers for t in a], np.int32))


def step(trie, logits, nodes, alpha=0.5, theta=1.0, width=10, logprobs=None, priors=None):
    n = len(nodes)
    logprobs = np.zeros(n, F32) if logprobs is None else logprobs
    priors = np.zeros(n, F32) if priors is None else priors
    nodes = np.array(nodes, np.int32)
    return _core.beam_step(trie, logits, nodes, logprobs, priors, alpha, theta, width)


def random_trie(rng, n_vocab, n_answers=12, most=4):
    trie = trie_of(*(rng.integers(0, n_vocab, rng.integers(1, most + 1)) for _ in range(n_answers)))
    trie.prior = rng.normal(-2, 1, len(trie.token)).astype(F32)
    trie.bonus = rng.normal(0, 3, len(trie.token)).astype(F32)
    return trie


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 20), st.floats(0, 1))
def test_agrees_with_its_twin(seed, n_live, width, alpha):
    rng = np.random.default_rng(seed)
    n_vocab = int(rng.integers(1, 70))
    trie = random_trie(rng, n_vocab)
    logits = rng.normal(0, 5, (n_live, n_vocab)).astype(F32)
    nodes = rng.integers(0, len(trie.token), n_live)
    logprobs, priors = rng.normal(-5, 2, (2, n_live)).astype(F32)
    rows, node, logprob, prior, score = step(
        trie, logits, nodes, alpha, 1.5, width, logprobs, priors
    )
    found = twins.beam_step(trie, logits, nodes, logprobs, priors, alpha, 1.5, width)
    expected = [np.array(column) for column in zip(*found, strict=True)] or [np.zeros(0)] * 5
    np.testing.assert_allclose(score, expected[0], rtol=1e-5, atol=2e-5)
    assert rows.tolist() == expected[1].tolist()
    assert node.tolist() == expected[2].tolist()
    np.testing.assert_allclose(logprob, expected[3], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(prior, expected[4], rtol=1e-5, atol=1e-5)


def test_a_node_that_ends_an_answer_and_goes_on_is_returned_and_can_be_walked_from():
    trie = trie_of([5], [5, 7])
    logits = np.zeros((1, 10), F32)
    first = step(trie, logits, [0])[1]
    assert first.tolist() == [1]
    assert trie.answer[1] == 0
    second = step(trie, logits, first)[1]
    assert second.tolist() == [2]
    assert trie.answer[2] == 1


def test_a_leaf_gives_no_children():
    trie = trie_of([5])
    rows, node, *_ = step(trie, np.zeros((2, 10), F32), [1, 0])
    assert rows.tolist() == [1]
    assert node.tolist() == [1]


def test_equal_scores_go_to_the_lower_row_and_then_the_lower_node():
    trie = trie_of([2], [4], [6])
    rows, node, *_ = step(trie, np.zeros((2, 8), F32), [0, 0], width=4)
    assert rows.tolist() == [0, 0, 0, 1]
    assert node.tolist() == [1, 2, 3, 1]


def test_a_bonus_below_keeps_an_improbable_path_alive():
    trie = trie_of([2, 3], [4, 5])
    logits = np.zeros((1, 8), F32)
    logits[0, 2] = 5
    assert step(trie, logits, [0], width=1)[1].tolist() == [1]
    trie.set_bonus_from_answers(np.array([0, 50], F32))
    assert step(trie, logits, [0], width=1)[1].tolist() == [2]


def test_alpha_takes_off_what_is_expected_of_any_question():
    trie = trie_of([2], [4])
    trie.prior = np.array([0, -1, -9], F32)
    logits = np.zeros((1, 8), F32)
    logits[0, 2] = 3
    assert step(trie, logits, [0], alpha=0, width=1)[1].tolist() == [1]
    assert step(trie, logits, [0], alpha=1, width=1)[1].tolist() == [2]


def test_walking_a_wide_beam_gives_every_answer_its_exact_probability(rng):
    """With logits that depend on the node alone, steps add up to the product of the softmaxes."""
    trie = random_trie(rng, 20, n_answers=30)
    table = rng.normal(0, 2, (len(trie.token), 20)).astype(F32)
    live, logprobs, priors = np.zeros(1, np.int32), np.zeros(1, F32), np.zeros(1, F32)
    reached = {}
    while len(live):
        _, live, logprobs, priors, _ = _core.beam_step(
            trie, table[live], live, logprobs, priors, 0.5, 1.0, 1000
        )
        reached |= dict(zip(live.tolist(), logprobs.tolist(), strict=True))
    assert len(reached) == len(trie.token) - 1
    for node, logprob in reached.items():
        expected = 0.0
        while node:
            parent = trie.parent[node]
            expected += twins.log_softmax_row(table[parent])[trie.token[node]]
            node = parent
        assert logprob == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n_vocab", [1, 7, 31, 32, 33, 4095, 4096, 4097, 262_144])
@pytest.mark.parametrize("spread", [0.1, 5.0, 40.0])
def test_token_logprobs_agree_with_double_precision(n_vocab, spread, rng):
    logits = rng.normal(30, spread, (3, n_vocab)).astype(F32)
    tokens = rng.integers(0, n_vocab, (3, 4)).astype(np.int32)
    np.testing.assert_allclose(
        _core.token_logprobs(logits, tokens),
        twins.token_logprobs(logits, tokens),
        rtol=1e-6,
        atol=3e-5,
    )


def test_probabilities_of_a_vocabulary_sum_to_one(rng):
    logits = rng.normal(0, 4, (1, 50)).astype(F32)
    logprobs = _core.token_logprobs(logits, np.arange(50, dtype=np.int32)[None, :])
    assert np.exp(logprobs.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


def test_forbidden_and_unknown_logits_do_not_spread():
    logits = np.array([[0, 0, -np.inf, np.nan]], F32)
    logprobs = _core.token_logprobs(logits, np.arange(4, dtype=np.int32)[None, :])
    np.testing.assert_allclose(logprobs[0], [-np.log(2), -np.log(2), -np.inf, np.nan], rtol=1e-6)
    node = step(trie_of([0], [2], [3]), logits, [0])[1]
    assert node.tolist() == [1, 2]


def test_a_token_outside_the_vocabulary_is_an_index_error():
    with pytest.raises(IndexError, match="token 9 is not in a vocabulary of 9"):
        step(trie_of([9]), np.zeros((1, 9), F32), [0])
    with pytest.raises(IndexError, match="token -1 is not"):
        _core.token_logprobs(np.zeros((1, 9), F32), np.array([[-1]], np.int32))


def test_a_node_outside_the_trie_is_an_index_error():
    with pytest.raises(IndexError, match="node 7 is not in a trie of 2 nodes"):
        step(trie_of([5]), np.zeros((1, 9), F32), [7])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="nodes has 1 entries; expected 2"):
        step(trie_of([5]), np.zeros((2, 9), F32), [0])
    with pytest.raises(ValueError, match="logprobs has 3 entries; expected 1"):
        step(trie_of([5]), np.zeros((1, 9), F32), [0], logprobs=np.zeros(3, F32))
    with pytest.raises(ValueError, match="tokens has 2 entries; expected 1"):
        _core.token_logprobs(np.zeros((1, 9), F32), np.zeros((2, 1), np.int32))
