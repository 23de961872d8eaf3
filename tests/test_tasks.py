"""Any task by its name: ours, one of a package, and the example in `examples/`."""

import importlib.util
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from scripted import ScriptedModels

from pyrec import Recommender, tasks
from pyrec.errors import UnknownTaskError

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
