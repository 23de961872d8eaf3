"""The adapter of the text model: the network, what it learns, and llama.cpp with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from model_samples import N_VOCAB, real_model, write_embedder, write_llama

from pyrec.adapter.config import TARGETS, AdapterConfig
from pyrec.adapter.draws import JUDGE, LEARN, part_of
from pyrec.adapter.examples import Example, batches
from pyrec.adapter_state import AdapterState
from pyrec.errors import (
    EventError,
    ModelFileError,
    StoreError,
)
from pyrec.llama import requantize
from pyrec.lm import PROMPT, LanguageModel

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # with two, small steps wait for each other on a busy machine


from pyrec.adapter.export import export  # noqa: E402
from pyrec.adapter.fit import fit, mean_logprob  # noqa: E402
from pyrec.adapter.judge import is_better, judge  # noqa: E402
from pyrec.adapter.network import Rows, load_network  # noqa: E402
from pyrec.adapter.packing import pack, token_logprobs  # noqa: E402

CONFIG = AdapterConfig(
    rank=4, alpha=8.0, learning_rate=2e-2, batch_tokens=64, epochs=12, n_validations=4, n_judged=20
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def examples(n=120, seed=0):
    """Texts of which the last two tokens follow from the one before."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        asked = int(rng.integers(5, 15))
        tokens = np.array([1, 2, 3, asked, asked + 10, (asked * 7) % 11], np.int32)
        made.append(Example("need", tokens, 4, held_out=part_of(f"{number}", 0.3)))
    return made


def adapted(path, size=0.5):
    """A network whose learned part is not zero, and that part."""
    network = load_network(path, rank=4, alpha=8.0, targets=TARGETS)
    torch.manual_seed(0)
    for name, value in network.named_parameters():
        if name.endswith("lora_b"):
            value.data.normal_(0, size)
    return network, {n: p.detach().numpy() for n, p in network.named_parameters()}


def plain(tokens):
    n = len(tokens)
    ids = torch.from_numpy(np.asarray(tokens, np.int64))
    return Rows(ids, torch.arange(n), torch.ones(n, n, dtype=torch.bool).tril())


def ours(network, tokens):
    """Log-probabilities after each token but the first, (n - 1, n_vocab)."""
    with torch.no_grad():
        hidden = network(plain(tokens))[1:]
        return torch.log_softmax(hidden @ network.heads.float().T, -1).numpy()


def theirs(model, tokens):
    model.prompt(np.asarray(tokens[:1], np.int32))
    logits = np.array(model.grow([PROMPT], [[int(t) for t in tokens[1:]]]), np.float64)
    best = logits.max(axis=1, keepdims=True)
    return logits - best - np.log(np.exp(logits - best).sum(axis=1, keepdims=True))


def divergence(a, b):
    return (np.exp(a) * (a - b)).sum(axis=1)


# The network


def test_the_network_says_what_llama_cpp_says(tiny, rng):
    tokens = rng.integers(1, N_VOCAB, 20)
    model = LanguageModel(tiny, n_ctx=64, n_branches=2)
    np.testing.assert_allclose(ours(load_network(tiny), tokens), theirs(model, tokens), atol=2e-3)
    model.close()


TEXT = "Search: 鞋\nProduct: shoes\nSearch: warm slippers\nProduct: slippers for women"


@pytest.mark.model
@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])
def test_real_models_agree_up_to_llama_cpps_rounding(name, tmp_path):
    path = real_model(name)
    model = LanguageModel(path, n_branches=2)
    tokens = model.tokenize(TEXT, start=True)
    a, b = ours(load_network(path), tokens), theirs(model, tokens)
    model.close()
    assert divergence(a, b).mean() < 0.02  # weights of 4 to 8 bits: activations are rounded too
    whole = tmp_path / "whole.gguf"
    requantize(path, whole, "F16")
    model = LanguageModel(whole, n_branches=2)
    b = theirs(model, tokens)
    model.close()
    assert divergence(a, b).max() < 1e-3
    assert (a.argmax(1) == b.argmax(1)).mean() > 0.95


def test_texts_in_one_row_read_as_each_alone(tiny):
    network, _ = adapted(tiny)
    some = examples(9)
    some[3] = replace(some[3], tokens=np.concatenate([some[3].tokens, [4, 9]]).astype(np.int32))
    with torch.no_grad():
        together = token_logprobs(network, pack(some))
        alone = torch.cat([token_logprobs(network, pack([each])) for each in some])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_batches_hold_every_example_once_and_one_kind_each(rng):
    some = [replace(e, kind=("need", "history")[n % 2]) for n, e in enumerate(examples(50))]
    made = batches(some, 40, rng)
    assert sorted(n for batch in made for n in batch) == list(range(50))
    assert all(len({some[n].kind for n in batch}) == 1 for batch in made)


