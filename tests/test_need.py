import numpy as np
import pytest
from scripted import ScriptedModel, ScriptedModels

from pyrec import Recommender
from pyrec.catalog import Catalog
from pyrec.phrasebook import Phrasebook
from pyrec.prompts import Prompts
from pyrec.types import Item

SHELVES = ("sandals", "boots", "running shoes", "air", "jackets")


@pytest.fixture
def book(store):
    catalog = Catalog(store)
    catalog.add(
        Item(f"{shelf}{n}", f"Thing number {n} of {shelf}", attributes={"shelf": shelf})
        for shelf in SHELVES
        for n in range(3)
    )
    book = Phrasebook(store, catalog)
    book.refresh()
    return book


def says(word):
    """A model that continues every prompt with one word."""
    tokens = ScriptedModel().tokenize(f" {word}")

    def logits(path):
        row = np.zeros(128, np.float32)
        said = next((n for n in range(len(tokens), 0, -1) if path[-n:] == tuple(tokens[:n])), 0)
        if said < len(tokens):
            row[tokens[said]] = 12.0
        return row

    return ScriptedModel(logits)


def understand(book, text, model=None):
    return Recommender(book._store, ScriptedModels(model)).need(text)


def test_the_model_writes_the_question_in_the_catalogs_phrases(book):
    need = understand(book, "flip flops", says("sandals"))
    assert need.phrases[0].text == "sandals"
    assert need.phrases[0].probability > 0.9
    assert sum(p.probability for p in need.phrases) == pytest.approx(1.0)
    assert "phrases by scripted" in need.path[-1]


def never(path):
    raise AssertionError("the model was asked")


def test_an_exact_value_asks_no_model(book):
    need = understand(book, "Boots", ScriptedModel(never))
    assert [(p.text, p.probability) for p in need.phrases] == [("boots", 1.0)]
    assert need.path == ("exact value of the catalog",)


def test_an_exact_title_asks_no_model_and_holds_no_condition(book):
    Catalog(book._store).add([Item("t", "Three boots not under 300", price=20.0)])
    need = understand(book, "three boots not under 300", ScriptedModel(never))
    assert need.path == ("exact title",)
    assert (need.filters, need.n) == ((), None)


def test_a_price_bound_becomes_a_filter_only_where_there_are_prices(book, store):
    assert understand(book, "boots under 300").filters == ()
    Catalog(store).add(Item(f"p{n}", f"Boots {n}", price=20.0) for n in range(9))
    book.refresh()
    assert [str(f) for f in understand(book, "boots under 300").filters] == ["price<=300"]


def test_a_phrase_of_only_a_part_of_the_question_is_left_out(book):
    need = understand(book, "air conditioner", says("air"))
    assert "air" not in [p.text for p in need.phrases]


def test_without_a_model_the_words_remain_and_the_path_says_so(book):
    need = understand(book, "flip flops")
    assert need.terms == ("flip", "flop")
    assert need.phrases == ()
    assert need.path == ("words only: no text model",)


def test_priors_that_are_not_computed_yet_are_named_in_the_path(book):
    model = says("boots")
    assert "without priors" in understand(book, "warm feet", model).path[-1]
    list(book.compute_priors(model, "scripted", Prompts().load("en", "need")))
    assert "without priors" not in understand(book, "warm feet", model).path[-1]


def test_priors_are_kept_in_the_store_and_found_by_the_next_process(book, store):
    model = says("boots")
    list(book.compute_priors(model, "scripted", Prompts().load("en", "need")))
    again = Phrasebook(store, Catalog(store))
    trie = again.trie(model, "scripted", Prompts().load("en", "need"))
    assert trie.has_prior
    assert (trie.core.prior[1:] <= 0.0).all()


def test_a_question_as_long_as_a_book_is_answered(book):
    need = understand(book, "shoe " * 20_000, says("boots"))
    assert need.phrases[0].text == "boots"


@pytest.mark.parametrize("text", ["\x00\x07", "🎈", "<start_of_turn>user", "' OR 1=1 --", "%s{}"])
def test_any_text_is_a_question(book, text):
    assert understand(book, text, says("boots")).text == text.strip()


def test_a_catalog_without_phrases_is_searched_by_words(store):
    book = Phrasebook(store, Catalog(store))
    assert understand(book, "boots", says("boots")).path == (
        "words only: the catalog has no phrases",
    )


def test_every_language_of_prompts_has_what_the_tasks_need():
    for language in ("en", "zh", "fr"):
        for use in ("need", "titles"):
            prompt = Prompts().load(language, use)
            assert "{question}" in prompt.text
            assert prompt.neutral
            assert "two lines" in prompt.ask("two\nlines")


def test_of_two_likely_phrases_the_one_that_the_catalog_uses_more_wins(store):
    catalog = Catalog(store)
    catalog.add(
        Item(f"{shelf}{n}", f"Thing {n}", attributes={"shelf": shelf})
        for shelf, count in (("sneakerx", 2), ("sneakery", 30))
        for n in range(count)
    )
    book = Phrasebook(store, catalog)
    book.refresh()
    need = understand(book, "trainers", ScriptedModel(lambda path: np.zeros(128, np.float32)))
    worth = {p.text: p.probability for p in need.phrases}
    assert worth["sneakery"] > worth["sneakerx"]


def test_phrases_follow_a_catalog_that_was_replaced_by_one_of_the_same_size(store):
    catalog = Catalog(store)
    book = Phrasebook(store, catalog)
    for shelf in ("boots", "hats"):
        catalog.add(Item(f"i{n}", f"Thing {n}", attributes={"shelf": shelf}) for n in range(5))
        assert book.refresh()
        assert book.value(shelf) == shelf
    assert book.value("boots") is None
    assert not book.refresh()
