import json
import math

import numpy as np
import pytest

from pyrec.bootstrap import bootstrap, paired_bootstrap
from pyrec.evaluation import Evaluation

RNG = np.random.default_rng(0)
OURS = {"ndcg": RNG.random(40), "recall": RNG.random(40)}
POPULAR = {"recall": RNG.random(40), "ndcg": RNG.random(40)}
WITHOUT = {"ndcg": OURS["ndcg"] - 0.125, "recall": OURS["recall"]}


@pytest.fixture
def evaluation():
    return Evaluation.from_values(
        {"pyrec": OURS, "popular": POPULAR},
        list_metrics={"pyrec": {"coverage": 0.5}, "popular": {"coverage": 0.01, "items": 3.0}},
        left_out={"content": WITHOUT},
        settings={"k": 10, "split": "last 1", "seen": "removed"},
        rng=np.random.default_rng(5),
    )


def test_systems_stand_in_order_with_their_means(evaluation):
    assert [system.name for system in evaluation.systems] == ["pyrec", "popular"]
    assert evaluation.metrics == ("ndcg", "recall")
    assert evaluation.list_metrics == ("coverage", "items")
    assert evaluation.n_users == 40
    found = evaluation.systems[1].measured["recall"]
    assert found.mean == pytest.approx(bootstrap(POPULAR["recall"], np.random.default_rng(5)))
    assert (found.values == POPULAR["recall"]).all()


def test_a_gain_is_the_first_system_less_another_over_the_same_users(evaluation):
    first, popular = evaluation.systems
    assert first.measured["ndcg"].gain is None
    expected = paired_bootstrap(OURS["ndcg"], POPULAR["ndcg"], np.random.default_rng(5))
    assert popular.measured["ndcg"].gain == pytest.approx(expected)


def test_a_signal_left_out_is_worth_all_less_the_rest(evaluation):
    (content,) = evaluation.left_out
    assert content.name == "content"
    assert content.measured["ndcg"].gain == pytest.approx((0.125, 0.125, 0.125))
    assert content.measured["recall"].gain == (0, 0, 0)


def test_users_where_a_measure_is_not_defined_are_left_out_of_its_mean_and_gain():
    found = Evaluation.from_values(
        {"a": {"novelty": [1.0, math.nan, 4.0]}, "b": {"novelty": [0.5, 2.0, math.nan]}},
        rng=np.random.default_rng(0),
    )
    a, b = (system.measured["novelty"] for system in found.systems)
    assert (a.mean.mean, b.mean.mean) == (2.5, 1.25)
    assert b.gain == (0.5, 0.5, 0.5)


def test_rows_hold_a_mean_a_column(evaluation):
    rows = evaluation.as_rows()
    assert [row["system"] for row in rows] == ["pyrec", "popular", "without content"]
    assert list(rows[0]) == ["system", "ndcg", "recall", "coverage", "items"]
    assert rows[0]["ndcg"] == pytest.approx(OURS["ndcg"].mean())
    assert [row["items"] for row in rows] == [None, 3.0, None]


def test_json_holds_means_intervals_gains_and_settings(evaluation):
    found = json.loads(evaluation.to_json())
    assert found["settings"] == {"k": 10, "split": "last 1", "seen": "removed"}
    assert (found["n_users"], found["level"]) == (40, 0.95)
    first, popular = found["systems"]
    assert first["metrics"]["ndcg"]["gain"] is None
    assert first["list_metrics"] == {"coverage": 0.5}
    told = popular["metrics"]["ndcg"]
    assert told["low"] < told["mean"] < told["high"]
    assert told["n_users"] == 40
    assert found["left_out"][0]["metrics"]["ndcg"]["gain"]["mean"] == pytest.approx(0.125)


def test_json_says_null_where_nothing_is_defined():
    found = Evaluation.from_values(
        {"a": {"novelty": [math.nan] * 3}},
        list_metrics={"a": {"coverage": math.nan}},
        rng=np.random.default_rng(0),
    )
    (system,) = json.loads(found.to_json())["systems"]
    assert system["metrics"]["novelty"]["mean"] is None
    assert system["metrics"]["novelty"]["n_users"] == 0
    assert system["list_metrics"]["coverage"] is None
    assert found.as_rows() == [{"system": "a", "novelty": None, "coverage": None}]


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        ({}, {}, "nothing to evaluate"),
        ({"a": {}}, {}, "nothing to evaluate"),
        ({"a": {"ndcg": []}}, {}, "not empty"),
        ({"a": {"ndcg": [1]}, "b": {"recall": [1]}}, {}, "'b' has the measures"),
        ({"a": {"ndcg": [1]}, "b": {"ndcg": [1, 2]}}, {}, "ndcg of 'b'"),
        ({"a": {"ndcg": [1]}}, {"left_out": {"c": {"ndcg": [1, 2]}}}, "ndcg of 'c'"),
        ({"a": {"ndcg": [1]}}, {"list_metrics": {"x": {"n": 1}}}, "names \\['x'\\]"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(values, more, said):
    with pytest.raises(ValueError, match=said):
        Evaluation.from_values(values, rng=np.random.default_rng(0), **more)