def test_what_cannot_be_adapted_says_so(tmp_path):
    with pytest.raises(ModelFileError, match=r"architecture 'bert'.*llama or gemma3"):
        load_network(write_embedder(tmp_path / "e.gguf"))


# The adapter in llama.cpp


def test_llama_cpp_with_the_adapter_says_what_the_network_says(tiny, rng):
    network, learned = adapted(tiny)
    tokens = rng.integers(1, N_VOCAB, 20)
    model = LanguageModel(tiny, n_ctx=64, n_branches=2)
    before = theirs(model, tokens)
    model.adapt(export(learned, "llama", 8.0))
    with_it = theirs(model, tokens)
    np.testing.assert_allclose(ours(network, tokens), with_it, atol=5e-3)
    assert np.abs(with_it - before).max() > 0.05
    model.adapt(None)
    np.testing.assert_array_equal(theirs(model, tokens), before)
    model.close()


def test_what_was_read_before_is_read_anew(tiny):
    _, learned = adapted(tiny)
    model = LanguageModel(tiny, n_ctx=64, n_branches=2)
    tokens = np.array([3, 5, 7, 2], np.int32)
    before = model.prompt(tokens).copy()
    model.adapt(export(learned, "llama", 8.0))
    assert np.abs(model.prompt(tokens) - before).max() > 1e-3
    model.close()


@pytest.mark.model
def test_a_real_model_agrees_with_its_adapter(tmp_path):
    path = tmp_path / "whole.gguf"
    requantize(real_model("smollm2-135m"), path, "F16")
    network, learned = adapted(path, 0.02)
    model = LanguageModel(path, n_branches=2)
    tokens = model.tokenize(TEXT, start=True)
    before = theirs(model, tokens)
    model.adapt(export(learned, "llama", 8.0))
    a, b = ours(network, tokens), theirs(model, tokens)
    model.close()
    assert divergence(a, b).max() < 1e-3
    assert divergence(a, before).mean() > 10 * divergence(a, b).mean()


def test_an_adapter_of_another_model_is_refused(tiny, tmp_path):
    _, learned = adapted(tiny)
    wider = {n: np.zeros((4, 96) if n.endswith("_a") else (96, 4), np.float32) for n in learned}
    model = LanguageModel(tiny, n_ctx=64, n_branches=2)
    for data in (export(wider, "llama", 8.0), export(learned, "gemma3", 8.0), b"GGUF nonsense"):
        with pytest.raises(ModelFileError, match=r"does not fit tiny\.gguf.*pyrec train --text"):
            model.adapt(data)
    model.close()
    state = AdapterState(b"", "tiny", "ab" * 32, ("need",), 0, -1, 5)
    state.check("tiny", "ab" * 32)
    with pytest.raises(ModelFileError, match="trained beside tiny, and other is in use"):
        state.check("other", "cd" * 32)


def test_what_the_store_keeps_comes_back_and_damage_is_told():
    state = AdapterState(b"GGUF", "tiny", "ab" * 32, ("need", "history"), 3, 17, 5)
    assert AdapterState.unpack(state.pack()) == state
    for packed in (state.pack()[:-1], state.pack() + b"?", b""):
        with pytest.raises(ModelFileError, match="damaged; train it again"):
            AdapterState.unpack(packed)


# Learning


def test_held_out_answers_get_likelier_in_llama_cpp_too(tiny):
    some = examples()
    fitted = fit(tiny, some, CONFIG, lambda _: None)
    assert fitted.after > fitted.before + 0.5
    assert fitted.why_ended in ("all steps", "no better")
    model = LanguageModel(tiny, n_ctx=64, n_branches=2)
    adapter = export(fitted.learned, fitted.architecture, CONFIG.alpha)
    (gain,) = judge(model, adapter, [e for e in some if e.held_out == JUDGE], lambda _: None)
    assert gain.gain.low > 0.2
    assert is_better([gain])
    assert not is_better([replace(gain, gain=gain.gain._replace(low=-0.1)), gain])
    assert not is_better([])
    network = load_network(tiny)
    judged = [e for e in some if e.held_out == JUDGE]
    assert gain.before == pytest.approx(mean_logprob(network, judged, 64), abs=1e-2)
    model.close()


def test_the_same_seed_gives_the_same_adapter(tiny):
    one, same, other = (
        fit(tiny, examples(), replace(CONFIG, epochs=1, seed=seed), lambda _: None).learned
        for seed in (0, 0, 1)
    )
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


class StoppedError(Exception):
    pass


