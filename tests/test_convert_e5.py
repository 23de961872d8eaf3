from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from e5_samples import (
    EPSILON,
    HEADS,
    LAYERS,
    PIECES,
    POSITIONS,
    TYPES,
    WIDTH,
    container,
    tensors_of,
)
from model_samples import real_model

from pyrec.convert_e5 import convert
from pyrec.embedder import Embedder
from pyrec.errors import ModelFileError
from pyrec.gguf_header import read_header

GOLDEN = json.loads((Path(__file__).parent / "data" / "e5_golden.json").read_text("utf-8"))


def layer_norm(x, w, b):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * w + b


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def embed_twin(tensors, tokens):
    """Run BERT over one sequence, written to be read; positions count from 0."""
    plain = {
        name: gguf.quants.dequantize(a, gguf.GGMLQuantizationType.Q4_0) if kind else a
        for name, (kind, a) in tensors.items()
    }
    x = plain["emb.word"][tokens] + plain["emb.pos"][: len(tokens)] + plain["emb.type"][0]
    x = layer_norm(x, plain["emb.ln.w"], plain["emb.ln.b"])
    for n in range(LAYERS):

        def linear(name, x, n=n):
            return x @ plain[f"l{n}.{name}.w"].T + plain[f"l{n}.{name}.b"]

        def normed(name, x, n=n):
            return layer_norm(x, plain[f"l{n}.{name}.w"], plain[f"l{n}.{name}.b"])

        q, k, v = (linear(name, x).reshape(len(tokens), HEADS, -1).swapaxes(0, 1) for name in "qkv")
        weights = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(WIDTH // HEADS))
        weights /= weights.sum(-1, keepdims=True)
        x = normed("aln", x + linear("ao", (weights @ v).swapaxes(0, 1).reshape(x.shape)))
        x = normed("oln", x + linear("fo", gelu(linear("fi", x))))
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


@pytest.fixture(scope="module")
def tensors():
    return tensors_of(np.random.default_rng(7))


@pytest.fixture(scope="module")
def converted(tensors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("e5")
    (folder / "e5.bin").write_bytes(container(tensors))
    convert(folder / "e5.bin", folder / "e5.gguf")
    return folder / "e5.gguf"


@pytest.fixture
def embedder(converted):
    embedder = Embedder(converted, n_ctx=32)
    yield embedder
    embedder.close()


def test_converted_model_gives_the_vectors_of_a_plain_bert(tensors, embedder):
    texts = ["to abc", "decade", "to to to to bead", ""]
    for text, vector in zip(texts, embedder.embed_passages(texts), strict=True):
        tokens = embedder.tokenize(text, start=True)
        # llama.cpp rounds the activations to 8 bits
        assert embed_twin(tensors, tokens) @ vector > 0.999


def test_tokens_are_the_likeliest_pieces_between_marks_of_begin_and_end(embedder):
    def pieces(text):
        return [PIECES[token] for token in embedder.tokenize(text, start=True)]

    assert pieces("to a") == ["<s>", "\u2581to", "\u2581", "a", "</s>"]
    assert pieces("  a   to ") == ["<s>", "\u2581", "a", "\u2581to", "</s>"]
    assert pieces("az") == ["<s>", "\u2581", "a", "<unk>", "</s>"]


def test_special_tokens_in_a_text_stay_plain_text(embedder):
    tokens = embedder.tokenize("a <mask> <s> <pad> b", start=True)[1:-1]
    assert not {0, 1, 2, PIECES.index("<mask>")} & set(tokens.tolist())


def test_head_says_what_the_container_said(converted):
    metadata = read_header(converted).metadata
    assert metadata["general.architecture"] == "bert"
    assert metadata["bert.embedding_length"] == WIDTH
    assert metadata["bert.context_length"] == POSITIONS
    assert metadata["bert.attention.causal"] is False
    assert metadata["bert.pooling_type"] == gguf.PoolingType.MEAN
    assert metadata["tokenizer.ggml.token_type_count"] == TYPES


def test_blocks_are_copied_as_they_are(tensors, converted):
    found = {tensor.name: tensor.data for tensor in gguf.GGUFReader(converted).tensors}
    word = tensors["emb.word"][1]
    assert np.array_equal(found["token_embd.weight"], word[: len(PIECES)])
    assert np.array_equal(found["blk.1.ffn_down.weight"], tensors["l1.fo.w"][1])


def test_conversion_is_the_same_to_the_byte_each_time(tensors, converted, tmp_path):
    (tmp_path / "e5.bin").write_bytes(container(tensors))
    convert(tmp_path / "e5.bin", tmp_path / "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == converted.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.02, 0.05, 0.5, 0.999])
def test_truncated_container_is_refused(tensors, tmp_path, share):
    data = container(tensors)
    source = tmp_path / "e5.bin"
    source.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelFileError, match=r"e5\.bin is (truncated|no E5S1)"):
        convert(source, tmp_path / "e5.gguf")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: b"GGUF" + container(t)[4:], "no E5S1 container"),
        (lambda t: container(t, version=2), "version 2"),
        (lambda t: container(t, block=64), "blocks of 64"),
        (lambda t: container({k: v for k, v in t.items() if k != "l1.k.b"}), "lacks.*l1.k.b"),
        (lambda t: container({**t, "emb.ln.w": (5, t["emb.ln.w"][1])}), "unknown kind 5"),
    ],
)
def test_container_of_another_kind_is_named_for_what_it_is(tensors, tmp_path, change, says):
    source = tmp_path / "e5.bin"
    source.write_bytes(change(tensors))
    with pytest.raises(ModelFileError, match=says):
        convert(source, tmp_path / "e5.gguf")


@pytest.fixture(scope="module")
def real():
    embedder = Embedder(real_model("multilingual-e5-small"), n_ctx=128)
    yield embedder
    embedder.close()


@pytest.mark.model
@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: row["text"][:24])
def test_real_model_agrees_with_the_engine_it_comes_from(real, row):
    assert real.tokenize(row["text"], start=True).tolist() == row["tokens"]
    (vector,) = real.embed_passages([row["text"]])
    assert np.linalg.norm(vector) == pytest.approx(row["norm"], abs=1e-3)
    head, expected = vector[:32], np.array(row["head"], np.float32)
    cosine = head @ expected / np.linalg.norm(head) / np.linalg.norm(expected)
    assert cosine > 0.999
    assert np.linalg.norm(head) == pytest.approx(np.linalg.norm(expected), rel=0.02)


@pytest.mark.model
def test_same_thing_in_two_languages_is_nearer_than_another_thing(real):
    shoes, same, wine = real.embed_passages(
        ["query: sports shoes", "query: 运动鞋", "query: red wine"]
    )
    assert shoes @ same > shoes @ wine + 0.03
