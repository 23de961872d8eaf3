"""What it costs to serve viewers' words better: the same movies, asked by half of their titles.

    python bench/words_or_titles.py

One catalog, one theta, two kinds of questions. Theta is fitted to so many questions of viewers
(`tags`) and so many halves of titles (every fortieth movie), in five folds by question, and asked
the others of both. The first line is the theta that ships. Intervals are bootstraps, 95%.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import query_sets
from common import machine, open_store, table
from evidence import Evidence, collect, fit, rank

from pyrec import metrics, signals
from pyrec.bootstrap import bootstrap
from pyrec.mixer import Mixer, shipped_theta
from pyrec.ranking import ASKED

FOLDS, L2 = 5, 1e-4
MIXES = ((60, 0), (60, 6), (60, 15), (60, 60), (0, 60))
"""Questions of viewers and halves of titles that theta is fitted to."""


def main() -> None:
    print(machine())
    tags = query_sets.tags()
    halves = query_sets.by_half(tags.items()[::40])
    models = {"text_model": "gemma3-270m", "embedding_model": "multilingual-e5-small"}
    every = signals.every()
    names = [s.name for s in every]
    with open_store(tags.store, tags.items(), tags.events(), **models) as rec:
        sets = [
            collect(rec, queries, every, with_model=False)
            for queries in (tags, replace(tags, name="titles", queries=halves))
        ]
    ships = shipped_theta()
    asked = Mixer(names, {name: ships.get(name, (0.0,) * 4) for name in names})
    keep = [name in ASKED for name in names]
    rows = [["as it ships", "", *_told([_measure(evidence, asked, keep) for evidence in sets])]]
    fold = [np.random.default_rng(0).integers(0, FOLDS, len(evidence)) for evidence in sets]
    for mix in MIXES:
        found = [np.zeros(len(evidence)) for evidence in sets]
        for number in range(FOLDS):
            taught = [
                e
                for evidence, of, n in zip(sets, fold, mix, strict=True)
                for e in np.array(evidence, object)[of != number][:n]
            ]
            fitted = fit(taught, names, keep, L2)
            for evidence, of, values in zip(sets, fold, found, strict=True):
                left = np.flatnonzero(of == number)
                values[left] = _measure([evidence[n] for n in left], fitted, keep)
        rows.append([*map(str, mix), *_told(found)])
    head = ["viewers' words", "halves of titles", "nDCG@10 of words", "nDCG@10 of titles"]
    table(f"theta fitted to {len(sets[0])} and {len(sets[1])} questions, at most", head, rows)


def _measure(evidence: Sequence[Evidence], theta: Mixer, keep: Sequence[bool]) -> np.ndarray:
    return np.array([metrics.ndcg(rank(e, theta, keep), e.gains, 10) for e in evidence])


def _told(found: Sequence[np.ndarray]) -> list[str]:
    rng = np.random.default_rng(0)
    return ["{:.3f} [{:.3f}, {:.3f}]".format(*bootstrap(values, rng)) for values in found]


if __name__ == "__main__":
    main()
