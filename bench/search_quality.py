"""How good questions are answered: per query set, each signal and each text model with intervals.

    python bench/search_quality.py            the table, and which signals earn a weight
    python bench/search_quality.py --write    also fit the shipped theta on all sets

Every figure is cross-validated by question (5 folds): theta is fitted on the other questions of all
sets together; two sets are also asked without a text model. An ablation fits again without the
signal; its worth is the paired difference with a 95% bootstrap interval, with the one theta that
serves all sets and with weights of each set alone. A signal whose interval lies above zero in none
of these gets weight zero.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np
import query_sets as sets_of
from common import ROOT, machine, open_store, table
from evidence import BY_HAND, collect, cross_validate, fit

from pyrec import signals
from pyrec.bootstrap import paired_bootstrap
from pyrec.ranking import LEARNED
from pyrec.signals.titles import Titles

L2 = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="fit and write pyrec/prior.json")
    parser.add_argument("--text-model", default="gemma3-270m")
    arguments = parser.parse_args()
    print(machine())
    every = [*signals.every(), Titles()]
    names = [s.name for s in every]
    collected = []
    asked = [
        (sets_of.zh_en(), arguments.text_model),
        (sets_of.zh_en(dev=True), arguments.text_model),
        (sets_of.zh(), arguments.text_model),
        (sets_of.tags(), arguments.text_model),
        (sets_of.products(), arguments.text_model),
        (sets_of.known(), arguments.text_model),
        (sets_of.known_taken(), arguments.text_model),
        # A device may have no text model: theta must serve it as well.
        (replace(sets_of.zh_en(dev=True), name="zh-dev, words"), None),
        (replace(sets_of.tags(), name="tags, words", generates=False), None),
    ]
    for queries, text_model in asked:
        rec = open_store(
            queries.store,
            queries.items(),
            queries.events(),
            text_model=text_model,
            embedding_model="multilingual-e5-small" if queries.embeds else None,
        )
        collected.append((queries, collect(rec, queries, every, with_model=queries.generates)))
        rec.close()
    everything = [True] * len(names)
    full = cross_validate(collected, names, everything, l2=L2)
    head = ["", *(f"{q.name} {q.metric}" for q, _ in collected)]
    rows: list[list[object]] = [["all signals", *(float(r.mean()) for r in full)]]
    for n, name in enumerate(names):
        only = [m == n for m in range(len(names))]
        alone = cross_validate(collected, names, only, l2=L2)
        rows.append([f"{name} alone, same pool", *(float(r.mean()) for r in alone)])
    # What a store whose questions are of one kind could learn, where one theta has to serve all.
    own = [cross_validate([each], names, everything, l2=L2)[0] for each in collected]
    rows.insert(1, ["weights of this set alone", *(float(r.mean()) for r in own)])
    table("Quality, cross-validated", head, rows)
    rows, alone, earns = [], [], []
    for n, name in enumerate(names):
        without = [m != n for m in range(len(names))]
        less = cross_validate(collected, names, without, l2=L2)
        own_less = [cross_validate([each], names, without, l2=L2)[0] for each in collected]
        rng = np.random.default_rng(0)
        cells = [paired_bootstrap(a, b, rng) for a, b in zip(full, less, strict=True)]
        of_own = [paired_bootstrap(a, b, rng) for a, b in zip(own, own_less, strict=True)]
        earns.append(name in BY_HAND or any(c.low > 0 for c in [*cells, *of_own]))
        for shown, found in ((rows, cells), (alone, of_own)):
            told = (f"{c.mean:+.3f} [{c.low:+.3f} {c.high:+.3f}]" for c in found)
            if any(c.mean for c in found):
                shown.append([name, *told])
    table("What each signal adds to the others (all minus without it)", head, rows)
    table("The same with weights of each set alone", head, alone)
    if arguments.write:
        write([e for _, evidence in collected for e in evidence], names, earns)


def write(train: list, names: list[str], keep: list[bool]) -> None:
    print("no weight: " + ", ".join(n for n, k in zip(names, keep, strict=True) if not k))
    fitted = fit(train, names, keep, L2)
    path = ROOT / "pyrec" / "prior.json"
    kept = json.loads(path.read_text())
    said = np.any([np.any(np.nan_to_num(e.values) > 0, axis=0) for e in train], axis=0)
    speaks = dict(zip(names, said, strict=True))
    for name, row in fitted.as_dict().items():
        # No question here has a history: those are history_prior.py's, and what never spoke here
        # keeps the weight that it has by hand.
        if name not in LEARNED and speaks[name]:
            kept["theta"][name] = [round(w, 4) for w in row]
    path.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
