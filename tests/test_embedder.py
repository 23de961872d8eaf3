"""Embedding models: the encoder without its vocabulary gives what llama.cpp gives of the whole."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import gguf
import numpy as np
import pytest
from e5_samples import PIECES, WIDTH, container, tensors_of
from model_samples import real_model, write_embedder, write_llama

from pyrec import embedder as module
from pyrec.convert_e5 import convert
from pyrec.embedder import Embedder
from pyrec.encoder_file import small_copy, table_of
from pyrec.errors import ModelFileError
from pyrec.gguf_header import read_header
from pyrec.token_rows import TokenRows

TEXTS = ["to abc", "decade", "to to to to bead", "", "ＴＯ　to"]


@pytest.fixture(scope="module")
def tensors():
    return tensors_of(np.random.default_rng(11))


@pytest.fixture(scope="module")
def path(tensors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedder")
    (folder / "e5.bin").write_bytes(container(tensors))
    convert(folder / "e5.bin", folder / "e5.gguf")
    return folder / "e5.gguf"


@pytest.fixture
def embedder(path):
    embedder = Embedder(path, n_ctx=32)
    yield embedder
    embedder.close()


@pytest.fixture
def whole(path, monkeypatch):
    """The same model, vocabulary and table left to llama.cpp."""
    monkeypatch.setattr(module, "table_of", lambda header: None)
    embedder = Embedder(path, n_ctx=32)
    yield embedder
    embedder.close()


def test_vectors_and_tokens_are_those_of_the_whole_file(embedder, whole):
    assert whole.n_vocab == embedder.n_vocab == len(PIECES)
    for text in TEXTS[:-1]:
        for start in (True, False):
            ours, theirs = (e.tokenize(text, start=start).tolist() for e in (embedder, whole))
            assert ours == theirs
    ours, theirs = (e.embed_passages(TEXTS[:-1]) for e in (embedder, whole))
    assert np.array_equal(ours, theirs)


def test_vectors_are_unit_vectors_and_the_same_alone_or_in_a_row(embedder):
    rows = embedder.embed_passages(TEXTS * 3)
    assert rows.shape == (15, WIDTH)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    for text, row in zip(TEXTS, rows, strict=False):
        assert embedder.embed_query(text) @ row > 0.9999
    assert embedder.embed_passages([]).shape == (0, WIDTH)


def test_wide_letters_and_tabs_read_like_plain_ones(embedder):
    same = embedder.embed_passages(["to abc", "ｔｏ\tａｂｃ", " to  abc\u200b"])
    assert same[1] @ same[0] > 0.9999
    assert same[2] @ same[0] > 0.9999


def test_a_long_text_is_cut_and_takes_no_time(embedder):
    start = time.perf_counter()
    cut, longer = embedder.embed_passages(["to abc " * 20, "to abc " * 300_000])
    assert cut @ longer > 0.9999
    assert time.perf_counter() - start < 2


def test_prefixes_are_read_before_the_text(path, embedder):
    prefixed = Embedder(path, n_ctx=32, query_prefix="to ", passage_prefix="abc ")
    try:
        assert np.allclose(prefixed.embed_query("bead"), embedder.embed_query("to bead"))
        assert np.allclose(prefixed.embed_passages(["bead"]), embedder.embed_passages(["abc bead"]))
    finally:
        prefixed.close()


def test_threads_that_embed_at_the_same_time_do_not_mix_up_their_texts(embedder):
    expected = embedder.embed_passages(TEXTS)
    found: dict[int, np.ndarray] = {}

    def embed(n: int) -> None:
        found[n] = np.stack([embedder.embed_query(TEXTS[n % 5]) for _ in range(20)])

    threads = [threading.Thread(target=embed, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, rows in found.items():
        assert (rows @ expected[n % 5] > 0.9999).all()


def test_closing_twice_is_fine(path):
    embedder = Embedder(path)
    embedder.close()
    embedder.close()


@pytest.mark.parametrize("make", [lambda p: p, write_llama, write_embedder])
def test_a_file_that_embeds_nothing_is_named(tmp_path, make):
    path = make(tmp_path / "some.gguf")
    with pytest.raises(ModelFileError, match=r"some\.gguf"):
        Embedder(path).embed_query("a")


def test_rows_are_those_of_the_table(path, tensors):
    rows = TokenRows(path, table_of(read_header(path)))
    tokens = [3, 0, 7, 7, len(PIECES) - 1]
    table = gguf.quants.dequantize(tensors["emb.word"][1], gguf.GGMLQuantizationType.Q4_0)
    assert np.array_equal(rows.read(tokens), table[tokens])
    rows.close()
    rows.close()


def test_a_table_cut_short_while_in_use_is_named(path, tmp_path):
    header = read_header(path)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(path.read_bytes())
    rows = TokenRows(copy, table_of(header))
    copy.write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"copy\.gguf was cut short"):
        rows.read([1])
    rows.close()


def test_small_copy_holds_all_but_the_vocabulary_and_is_gone_afterwards(path):
    whole = {t.name: t.data for t in gguf.GGUFReader(path).tensors}
    with small_copy(path, read_header(path)) as copy:
        reader = gguf.GGUFReader(copy)
        small = {t.name: t.data.copy() for t in reader.tensors}
        assert reader.fields["tokenizer.ggml.model"].contents() == "none"
        assert reader.fields["bert.block_count"].contents() == 2
        del reader
    assert not copy.exists()
    assert small.keys() == whole.keys()
    assert small.pop("token_embd.weight").shape == (1, WIDTH)
    for name, data in small.items():
        assert np.array_equal(data, whole[name]), name


def test_small_copy_needs_no_linux(path, monkeypatch):
    monkeypatch.delattr("os.memfd_create", raising=False)
    embedder = Embedder(path, n_ctx=32)
    assert embedder.embed_query("to").shape == (WIDTH,)
    embedder.close()


def test_other_tables_are_left_to_llama_cpp(tmp_path):
    assert table_of(read_header(write_embedder(tmp_path / "a.gguf"))) is None
    assert table_of(read_header(write_llama(tmp_path / "b.gguf"))) is None


MEMORY = """
import sys
from pathlib import Path
from pyrec.embedder import Embedder

def resident(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(l.split()[1]) for l in lines if l.startswith(what)) / 1024

before = resident("VmRSS")
embedder = Embedder(sys.argv[1])
embedder.embed_query("sports shoes")
query = resident("VmRSS")
embedder.embed_passages(["A long and winding description of some shoes. " * 40] * 8)
print(before, query, resident("VmHWM"))
"""


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_real_model_stays_small_in_memory():
    path = real_model("multilingual-e5-small")
    run = [sys.executable, "-c", MEMORY, str(path)]
    out = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    before, query, peak = map(float, out.split())
    assert query - before < 40  # MB; 25 measured, 208 when llama.cpp loads it all
    assert peak - before < 60  # 30 measured; 300 when llama.cpp reserves logits for every piece


@pytest.mark.model
def test_real_model_gives_the_vectors_of_the_whole_file(monkeypatch):
    path = real_model("multilingual-e5-small")
    texts = ["query: sports shoes", "运动鞋 男款 轻便透气", "Ça coûte 5 €, où ça ? 👟", ""]
    small = Embedder(path)
    ours = small.embed_passages(texts)
    small.close()
    monkeypatch.setattr(module, "table_of", lambda header: None)
    whole = Embedder(path)
    assert np.array_equal(whole.embed_passages(texts), ours)
    whole.close()
