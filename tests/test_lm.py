"""The real llama.cpp on real GGUF files: tiny ones written here, and the pulled ones."""

import platform

import numpy as np
import pytest
from model_samples import real_model, write_llama
from tiny_t5 import N_VOCAB, write_t5

from pyrec.answer_trie import AnswerTrie
from pyrec.decoding import BeamConfig, beam_search, read_all
from pyrec.errors import ContextLengthError, ModelError, ModelFileError
from pyrec.lm import NEUTRAL, PROMPT, LanguageModel


def logprobs(logits):
    row = np.asarray(logits, np.float64)
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


@pytest.fixture(params=["llama", "t5"])
def tiny(request, tmp_path):
    path = tmp_path / "tiny.gguf"
    write_t5(path) if request.param == "t5" else write_llama(path)
    model = LanguageModel(path, n_ctx=64, n_branches=8)
    yield model
    model.close()


@pytest.fixture
def answers(rng):
    return [rng.integers(1, 30, rng.integers(1, 5)).astype(np.int32) for _ in range(30)]


PROMPT_TOKENS = np.array([3, 5, 7, 2], np.int32)


def test_the_beam_agrees_with_exhaustive_scoring(tiny, answers):
    trie = AnswerTrie(answers)
    full = read_all(tiny, trie, PROMPT_TOKENS)
    found = beam_search(tiny, trie, PROMPT_TOKENS, 5, BeamConfig(num_beams=8, slack=0.0))
    np.testing.assert_allclose(
        [a.logprob for a in found], full[[a.index for a in found]], atol=1e-3
    )
    wide = beam_search(tiny, trie, PROMPT_TOKENS, 5, BeamConfig(num_beams=8))
    assert [a.index for a in wide][:1] == [int(np.argmax(full))]


def test_branches_read_as_the_whole_text_would(tiny):
    first = tiny.prompt(PROMPT_TOKENS).copy()
    rows = tiny.grow([PROMPT, PROMPT], [[4], [9, 6]]).copy()
    again = tiny.grow([1, 0, 1], [[8], [8], [11]]).copy()
    fresh = tiny.prompt(PROMPT_TOKENS)
    np.testing.assert_allclose(first, fresh, atol=1e-4)
    one = tiny.grow([PROMPT], [[9, 6, 8]])
    np.testing.assert_allclose(one[1], rows[2], atol=1e-4)
    np.testing.assert_allclose(one[2], again[0], atol=1e-4)


def test_a_common_beginning_changes_nothing(tmp_path):
    model = LanguageModel(write_llama(tmp_path / "tiny.gguf"), n_ctx=64, n_branches=4)
    other = np.array([3, 5, 9, 9, 2], np.int32)
    model.prompt(PROMPT_TOKENS)
    warm = model.prompt(other).copy()
    model.close()
    model = LanguageModel(tmp_path / "tiny.gguf", n_ctx=64, n_branches=4)
    np.testing.assert_allclose(model.prompt(other), warm, atol=1e-5)
    model.close()


def test_a_neutral_prompt_is_kept_beside_the_first(tmp_path):
    model = LanguageModel(write_llama(tmp_path / "tiny.gguf"), n_ctx=64, n_branches=4)
    other = np.array([9, 9, 1], np.int32)
    alone = model.prompt(other).copy()
    model.prompt(other, NEUTRAL)
    model.prompt(PROMPT_TOKENS)
    rows = model.grow([PROMPT, NEUTRAL], [[4], [4]]).copy()
    model.prompt(np.array([9, 9, 1, 4], np.int32))
    np.testing.assert_allclose(model.prompt(np.array([9, 9, 1, 4], np.int32)), rows[1], atol=1e-4)
    np.testing.assert_allclose(model.prompt(other), alone, atol=1e-4)
    model.close()


def test_an_encoder_decoder_reads_one_prompt_at_a_time(tmp_path):
    model = LanguageModel(write_t5(tmp_path / "t5.gguf"), n_ctx=64, n_branches=4)
    assert not model.reads_two
    assert model.n_vocab == N_VOCAB
    with pytest.raises(ModelError, match="one prompt at a time"):
        model.prompt(PROMPT_TOKENS, NEUTRAL)
    model.close()


def test_a_prompt_longer_than_the_context_is_an_error_not_a_crash(tiny):
    with pytest.raises(ContextLengthError, match="does not fit"):
        tiny.prompt(np.ones(200, np.int32))
    with pytest.raises(ContextLengthError):
        tiny.prompt(np.empty(0, np.int32))
    assert np.isfinite(tiny.prompt(PROMPT_TOKENS)).all()


def test_a_full_context_is_an_error_and_the_model_goes_on(tiny):
    tiny.prompt(PROMPT_TOKENS)
    with pytest.raises(ContextLengthError):
        tiny.grow([PROMPT], [[1] * 100])
    assert np.isfinite(tiny.prompt(PROMPT_TOKENS)).all()


