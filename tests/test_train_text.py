"""Adapting the text model to a store: what it teaches, what is kept, what is forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import walks
from model_samples import real_model

import pyrec
from pyrec.adapter.config import AdapterConfig
from pyrec.adapter.draws import JUDGE, STOP, part_of
from pyrec.adapter.examples import Example
from pyrec.adapter_state import AdapterState
from pyrec.errors import (
    ModelError,
    ModelNotFoundError,
    StoreBusyError,
)
from pyrec.events import EventLog
from pyrec.lm import LanguageModel
from pyrec.model_folder import ModelFile
from pyrec.prompts import Prompts
from pyrec.replay import read_log
from pyrec.tastes import values_of
from pyrec.types import Event

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # with two, small steps wait for each other on a busy machine


from pyrec.adapter.histories import HistoryTokens, history_examples  # noqa: E402
from pyrec.adapter.judge import logprob  # noqa: E402
from pyrec.adapter.pairs import cut, title_examples, title_pairs  # noqa: E402
from pyrec.adapter.training import Taught, alone, train_text  # noqa: E402


class StoppedError(Exception):
    pass


# What a store teaches


def test_halves_of_what_is_held_out_stop_and_judge():
    parts = np.array([part_of(f"item {n}", 0.2) for n in range(4000)])
    assert abs((parts == STOP).mean() - 0.1) < 0.02
    assert abs((parts == JUDGE).mean() - 0.1) < 0.02


def test_a_title_answers_its_items_words_and_what_was_taken_before_it(toy_catalog, store, rng):
    log = EventLog(store)
    log.append_many(Event("u", item, "like") for item in ("s1", "b1", "k1", "gone", "t1"))
    found = list(title_pairs(toy_catalog, read_log(log), rng))
    titles = {item.item_id: item.title for item in toy_catalog.items(range(12))}
    assert {answer for _, _, answer in found} <= set(titles.values())
    assert ("b1", titles["s1"], titles["b1"]) in found
    assert ("k1", titles["b1"], titles["k1"]) in found
    own = [(i, q) for i, q, _ in found if q not in titles.values()]
    assert len({i for i, _ in own}) == 12
    for item_id, question in own:
        (item,) = toy_catalog.items([toy_catalog.idx(item_id)])
        told = " ".join([item.text, *(v for _, v in values_of(item))])
        assert all(word in told for word in question.split())


def test_titles_are_cut_at_a_space():
    assert cut("Toy Story (1995)") == "Toy Story (1995)"
    long = cut("Canon PG 245 XL " * 8)
    assert len(long) <= 60
    assert not long.endswith(" ")
    assert long.split()[-1] in ("Canon", "PG", "245", "XL")
    assert cut("字" * 90) == "字" * 60


@pytest.fixture(scope="module")
def smollm():
    model = LanguageModel(real_model("smollm2-135m"), n_branches=12)
    yield model
    model.close()


@pytest.mark.model
def test_pairs_stand_in_the_wording_of_the_titles(smollm):
    prompt = Prompts().load("en", "titles")
    (made,) = title_examples([("a", "red, warm", "Slippers")], prompt, smollm, 0.1)
    asked = smollm.tokenize(prompt.ask("red, warm"), start=True)
    assert made.tokens[: made.first].tolist() == asked.tolist()
    assert made.tokens[made.first :].tolist() == smollm.tokenize(" Slippers").tolist()


@pytest.mark.model
def test_histories_of_scripts_with_many_tokens_are_cut_where_they_grow_long(smollm, tmp_path):
    titles = {f"i{n}": "เก้าอี้สำหรับสำนักงาน" * 3 for n in range(10)}
    with walks.opened(tmp_path / "shop.db") as rec:
        rec.add_events({"user": "u", "item": item, "kind": "click"} for item in titles)
        log = read_log(rec.events)
    tokens = HistoryTokens(smollm, Prompts().table("en", "history"))
    made = history_examples(log, titles, tokens, 0.1)
    assert sum(e.n_answers for e in made) == 9
    assert max(len(e.tokens) for e in made) < 600


@pytest.mark.model
def test_each_title_of_a_history_is_foretold_once(smollm, tmp_path):
    with walks.opened(tmp_path / "shop.db") as rec:
        rec.add_items(walks.items())
        rec.add_events(walks.walks(["u0", "u1"], np.random.default_rng(0)))
        log = read_log(rec.events)
    tokens = HistoryTokens(smollm, Prompts().table("en", "history"))
    titles = {item.item_id: item.title for item in walks.items()}
    made = history_examples(log, titles, tokens, 0.1)
    assert [e.n_answers for e in made] == [5, 5]
    taken = [titles[log.item_ids[i]] for i in log.item[log.user == 0]]
    told = [smollm.tokenize("Taken one after the other:", start=True)]
    told += [smollm.tokenize(f" {title};") for title in taken]
    assert made[0].tokens.tolist() == np.concatenate(told).tolist()
    asked = tokens.ask(taken[:1])
    assert made[0].tokens[: made[0].first].tolist() == asked.tolist()


@pytest.fixture
def taught(tmp_path):
    with walks.opened(tmp_path / "shop.db") as rec:
        rec.add_items(walks.items())
        rec.add_events(walks.walks([f"u{n}" for n in range(60)], np.random.default_rng(3)))
        yield Taught(rec.catalog, rec.prompts, "en", read_log(rec.events))


FEW = AdapterConfig(
    learning_rate=2e-3, max_steps=12, n_validations=2, n_judged=8, held_out=0.3, batch_tokens=200
)


@pytest.mark.model
def test_a_real_model_learns_who_follows_whom(taught):
    file = ModelFile(real_model("smollm2-135m"), "text", "smollm2-135m")
    steps = []
    state, report = train_text(file, taught, FEW, lambda step, share: steps.append(step))
    gains = {gain.kind: gain.gain for gain in report.gains}
    assert gains["history"].low > 1.0
    assert report.used == (state is not None) == all(g.low > 0 for g in gains.values())
    assert steps[-1] == "judging"
    assert 1_000_000 < report.n_bytes < 10_000_000
    if state is not None:
        assert state.n_users == 60
        assert state.sha256
        assert AdapterState.unpack(state.pack()) == state
    model = LanguageModel(file.path)
    tokens = HistoryTokens(model, Prompts().table("en", "history"))
    asked = tokens.ask(["red thing of shelf0", "green thing of shelf0"])
    answer = np.concatenate([asked, tokens.title("blue thing of shelf0")])
    assert logprob(model, Example("history", answer, len(asked))) < -1.0
    model.close()


def test_without_a_text_model_it_says_what_to_pull(taught):
    with pytest.raises(ModelNotFoundError, match="pyrec models pull"):
        train_text(None, taught, FEW, lambda *_: None)


def test_without_torch_it_says_what_to_install(taught, monkeypatch):
    monkeypatch.setattr("pyrec.adapter.training.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'pyrec\[train\]'"):
        train_text(None, taught, FEW, lambda *_: None)


def test_nothing_here_needs_torch_to_be_imported():
    code = "import sys; sys.modules['torch'] = None; import pyrec.adapter.training"
    paths = os.pathsep.join(p for p in sys.path if p)
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=True
    )


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.db"
    models = {"text_model": real_model("smollm2-135m"), "embedding_model": None}
    with pyrec.open(path, **models) as rec:
        # With a popularity of its own: what users take, and who is forgotten, changes no list here.
        rec.add_items(replace(item, popularity=1.0) for item in walks.items())
        rec.add_events(walks.walks([f"u{n}" for n in range(60)], np.random.default_rng(3)))
        yield rec, lambda: pyrec.open(path, **models)


def written(rec):
    """Return a list by titles that the text model writes, and how it was made."""
    slate = rec.recommend("something warm", k=8, generate=True)
    return [s.item_id for s in slate], [s for s in slate.path if "beam" in s]


@pytest.mark.model
def test_a_store_keeps_its_adapter_writes_titles_with_it_and_forgets_it_with_a_user(
    shop, monkeypatch
):
    monkeypatch.setattr("pyrec.adapter.training.is_better", lambda gains: True)
    rec, again = shop
    need, plain = rec.need("something warm"), written(rec)
    assert rec.train_text(config=FEW).used
    assert sorted(file.name for file in Path(rec.store.path).parent.glob("*-text*")) == []
    adapted = written(rec)
    assert adapted[0] != plain[0]
    assert adapted[1] == ["titles by beam, by smollm2-135m as adapted to this store"]
    assert rec.need("something warm") == need
    with again() as other:
        assert written(other) == adapted
        rec.store.db.execute(
            "UPDATE derived SET data = ?, version = version + 1 WHERE name = 'adapter'", [b"no"]
        )
        assert written(other)[0] == plain[0]
        slate = other.recommend("something warm", generate=True)
        assert any("damaged; train it again" in step for step in slate.path)
    assert rec.forget("u1").adapter
    assert written(rec) == plain


@pytest.mark.model
def test_who_is_forgotten_while_it_is_trained_is_waited_for_or_not_kept(shop, monkeypatch):
    rec, again = shop
    path = Path(rec.store.path)
    told = []

    def forget_meanwhile(*_):
        if not told:
            told.append(1)
            with again() as other, pytest.raises(StoreBusyError, match="another process adapts"):
                other.forget("u1")

    rec.train_text(config=FEW, progress=forget_meanwhile)
    assert told
    # What a training left that was killed goes with the user.
    for name in ("-text", "-text.new"):
        path.with_name(path.name + name).write_bytes(b"u1")
    rec.forget("u1")
    assert sorted(p.name for p in path.parent.iterdir() if "-text" in p.name) == []


def test_minutes_that_make_no_sense_are_refused(tmp_path):
    with walks.opened(tmp_path / "shop.db") as rec:
        for minutes in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="give a number above 0"):
                rec.train_text(minutes=minutes)


def test_two_processes_do_not_adapt_one_store_at_once(tmp_path):
    path = tmp_path / "shop.db-text"
    with alone(path):
        second = alone(path)
        with pytest.raises(StoreBusyError, match="another process adapts"):
            second.__enter__()
    with pytest.raises(StoppedError), alone(path):
        raise StoppedError
    assert list(tmp_path.iterdir()) == []
    with alone(path):
        pass
