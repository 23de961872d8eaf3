"""Any task by its name: ours, one of a package, and the example in `examples/`."""

import importlib.util
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from scripted import ScriptedModels

from pyrec import Recommender, tasks
from pyrec.errors import UnknownTaskError
from pyrec.linear_model import LinearModel
from pyrec.tasks.base import Answers, Task

LINEAR = LinearModel(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
EXAMPLE = Path(__file__).parents[1] / "examples" / "which_shelf.py"


@pytest.fixture
def shop(toy_catalog, store):
    return Recommender(store, ScriptedModels())


@pytest.fixture
def which_shelf(monkeypatch):
    spec = importlib.util.spec_from_file_location("which_shelf", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "which_shelf", module)
    spec.loader.exec_module(module)
    return module


def test_a_task_is_asked_by_its_name(shop):
    assert shop.ask("need", "wireless mouse") == shop.need("wireless mouse")
    asked, called = (
        shop.ask("recommend", "running shoes", k=2),
        shop.recommend("running shoes", k=2),
    )
    assert [s.item_id for s in asked] == [s.item_id for s in called]
    assert shop.ask("click", user="u", items=["s1"]) == shop.click(["s1"], user="u")
    assert shop.ask("profile", user="u") == shop.profile("u")


def test_an_unknown_task_is_told_with_those_that_there_are(shop):
    with pytest.raises(UnknownTaskError, match="'shelf' is none of recommend, need, click"):
        shop.ask("shelf", "shoes")


def test_a_package_offers_a_task(shop, which_shelf, monkeypatch):
    entry = EntryPoint("shelf", "which_shelf:WhichShelf", "pyrec.tasks")
    monkeypatch.setattr(tasks, "entry_points", lambda group: [entry])
    shelves = shop.ask("shelf", "running shoes")
    assert shelves[0].name == "shoes"
    assert sum(s.probability for s in shelves) == pytest.approx(1.0, abs=1e-5)
    assert shop.ask(which_shelf.WhichShelf, "running shoes")[0].name == "shoes"


def test_the_example_is_about_a_hundred_lines():
    assert len(EXAMPLE.read_text("utf-8").splitlines()) < 110


class Plain(Task):
    """A task that leaves the weighing to the base."""

    name = "plain"
    signals = ("length",)

    def encode(self, ask):
        return ask.text.split()

    def answers(self, x):
        return Answers(x, np.array([[len(word) / 10] for word in x], np.float32))

    def parse(self, x, answers, mixed):
        return answers.choices[int(mixed.logprob.argmax())]


def test_without_weights_the_signals_of_a_task_count_alike(shop):
    assert shop.ask(Plain, "the longest word") == "longest"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda r: r.ask("explain", "shoes"), ValueError),
        (lambda r: r.ask("profile"), ValueError),
        (lambda r: r.click(["s1"], user=""), ValueError),
        (lambda r: r.click(["s1"], user="u", place=-1), ValueError),
        (lambda r: r.click(["s1"], user="u", plaze=3), TypeError),
        (lambda r: r.click([1], user="u"), TypeError),
        (lambda r: r.need(5), TypeError),
        (lambda r: r.profile(7), TypeError),
        (lambda r: r.profile("\ud800"), ValueError),
        (lambda r: r.correct("", "no shoes"), ValueError),
    ],
)
def test_bad_arguments_are_told_at_the_door(shop, call, error):
    with pytest.raises(error, match=r"give|knows"):
        call(shop)


def test_weights_of_ones_own_leave_those_of_other_tasks(shop):
    shop.learned.keep({"click": {"habit": (0.0, 9.0, 0.0, 0.0)}}, LINEAR, [])
    shop.use_theta(shop.theta)
    assert list(shop.weights.of_task("click")["habit"]) == [0.0, 9.0, 0.0, 0.0]