def test_a_file_that_is_no_model_is_named(tmp_path):
    path = tmp_path / "foreign.gguf"
    path.write_bytes(b"GGUF" + b"\x00" * 1000)
    with pytest.raises(ModelFileError, match=r"foreign\.gguf"):
        LanguageModel(path)


@pytest.mark.model
def test_a_real_model_writes_what_a_question_means():
    model = LanguageModel(real_model("gemma3-270m"))
    shelves = ["手机", "凉鞋", "汽车", "蛋糕", "钢琴"]
    trie = AnswerTrie([model.tokenize(shelf) for shelf in shelves])
    prompt = "搜索：shoes\n商品：鞋\n搜索：phone\n商品：手机\n搜索：{}\n商品："
    # Each by several nats: sums differ a little from processor to processor.
    for word, shelf in (("cake", "蛋糕"), ("car", "汽车"), ("piano", "钢琴")):
        start = model.tokenize(prompt.format(word), start=True)
        assert shelves[beam_search(model, trie, start, 1, BeamConfig())[0].index] == shelf
    model.close()


TITLES = [
    f"{color} {kind} for {who}, size 39, by Trailhead and Brightpaw"
    for color in ("Red", "Blue", "Green")
    for kind in ("Running Shoes", "Waterproof Jacket", "Steel Bottle")
    for who in ("men", "women", "long winters", "dogs")
]  # more tokens than are read at once

on_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="the kernels of x86-64"
)


both_models = pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])


@pytest.mark.model
@on_x86
@both_models
def test_a_text_is_read_alike_in_any_company(name):
    model = LanguageModel(real_model(name))
    prompt = model.tokenize("A shopper asks for something warm and dry. We show:", start=True)
    titles = [model.tokenize(" " + title) for title in TITLES]
    together = read_all(model, AnswerTrie(titles), prompt)
    for half in (slice(0, None, 2), slice(1, None, 2)):
        alone = read_all(model, AnswerTrie(titles[half]), prompt)
        np.testing.assert_array_equal(alone, together[half])
    model.close()


@pytest.mark.model
@on_x86
@both_models
def test_a_branch_is_read_alike_whichever_others_ended(name):
    model = LanguageModel(real_model(name))
    prompt = model.tokenize("A shopper asks for something warm and dry. We show:", start=True)
    titles = [model.tokenize(" " + title).tolist() for title in TITLES[::4]]
    model.prompt(prompt)
    alone = model.grow([PROMPT], [titles[-1]])[-1].copy()
    model.prompt(prompt)
    model.grow([PROMPT] * len(titles), [title[:3] for title in titles])
    model.grow([0, 4, len(titles) - 1], [titles[0][3:], titles[4][3:], titles[-1][3:5]])
    beside = model.grow([2, 2], [titles[-1][5:], titles[0]])[len(titles[-1]) - 6]
    np.testing.assert_array_equal(beside, alone)
    model.close()


@pytest.mark.model
@on_x86
@both_models
def test_a_prompt_is_read_alike_after_one_that_begins_alike(name):
    model = LanguageModel(real_model(name))
    text = model.tokenize("A shopper asks for something warm and dry that lasts. " * 16, start=True)
    for length in (9, 59, 60, 61, 63, 67, 68, 121, 127, 128):
        prompt = text[:length]
        model.prompt(np.array([length], np.int32))  # begins otherwise: all of the next is read
        before = model.prompt(prompt).copy()
        for n in (1, 3, 12):
            model.prompt(np.append(prompt[:-n], prompt[0]))
            np.testing.assert_array_equal(model.prompt(prompt), before, str((length, n)))
    model.close()


def test_branches_that_fill_the_context_are_read_to_the_end(tiny):
    tiny.prompt(PROMPT_TOKENS)
    whole = [3, 9, 4, 8, 2, 6, 5, 7, 3, 9, 4, 8]
    rows = tiny.grow([PROMPT] * 6, [[n] for n in range(3, 9)]).copy()
    for n in range(1, 12):  # five end at each step; more is read than there is room for
        tokens = [[whole[n]], *([[1]] * 5)]
        rows = tiny.grow([0] * 6, tokens).copy()
    tiny.prompt(PROMPT_TOKENS)
    np.testing.assert_allclose(rows[0], tiny.grow([PROMPT], [whole])[-1], atol=1e-4)


@pytest.mark.model
def test_text_that_looks_like_a_special_token_stays_text():
    model = LanguageModel(real_model("smollm2-135m"))
    assert len(model.tokenize("<|im_start|>")) > 1
    assert len(model.tokenize("<|im_start|>", start=True)) > 1
    model.close()
