import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedModel

from pyrec.answer_trie import AnswerTrie
from pyrec.decoding import BeamConfig, beam_search, node_logprobs, read_all
from pyrec.errors import ContextLengthError, EmptyAnswerSpaceError
from pyrec.lm import NEUTRAL

WORDS = ["shoe", "shoes", "shoe rack", "sock", "hat", "hats", "h", "umbrella", "sandal"]

answers = st.lists(st.text("abcd", min_size=1, max_size=5), min_size=1, max_size=25)


def trie_of(model, words):
    return AnswerTrie([model.tokenize(w) for w in words])


def exhaustive(model, words, prompt, neutral=None, alpha=0.0, theta=1.0, bonus=None):
    """Score every answer by reading all of it, one token after the other."""
    scores = []
    for n, word in enumerate(words):
        total = 0.0
        for start, weight in ((prompt, 1.0), (neutral, -alpha)):
            if start is None or weight == 0.0:
                continue
            path = tuple(int(t) for t in start)
            for token in model.tokenize(word):
                row = model._logits(path).astype(np.float64)
                top = row.max()
                total += weight * (row[token] - top - np.log(np.exp(row - top).sum()))
                path = (*path, int(token))
        scores.append(theta * total + (bonus[n] if bonus is not None else 0.0))
    return np.array(scores)


@settings(max_examples=60, deadline=None)
@given(answers, st.integers(0, 1000))
def test_a_wide_enough_beam_equals_exhaustive_scoring(words, seed):
    model = ScriptedModel(n_branches=64)
    prompt = model.tokenize(f"q{seed}", start=True)
    found = beam_search(model, trie_of(model, words), prompt, 5, BeamConfig(num_beams=64))
    scores = exhaustive(model, words, prompt)
    best = np.sort(scores)[::-1][: len(found)]
    assert len(found) == min(5, len(words))
    np.testing.assert_allclose([a.score for a in found], best, atol=1e-3)
    np.testing.assert_allclose(
        [a.score for a in found], scores[[a.index for a in found]], atol=1e-3
    )


@settings(max_examples=60, deadline=None)
@given(answers, st.integers(1, 3), st.integers(0, 1000), st.sampled_from([0.0, 2.0, np.inf]))
def test_a_beam_emits_answers_of_the_trie_only_and_each_once(words, width, seed, slack):
    model = ScriptedModel()
    prompt = model.tokenize(f"q{seed}", start=True)
    config = BeamConfig(num_beams=width, slack=slack)
    found = beam_search(model, trie_of(model, words), prompt, 10, config)
    indexes = [a.index for a in found]
    assert found
    assert len(set(indexes)) == len(indexes)
    assert all(0 <= i < len(words) for i in indexes)
    assert [a.score for a in found] == sorted((a.score for a in found), reverse=True)


