"""The measures against trec_eval, the reference implementation of information retrieval."""

import numpy as np
import pytest

from pyrec import metrics

pytrec_eval = pytest.importorskip(
    "pytrec_eval", reason="pytrec_eval-terrier has no wheel for this machine"
)

N_QUESTIONS = 200
OURS = {
    "P": metrics.precision,
    "recall": metrics.recall,
    "success": metrics.hit_rate,
    "map_cut": metrics.average_precision,
    "set_F": metrics.f1,
    "recip_rank": metrics.reciprocal_rank,
}


@pytest.fixture(scope="module")
def questions():
    """Random rankings of 30 items of 60, and gains of up to 24 judged items by question."""
    rng = np.random.default_rng(11)
    ranked, gains = {}, {}
    for n in range(N_QUESTIONS):
        items = [f"i{i}" for i in rng.permutation(60)]
        judged = rng.choice(60, size=rng.integers(1, 25), replace=False)
        ranked[str(n)] = items[:30]
        gains[str(n)] = {f"i{i}": int(rng.integers(0, 4)) for i in judged}
    return ranked, gains


@pytest.mark.parametrize("k", [1, 5, 10, 30])
def test_measures_equal_those_of_trec_eval(questions, k):
    ranked, gains = questions
    # trec_eval cuts neither the reciprocal rank nor F, so the runs end at k themselves.
    runs = {
        n: {item: -float(place) for place, item in enumerate(items[:k])}
        for n, items in ranked.items()
    }
    cut = {"P", "recall", "success", "map_cut", "ndcg_cut"}
    asked = {f"{name}.{k}" for name in cut} | {"set_F", "recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator(gains, asked).evaluate(runs)
    for n, items in ranked.items():
        relevant = {item for item, gain in gains[n].items() if gain > 0}
        for name, ours in OURS.items():
            expected = theirs[n][f"{name}_{k}" if name in cut else name]
            assert ours(items, relevant, k) == pytest.approx(expected, abs=1e-9), name
        expected = theirs[n][f"ndcg_cut_{k}"]
        assert metrics.ndcg(items, gains[n], k) == pytest.approx(expected, abs=1e-9)


def test_a_short_list_is_divided_by_k_as_in_trec_eval():
    run, gains = {"q": {"a": 2.0, "x": 1.0}}, {"q": {"a": 1, "b": 1}}
    theirs = pytrec_eval.RelevanceEvaluator(gains, {"P.5", "map_cut.5"}).evaluate(run)["q"]
    assert metrics.precision(["a", "x"], "ab", 5) == pytest.approx(theirs["P_5"], abs=1e-9)
    found = metrics.average_precision(["a", "x"], "ab", 5)
    assert found == pytest.approx(theirs["map_cut_5"], abs=1e-9)
