"""What a text model holds ready after a text, and which words that makes likely."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from click.testing import CliRunner
from model_samples import real_model, write_llama
from tiny_t5 import write_t5

import pyrec
from pyrec import vectors
from pyrec.cli import main
from pyrec.errors import ModelError, ModelFileError
from pyrec.gguf_header import read_header
from pyrec.lm import LanguageModel
from pyrec.prompts import one_line
from pyrec.state_reader import N_TOKENS, StateReader
from pyrec.token_rows import TokenRows

MODEL = "smollm2-135m"
BEGIN = "A history of ancient Rome\nTags: history, empire\n"
TEXTS = [f"{BEGIN}{title}\nTags:" for title in ("Trail running shoes", "Steel frying pan", "Mouse")]


@pytest.fixture(scope="module")
def reader():
    reader = StateReader(real_model(MODEL))
    yield reader
    reader.close()


@pytest.mark.model
def test_a_state_says_how_likely_each_word_is_as_the_model_itself_does(reader):
    model = LanguageModel(real_model(MODEL))
    words = [int(model.tokenize(word)[0]) for word in (" shoes", " kitchen", " cat", " the")]
    rows = model.output_rows(words)
    for state, text in zip(reader.read(TEXTS), TEXTS, strict=True):
        logits = model.prompt(model.tokenize(text, start=True)).astype(np.float64)
        wanted = logits[words] - np.logaddexp.reduce(logits)
        # llama.cpp rounds what it multiplies with to 8 bits; rows are read as they are.
        assert rows @ state[:-1] - state[-1] == pytest.approx(wanted, abs=0.3)
    model.close()


@pytest.mark.model
def test_texts_are_read_alike_alone_together_and_again(reader):
    together = reader.read(TEXTS * 15)  # more than are read at once
    assert together.shape == (45, reader.width + 1)
    alone = np.concatenate([reader.read([text]) for text in TEXTS])
    for n, state in enumerate(together):
        # Of more texts at once llama.cpp rounds otherwise.
        assert cosine(state[:-1], alone[n % 3, :-1]) > 0.995
        assert state[-1] == pytest.approx(alone[n % 3, -1], abs=0.5)
    assert cosine(alone[0, :-1], alone[1, :-1]) < 0.99
    assert reader.read([]).shape == (0, reader.width + 1)
    assert np.isfinite(reader.read([""])).all()


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.model
def test_the_end_of_a_long_text_is_read(reader):
    long = "one two three " * 3 * N_TOKENS
    texts = [f"{long}{title}\nTags:" for title in ("Trail running shoes", "Steel frying pan")]
    for others in ([], ["Some other thing\nTags:"]):  # what all have in common is not cut
        one, other = reader.read([*others, *texts])[-2:, :-1]
        assert cosine(one, other) < 0.99


def test_an_encoder_decoder_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"t5\.gguf has an encoder"):
        StateReader(write_t5(tmp_path / "t5.gguf"))


def test_an_encoder_decoder_reads_no_items_and_answers(tmp_path):
    model = str(write_t5(tmp_path / "t5.gguf"))
    with pyrec.open(tmp_path / "a.db", text_model=model, embedding_model=None) as rec:
        rec.add_items([{"id": "a", "title": "abc"}])
        assert "states" not in {at.step for at in rec.index()}
        assert rec.recommend("abc")[0].item_id == "a"


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_0"])
def test_rows_of_tokens_are_those_of_the_matrix(tmp_path, kind, rng):
    kind = gguf.GGMLQuantizationType[kind]
    matrix = gguf.quantize(rng.standard_normal((20, 64), np.float32), kind)
    path = tmp_path / "some.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("output.weight", matrix, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    rows = TokenRows(path, read_header(path).tensors["output.weight"])
    wanted = gguf.dequantize(matrix, kind)
    assert np.array_equal(rows.read([3, 19, 3]), wanted[[3, 19, 3]].astype(np.float32))
    rows.close()


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = write_llama(tmp_path / "some.gguf")
    model = LanguageModel(path)
    monkeypatch.setattr(gguf, "dequantize", not_implemented)
    with pytest.raises(ModelFileError, match=r"some\.gguf is quantized as"):
        model.output_rows([0])
    model.close()


def not_implemented(*_):
    raise NotImplementedError


# In a store

FILMS = ("Spider-Man (2002)", "Titanic (1997)", "The Lion King (1994)", "Alien (1979)")


@pytest.fixture
def films(tmp_path):
    path = tmp_path / "films.db"
    with pyrec.open(path, text_model=real_model(MODEL), embedding_model=None) as rec:
        rec.add_items({"id": title, "title": title} for title in FILMS)
        yield rec


def steps(rec):
    return [(at.done, at.total) for at in rec.index() if at.step == "states"]


@pytest.mark.model
def test_what_the_model_knows_of_an_item_finds_it_though_it_stands_nowhere(films):
    films.use_theta({"query_likelihood": [1.0, 1.0]})
    assert not reasons(films.recommend("superhero"))
    assert steps(films) == [(4, 4)]
    slate = films.recommend("superhero")
    assert slate[0].item_id == FILMS[0]
    assert slate[0].reasons[0].signal == "query_likelihood"
    assert films.recommend("iceberg")[0].item_id == FILMS[1]
    assert films.recommend("superhero", where=[f"item_id!={FILMS[0]}"], k=1)[0].item_id != FILMS[0]


def reasons(slate):
    return [r for suggestion in slate for r in suggestion.reasons if r.signal != "popular"]


@pytest.mark.model
def test_only_what_changed_is_read_again(films):
    assert steps(films) == [(4, 4)]
    assert steps(films) == []
    films.add_items([{"id": FILMS[3], "title": "The Little Mermaid (1989)"}])
    assert steps(films) == [(1, 1)]
    films.use_theta({"query_likelihood": [1.0, 1.0]})
    assert films.recommend("princess", k=1)[0].item_id == FILMS[3]


@pytest.mark.model
def test_another_wording_is_another_reading(films):
    path = Path(films.store.path)
    steps(films)
    films.close()
    own = path.parent / "own.toml"
    own.write_text('[en.states]\ntext = "{item} is about"\n')
    with pyrec.open(path, text_model=real_model(MODEL), embedding_model=None, prompts=own) as rec:
        assert steps(rec) == [(4, 4)]
        rec.use_theta({"query_likelihood": [1.0, 1.0]})
        assert rec.recommend("superhero", k=1)[0].item_id == FILMS[0]


@pytest.mark.model
def test_what_is_kept_says_what_was_read(films):
    steps(films)
    index, states = films.questions.current(), films.questions.current().states
    output = films._states.output("superhero", index.language)
    reader = StateReader(real_model(MODEL))
    wording = films.prompts.table("en", "states")["text"]
    read = reader.read([wording.replace("{item}", title) for title in map(one_line, FILMS)])
    reader.close()
    assert index.states_by(output) == pytest.approx(read @ output, abs=0.3)
    assert len(states.item_idx) == 4
    assert np.isnan(index.states_by(output[:-1])).all()  # of another model


@pytest.mark.model
def test_a_removed_item_is_gone_and_a_stopped_reading_goes_on(films, monkeypatch):
    monkeypatch.setattr(vectors, "BATCH", 3)
    for at in films.index():
        if at.step == "states":
            break
    assert steps(films) == [(1, 1)]
    films.remove_items([FILMS[0]])
    films.use_theta({"query_likelihood": [1.0, 1.0]})
    assert FILMS[0] not in [s.item_id for s in films.recommend("superhero", k=4)]
    assert steps(films) == []


@pytest.mark.model
def test_a_model_that_says_otherwise_than_its_states_reads_no_items(films, monkeypatch):
    rows = LanguageModel.output_rows
    monkeypatch.setattr(LanguageModel, "output_rows", lambda *a: rows(*a) / 2)
    assert steps(films) == []
    monkeypatch.setattr(gguf, "dequantize", not_implemented)
    assert steps(films) == []


@pytest.mark.model
def test_a_catalog_that_turns_to_another_language_is_read_in_its_wording(films):
    steps(films)
    assert not np.isnan(films.questions.current().states_by(output_of(films))).any()
    titles = ("运动鞋", "双肩包", "无线鼠标", "不锈钢炒锅", "羊毛袜子", "台灯")
    films.add_items({"id": title, "title": title} for title in titles)
    assert films.catalog.language == "zh"
    assert np.isnan(films.questions.current().states_by(output_of(films))).all()
    assert steps(films) == [(10, 10)]
    assert not np.isnan(films.questions.current().states_by(output_of(films))).any()


def output_of(rec):
    return rec._states.output("superhero", rec.catalog.language)


@pytest.mark.model
def test_what_was_not_read_yet_counts_as_the_middle_one(films):
    steps(films)
    assert films.n_read == len(FILMS)
    films.add_items([{"id": "new", "title": "Paddington"}])
    films.use_theta({"query_likelihood": [1.0, 1.0]})
    slate = films.recommend("superhero", k=5)
    assert slate[0].item_id == FILMS[0]
    place = next(n for n, s in enumerate(slate) if s.item_id == "new")
    assert 1 <= place <= 3  # not sunk below all that was read
    assert not slate[place].reasons


def test_index_says_that_a_model_reads_no_items(tmp_path):
    model, db = write_t5(tmp_path / "t5.gguf"), str(tmp_path / "a.db")
    with pyrec.open(db, text_model=None, embedding_model=None) as rec:
        rec.add_items([{"id": "a", "title": "abc"}])
    told = CliRunner().invoke(main, ["index", "--db", db, "--text-model", str(model)])
    assert told.exit_code == 0
    assert "reads no items" in told.stderr
