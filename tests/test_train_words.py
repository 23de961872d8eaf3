"""What lists that were shown for words teach, when something was taken of them."""

import numpy as np
import pytest

import pyrec
from pyrec import Item, mixer
from pyrec.mixer import Mixer
from pyrec.ranking import ASKED

KINDS = ("lamp", "chair", "table", "clock", "kettle", "basket")


@pytest.fixture
def rec(tmp_path):
    rng = np.random.default_rng(0)
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as rec:
        rec.add_items(
            Item(f"{kind}{n}", f"{kind} {'plain ' * (n % 4)}model {n}", popularity=float(how_often))
            for kind in KINDS
            for n, how_often in enumerate(rng.permutation([1, 3, 10, 30, 100, 300, 1000, 3000]))
        )
        yield rec


def popularity(rec, slate):
    return np.array([rec.catalog.items(rec.catalog.idxs([s.item_id]))[0].popularity for s in slate])


def ask_and_take(rec, n, choose):
    """Ask for kinds of things, a new user each time, and like one of the list."""
    for number in range(n):
        slate = rec.recommend(KINDS[number % len(KINDS)], user=f"u{number}", k=8)
        slate.shown()
        slate.like(int(choose(number, popularity(rec, slate))))


def first(rec):
    """Return how popular the first item is, as its place among its kind, 0 the most popular."""
    places = []
    for kind in KINDS:
        slate = rec.recommend(kind, k=8)
        places.append(int((-popularity(rec, slate)).argsort().tolist().index(0)))
    return np.mean(places)


def test_what_is_taken_of_lists_for_words_comes_first_after_training(rec):
    before = first(rec)
    ask_and_take(rec, 80, lambda _, popular: popular.argmin())
    at_once, theta = first(rec), rec.theta
    report = rec.train().words
    assert report.n_lists == 80
    assert report.used
    assert report.after < report.before
    assert first(rec) > max(before, at_once) + 1
    assert {n for n in theta if rec.theta[n] != theta[n]} <= set(ASKED)


def test_every_training_counts_all_answers_and_the_same_ones_teach_the_same(rec):
    ask_and_take(rec, 60, lambda _, popular: popular.argmin())
    rec.train()
    once = rec.theta
    rec.train()
    assert rec.theta == once
    ask_and_take(rec, 60, lambda _, popular: popular.argmin())
    assert rec.train().words.n_lists == 120


def test_few_answers_leave_the_weights_and_say_why(rec):
    ask_and_take(rec, 12, lambda _, popular: popular.argmin())
    theta = rec.theta
    report = rec.train().words
    assert (report.n_lists, report.used) == (12, False)
    assert "too few lists" in report.why
    assert rec.theta == theta


def test_lists_of_which_nothing_was_taken_and_those_without_words_are_no_answers(rec):
    for number in range(60):
        rec.recommend("lamp", user=f"u{number}").shown()
        slate = rec.recommend(user=f"u{number}")
        slate.shown()
        slate.like(0)
    assert rec.train().words.n_lists == 0


def test_weights_that_the_other_lists_speak_against_are_not_used(rec, monkeypatch):
    ask_and_take(rec, 40, lambda _, popular: popular.argmax())
    theta = rec.theta

    def worse(phi, target, groups, prior, **options):
        return Mixer(prior.names, dict.fromkeys(prior.names, (-9.0, 0.0))), []

    monkeypatch.setattr(mixer, "fit_features", worse)
    report = rec.train().words
    assert not report.used
    assert report.after > report.before
    assert "less likely" in report.why
    assert rec.theta == theta


def test_what_single_events_taught_of_histories_stays_where_only_words_are_learned(rec):
    for number in range(20):
        for kind in KINDS[:4]:
            rec.feedback(f"h{number}", f"{kind}{number % 8}", "like")
    ask_and_take(rec, 40, lambda _, popular: popular.argmin())
    own, theta = rec.store.db["own_weights"].count, rec.theta
    report = rec.train()
    assert report.words.used
    assert not report.used
    assert rec.store.db["own_weights"].count == own > 0
    assert {n for n in theta if rec.theta[n] != theta[n]} <= set(ASKED)


def test_lists_without_another_choice_teach_nothing(rec):
    for number in range(30):
        slate = rec.recommend("lamp", user=f"u{number}", k=1)
        slate.shown()
        slate.like(0)
    assert rec.train().words.n_lists == 0


def test_lists_for_words_between_others_are_judged_by_lists_that_they_did_not_teach(rec):
    for number in range(25):
        for _ in range(4):
            rec.recommend(user=f"u{number}").shown()
        slate = rec.recommend(KINDS[number % 6], user=f"u{number}", k=8)
        slate.shown()
        slate.like(number * 5 % len(slate))
    report = rec.train().words
    assert report.n_lists == 25
    # One of eight at random: the lists that taught the weights find .02 nats in it, others nothing.
    assert report.after > np.log(8)


@pytest.fixture
def colored(tmp_path):
    colors = ("red", "green", "blue", "grey", "pink", "teal", "plum", "gold", "jade", "lime")
    with pyrec.open(tmp_path / "shop.db", text_model=None, embedding_model=None) as rec:
        rec.add_items(
            Item(f"{color} {kind}", f"{color} {kind} of {color} wood", popularity=10.0 ** (n % 4))
            for n, (color, kind) in enumerate((c, k) for c in colors for k in KINDS)
        )
        yield rec


def found_by_halves(rec):
    """Return the share of items among the first three for half of their title."""
    titles = [item.item_id for item in rec.catalog.items(range(rec.catalog.n_items))]
    return np.mean(
        [title in [s.item_id for s in rec.recommend(f"{title} of", k=3)] for title in titles]
    )


def ask_for_titles_and_take(rec, n, k, choose):
    titles = [item.item_id for item in rec.catalog.items(range(rec.catalog.n_items))]
    for number in range(n):
        slate = rec.recommend(titles[number * 7 % len(titles)], user=f"u{number}", k=k)
        slate.shown()
        slate.like(int(choose(popularity(rec, slate))))


def test_likes_of_what_was_not_asked_for_leave_titles_found(colored):
    ask_for_titles_and_take(colored, 80, k=30, choose=lambda popular: len(popular) - 1)
    assert found_by_halves(colored) > 0.9


def test_training_on_answers_to_words_leaves_titles_found(colored):
    # Everybody wants what is popular, of whatever kind and color.
    ask_for_titles_and_take(colored, 80, k=10, choose=np.argmax)
    assert colored.train().words.used
    assert found_by_halves(colored) > 0.9