def test_interrupted_and_resumed_it_ends_with_the_same_adapter(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("pyrec.adapter.fit.CHECKPOINT_S", 0.0)
    checkpoint = tmp_path / "shop.db-text"
    whole = fit(tiny, examples(), CONFIG, lambda _: None)
    calls = []

    def stop(share):
        calls.append(share)
        if len(calls) in (3, 8):
            raise StoppedError

    for _ in range(2):
        with pytest.raises(StoppedError):
            fit(tiny, examples(), CONFIG, stop, checkpoint=checkpoint)
    resumed = fit(tiny, examples(), CONFIG, stop, checkpoint=checkpoint)
    assert calls[3] > calls[2]  # it did not begin anew
    assert resumed.steps == whole.steps
    assert resumed.before == whole.before
    for name, array in whole.learned.items():
        np.testing.assert_array_equal(array, resumed.learned[name])


_WORKER = """
import sys, torch
torch.set_num_threads(1)
import pyrec.adapter.fit
pyrec.adapter.fit.CHECKPOINT_S = 0.0
from test_adapter import CONFIG, examples
tell = lambda share: print(share, flush=True)
pyrec.adapter.fit.fit(sys.argv[1], examples(), CONFIG, tell, checkpoint=sys.argv[2])
"""


def test_killed_at_any_moment_it_goes_on(tiny, tmp_path):
    whole = fit(tiny, examples(), CONFIG, lambda _: None)
    checkpoint = tmp_path / "shop.db-text"
    code = _WORKER.replace("sys.argv[1]", f"__import__('pathlib').Path({str(tiny)!r})")
    code = code.replace("sys.argv[2]", f"__import__('pathlib').Path({str(checkpoint)!r})")
    paths = os.pathsep.join(p for p in sys.path if p)
    for n_lines in (2, 5):
        worker = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        for _ in range(n_lines):
            assert worker.stdout.readline()
        time.sleep(0.003 * n_lines)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    resumed = fit(tiny, examples(), CONFIG, lambda _: None, checkpoint=checkpoint)
    for name, array in whole.learned.items():
        np.testing.assert_array_equal(array, resumed.learned[name])


def test_a_damaged_checkpoint_is_told(tiny, tmp_path):
    checkpoint = tmp_path / "shop.db-text"
    fit(tiny, examples(), replace(CONFIG, max_steps=2), lambda _: None, checkpoint=checkpoint)
    data = checkpoint.read_bytes()
    for damaged in (data[:-20], data[:100] + bytes([data[100] ^ 1]) + data[101:], b""):
        checkpoint.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged; remove it to train from the beginning"):
            fit(tiny, examples(), CONFIG, lambda _: None, checkpoint=checkpoint)


def test_a_checkpoint_of_other_examples_is_not_gone_on_from(tiny, tmp_path):
    checkpoint = tmp_path / "shop.db-text"
    fit(tiny, examples(seed=1), CONFIG, lambda _: None, checkpoint=checkpoint)
    shares = []
    whole = fit(tiny, examples(), CONFIG, lambda _: None)
    again = fit(tiny, examples(), CONFIG, shares.append, checkpoint=checkpoint)
    assert len(shares) == again.n_steps
    for name, array in whole.learned.items():
        np.testing.assert_array_equal(array, again.learned[name])


def test_a_folder_that_is_gone_is_told(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("pyrec.adapter.fit.CHECKPOINT_S", 0.0)
    with pytest.raises(StoreError, match="cannot keep where the training stands"):
        fit(tiny, examples(), CONFIG, lambda _: None, checkpoint=tmp_path / "gone" / "x")


def test_a_budget_of_time_ends_it_with_what_is_best(tiny):
    fitted = fit(tiny, examples(), replace(CONFIG, minutes=1e-9), lambda _: None)
    assert fitted.why_ended == "out of time"
    assert fitted.n_steps == 1


def test_nothing_to_learn_from_is_told(tiny):
    with pytest.raises(EventError, match="too few items"):
        fit(tiny, [e for e in examples() if e.held_out == LEARN], CONFIG, lambda _: None)


def test_compared_with_some_tokens_the_sum_is_right_on_average(tiny):
    network, _ = adapted(tiny)
    hidden, wanted = torch.randn(50, 64), torch.randint(0, 16, (50,))
    whole = network.logprobs(hidden, wanted)
    always, rng, found = np.arange(16), np.random.default_rng(0), []
    for _ in range(400):
        tokens = np.sort(np.concatenate([always, rng.choice(np.arange(16, 32), 8, False)]))
        counts = np.where(tokens < 16, 0.0, np.log(2.0)).astype(np.float32)
        among = torch.from_numpy(tokens), torch.from_numpy(counts)
        found.append(network.logprobs(hidden, wanted, among).exp().reciprocal())
    mean = torch.stack(found).mean(0).reciprocal().log()
    np.testing.assert_allclose(mean.detach(), whole.detach(), atol=0.05)