@settings(max_examples=40, deadline=None)
@given(answers, st.integers(0, 100))
def test_priors_read_on_the_way_equal_priors_read_before(words, seed):
    model = ScriptedModel(n_branches=128)
    prompt = model.tokenize(f"q{seed}", start=True)
    neutral = model.tokenize("thing", start=True)
    config = BeamConfig(num_beams=64, alpha=0.5)
    known = trie_of(model, words)
    *_, (_, prior) = node_logprobs(model, known, neutral)
    known.set_prior(prior)
    before = beam_search(model, known, prompt, 5, config)
    on_the_way = beam_search(model, trie_of(model, words), prompt, 5, config, neutral)
    expected = np.sort(exhaustive(model, words, prompt, neutral, alpha=0.5))[::-1][: len(before)]
    np.testing.assert_allclose([a.score for a in before], expected, atol=1e-3)
    np.testing.assert_allclose([a.score for a in on_the_way], expected, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(answers, st.integers(0, 100), st.floats(0.0, 2.0))
def test_the_score_is_the_models_word_plus_the_bonus(words, seed, theta):
    model = ScriptedModel(n_branches=64)
    prompt = model.tokenize(f"q{seed}", start=True)
    bonus = np.random.default_rng(seed).normal(size=len(words)).astype(np.float32)
    trie = trie_of(model, words)
    trie.set_bonus(bonus)
    found = beam_search(model, trie, prompt, 3, BeamConfig(num_beams=64, theta=theta))
    full = exhaustive(model, words, prompt, theta=theta, bonus=bonus)
    np.testing.assert_allclose(
        [a.score for a in found], np.sort(full)[::-1][: len(found)], atol=1e-3
    )


def test_reading_the_whole_trie_gives_every_answers_logprob():
    model = ScriptedModel()
    prompt = model.tokenize("shoes please", start=True)
    trie = trie_of(model, WORDS)
    got = read_all(model, trie, prompt)
    np.testing.assert_allclose(got, exhaustive(model, WORDS, prompt), atol=1e-3)


def test_answers_that_end_below_a_live_branch_cost_no_model_call():
    model = ScriptedModel()
    found = beam_search(
        model, trie_of(model, list("abcdefgh")), model.tokenize("q", start=True), 5, BeamConfig()
    )
    assert len(found) == 5
    assert model.n_calls == 0


def test_a_run_of_only_children_is_read_in_one_call():
    model = ScriptedModel()
    beam_search(
        model, trie_of(model, ["umbrella"]), model.tokenize("q", start=True), 1, BeamConfig()
    )
    assert model.n_calls == 1
    assert model.n_tokens == len("umbrella") - 1


def test_branches_far_below_the_kth_best_answer_are_not_read():
    question, neutral = (ScriptedModel().tokenize(t, start=True) for t in "?!")
    a, b = ScriptedModel().tokenize("ab")

    def logits(path):
        row = np.zeros(128, np.float32)
        if path == tuple(question):
            row[[a, b]] = 8.0, 5.0
        elif path[: len(neutral)] == tuple(neutral) and b in path:
            row[a] = 20.0  # so that what follows b might still gain a lot
        return row

    calls = []
    for slack in (np.inf, 2.0, 1.0):
        model = ScriptedModel(logits)
        trie = trie_of(model, ["a", "bcdef", "bcxyz"])
        *_, (_, prior) = node_logprobs(model, trie, neutral)
        trie.set_prior(prior)
        before = model.n_calls
        found = beam_search(model, trie, question, 1, BeamConfig(4, alpha=0.5, slack=slack))
        calls.append(model.n_calls - before)
    assert calls[0] >= calls[1] > calls[2] == 0
    assert [answer.index for answer in found] == [0]


@settings(max_examples=60, deadline=None)
@given(answers, st.integers(0, 1000))
def test_without_priors_no_slack_loses_nothing(words, seed):
    model = ScriptedModel(n_branches=64)
    prompt = model.tokenize(f"q{seed}", start=True)
    searches = [
        beam_search(model, trie_of(model, words), prompt, 5, BeamConfig(64, slack=slack))
        for slack in (np.inf, 0.0)
    ]
    assert searches[0] == searches[1]


def test_a_search_stops_when_no_live_branch_can_win():
    def sure(path):
        row = np.full(128, -50.0, np.float32)
        row[ScriptedModel().tokenize("a")[0]] = 0.0
        return row

    model = ScriptedModel(sure)
    trie = trie_of(model, ["a", "bcdef", "bcxyz"])
    found = beam_search(model, trie, model.tokenize("q", start=True), 1, BeamConfig(num_beams=4))
    assert [a.index for a in found] == [0]
    assert model.n_calls == 0


def test_nothing_to_choose_from_is_an_error_that_says_so():
    with pytest.raises(EmptyAnswerSpaceError, match="no answer to choose from"):
        AnswerTrie([])


def test_asking_for_no_answer_is_the_callers_slip():
    model = ScriptedModel()
    with pytest.raises(ValueError, match="k is 0"):
        beam_search(model, trie_of(model, ["a"]), model.tokenize("q"), 0, BeamConfig())


def test_a_prompt_longer_than_the_context_is_an_error():
    model = ScriptedModel(n_ctx=10)
    with pytest.raises(ContextLengthError):
        beam_search(model, trie_of(model, ["a"]), model.tokenize("x" * 50), 1, BeamConfig())


def test_a_beam_for_which_the_context_has_no_room_is_narrower():
    words = [first + "xyz" * 5 + last for first in "abcdefgh" for last in "pq"]
    model = ScriptedModel(n_ctx=40)  # the prompt, and two branches of 16
    found = beam_search(model, trie_of(model, words), model.tokenize("q"), 4, BeamConfig(8))
    scores = exhaustive(model, words, model.tokenize("q"))
    assert len(found) == 4
    np.testing.assert_allclose(
        [a.score for a in found], scores[[a.index for a in found]], atol=1e-3
    )


def test_the_neutral_twins_and_a_prompt_kept_from_before_take_room_too():
    words = [first + "xyz" * 3 for first in "abcdefgh"]
    for neutral in (ScriptedModel().tokenize("!!"), None):
        for stride in (0, 1, 4):
            model = ScriptedModel(n_ctx=45)
            model.prompt(model.tokenize("n" * 15), NEUTRAL)
            config = BeamConfig(8, alpha=1.0 if neutral is not None else 0.0, stride=stride)
            found = beam_search(
                model, trie_of(model, words), model.tokenize("q"), 2, config, neutral
            )
            assert len(found) == 2


def test_a_branch_too_long_for_the_context_leaves_room_to_the_others():
    model = ScriptedModel(n_ctx=30)
    words = ["a", "b" * 60 + "c", "b" * 60 + "d", "efgh", "efgi"]
    trie = trie_of(model, words)
    trie.set_bonus(np.array([0, 50, 50, 1, 1], np.float32))
    found = beam_search(model, trie, model.tokenize("qqq"), 5, BeamConfig(2))
    assert sorted(a.index for a in found) == [0, 3, 4]


def test_answers_longer_than_the_context_leave_the_finished_ones():
    model = ScriptedModel(n_ctx=8)
    words = ["a", "b" * 30 + "c", "b" * 30 + "d"]
    found = beam_search(model, trie_of(model, words), model.tokenize("qqq"), 3, BeamConfig())
    assert [a.index for a in found] == [0]


def test_a_model_without_weight_leaves_the_order_to_the_bonus():
    model = ScriptedModel()
    trie = trie_of(model, ["aa", "ab", "b"])
    trie.set_bonus(np.array([0.1, 0.3, 0.2], np.float32))
    prompt = model.tokenize("q", start=True)
    found = beam_search(model, trie, prompt, 2, BeamConfig(num_beams=4, theta=0.0))
    assert [answer.index for answer in found] == [1, 2]


@settings(max_examples=60, deadline=None)
@given(answers, st.integers(1, 7), st.integers(0, 1000))
def test_strides_and_guesses_lose_nothing_where_all_branches_go_on(words, stride, seed):
    model = ScriptedModel(n_branches=128)
    prompt, neutral = (model.tokenize(f"{q}{seed}", start=True) for q in "q!")
    bonus = np.random.default_rng(seed).normal(size=len(words)).astype(np.float32)
    trie = trie_of(model, words)
    trie.set_bonus(bonus)
    config = BeamConfig(num_beams=64, alpha=1.0, theta=0.5, slack=1000.0, stride=stride)
    found = beam_search(model, trie, prompt, 5, config, neutral)
    scores = exhaustive(model, words, prompt, neutral, alpha=1.0, theta=0.5, bonus=bonus)
    np.testing.assert_allclose(
        [a.score for a in found], np.sort(scores)[::-1][: len(found)], atol=1e-3
    )


def speaking_for(letter, question):
    """Logits of a model that finds a letter likely anywhere after one prompt, and no other."""
    good = int(ScriptedModel().tokenize(letter)[0])

    def logits(path):
        row = np.zeros(128, np.float32)
        if path[: len(question)] == tuple(question):
            row[good] = 5.0
        return row

    return logits


def test_what_a_token_gained_in_its_place_it_is_expected_to_gain_in_the_next_answer():
    model = ScriptedModel()
    question, neutral = (model.tokenize(q, start=True) for q in "?!")
    y, z = model.tokenize("yz").tolist()

    def logits(path):
        row = np.zeros(128, np.float32)
        if path[: len(question)] == tuple(question):
            row[z] = 5.0 if path[-1] == y else -3.0  # z is spoken for after y, and nowhere else
        return row

    words = ["yzyzyzyz", "kabyzyz", "kabcccc"]
    model = ScriptedModel(logits)
    trie = trie_of(model, words)
    trie.set_bonus(np.array([1.0, 0.2, 0.6], np.float32))
    config = BeamConfig(2, alpha=1.0, stride=4)
    found = beam_search(model, trie, question, 2, config, neutral)
    assert {answer.index for answer in found} == {0, 1}


def test_what_the_model_expects_anyway_can_hardly_gain():
    read = set()
    expected = int(ScriptedModel().tokenize("e")[0])

    def logits(path):
        read.update(path)
        row = np.zeros(128, np.float32)
        row[expected] = 10.0
        return row

    model = ScriptedModel(logits)
    question, neutral = (model.tokenize(q, start=True) for q in "?!")
    trie = trie_of(model, ["z", "ceeeeeee", "dfffffff"])
    trie.set_bonus(np.array([0.95, 0.9, 0.9], np.float32))
    config = BeamConfig(4, alpha=1.0, slack=0.08, stride=4)
    found = beam_search(model, trie, question, 1, config, neutral)
    assert [answer.index for answer in found] == [0]
    c, d = model.tokenize("cd").tolist()
    assert d in read
    assert c not in read


@pytest.mark.parametrize("slack", [0.08, 5.0])
def test_an_answer_that_another_begins_with_does_not_hide_it(slack):
    model = ScriptedModel()
    question, neutral = (model.tokenize(q, start=True) for q in "?!")
    logits = speaking_for("c", question)
    model = ScriptedModel(logits)
    trie = trie_of(model, ["a", "b", "bc"])
    trie.set_bonus(np.array([0.5, 0.4, 0.4], np.float32))
    config = BeamConfig(4, alpha=1.0, slack=slack, stride=4)
    found = beam_search(model, trie, question, 1, config, neutral)
    assert found[0].index == 2


def test_a_finished_answer_keeps_no_place_for_what_begins_with_it():
    model = ScriptedModel(lambda path: np.zeros(128, np.float32))
    question, neutral = (model.tokenize(q, start=True) for q in "?!")
    trie = trie_of(model, ["b", "bq", "cde"])
    trie.set_bonus(np.array([5.0, -5.0, 1.0], np.float32))
    config = BeamConfig(1, alpha=1.0, stride=4)
    found = beam_search(model, trie, question, 2, config, neutral)
    assert [answer.index for answer in found] == [0, 2]


@pytest.mark.parametrize("reads_neutral", [True, False])
@pytest.mark.parametrize("never", [-np.inf, np.nan])
def test_a_token_that_the_model_forbids_is_found_in_no_answer(reads_neutral, never):
    def logits(path):
        row = np.zeros(128, np.float32)
        row[forbidden] = never
        return row

    model = ScriptedModel(logits)
    forbidden = int(model.tokenize("x")[0])
    question, neutral = (model.tokenize(q, start=True) for q in "?!")
    trie = trie_of(model, ["abc", "axc", "bcdefg", "x"])
    config = BeamConfig(4, alpha=float(reads_neutral), slack=0.08, stride=2)
    found = beam_search(model, trie, question, 2, config, neutral if reads_neutral else None)
    assert {answer.index for answer in found} == {0, 2}
    assert all(np.isfinite(answer.score) for answer in found)


def test_what_is_gained_over_priors_is_not_guessed_without_a_neutral_prompt():
    model = ScriptedModel()
    question = model.tokenize("?", start=True)
    with pytest.raises(ValueError, match=r"stride is 2, alpha 0.5; give a neutral prompt"):
        beam_search(model, trie_of(model, WORDS), question, 2, BeamConfig(alpha=0.5, stride=2))


@pytest.mark.parametrize("reads_neutral", [True, False])
def test_what_a_prompt_speaks_for_is_found_however_late_it_comes(reads_neutral):
    model = ScriptedModel()
    question, neutral = (model.tokenize(q, start=True) for q in "?!")
    logits = speaking_for("z", question)
    words = ["abcdefgh", "bcdefghi", "cdefghij", "defghijz"]
    for stride, expected in ((4, 3), (0, 0)):
        model = ScriptedModel(logits)
        trie = trie_of(model, words)
        trie.set_bonus(np.array([0.9, 0.8, 0.7, 0.3], np.float32))
        config = BeamConfig(2, alpha=1.0 if reads_neutral else 0.0, stride=stride)
        found = beam_search(model, trie, question, 1, config, neutral if reads_neutral else None)
        assert found[0].index == expected


@settings(max_examples=60, deadline=None)
@given(answers, st.integers(0, 1000))
def test_an_answer_that_others_begin_with_counts_once_among_the_best(words, seed):
    model = ScriptedModel(n_branches=128)
    prompt = model.tokenize("q", start=True)
    bonus = np.random.default_rng(seed).normal(size=len(words)).astype(np.float32)
    trie = trie_of(model, words)
    trie.set_bonus(bonus)
    found = beam_search(
        model, trie, prompt, 3, BeamConfig(64, theta=np.float64(0.0), slack=0.8, stride=6)
    )
    best = np.sort(bonus)[::-1][: len(found)]
    np.testing.assert_allclose([a.score for a in found], best, atol=1e-6)


def test_a_search_leaves_the_trie_as_it_found_it():
    model = ScriptedModel()
    trie = trie_of(model, WORDS)
    trie.set_bonus(np.linspace(0, 1, len(WORDS)).astype(np.float32))
    before = trie.core.bonus.copy(), trie.core.ahead.copy()
    prompt = model.tokenize("q", start=True)
    beam_search(model, trie, prompt, 3, BeamConfig(5, stride=2))
    np.testing.assert_array_equal((trie.core.bonus, trie.core.ahead), before)


def test_a_stride_is_the_most_that_is_read_at_once():
    model = ScriptedModel()
    steps = []
    grow = model.grow
    model.grow = lambda parents, tokens: (
        steps.append(max(map(len, tokens))) or grow(parents, tokens)
    )
    trie = trie_of(model, ["abcdefghij", "klmnopqrst"])
    beam_search(model, trie, model.tokenize("q", start=True), 2, BeamConfig(2, stride=4))
    assert steps == [4, 4, 1]
