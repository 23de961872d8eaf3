"""The weights of the signals of history that ship with pyrec, fitted over several data sets.

    python bench/history_prior.py            what the shipped weights are worth on each set
    python bench/history_prior.py --write    also fit them on all sets and write pyrec/prior.json

From each data set's training part come the same questions that `Recommender.train` asks. One theta
is fitted on all sets together, each counting the same, and one a set on all others. The table has
the loss of each set (mean cross-entropy in nats) with its own theta, with the one of all, and with
the one it was left out of; and nDCG@10 on its test part, by the public API, with its own and with
the one it was left out of.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from common import ROOT, machine, table
from evidence import BY_HAND
from histories import ask, open_history
from histories_data import EVERY

from pyrec import signals, train
from pyrec.mixer import Mixer, shipped_theta
from pyrec.replay import read_log
from pyrec.train import Pool, TrainConfig, collect, loss

N_QUESTIONS = 3000
L2 = 1e-4

Pools = list[Pool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write pyrec/prior.json")
    arguments = parser.parse_args()
    print(machine())
    names, pools = [], {}
    for name in EVERY:
        rec = open_history(name)
        config = TrainConfig(n_users=N_QUESTIONS)
        names, pools[name] = collect(
            read_log(rec.events), rec.catalog, rec.questions, signals.every(), _quiet, config
        )
        rec.close()
    together = fit(names, list(pools.values()))
    rows = []
    for name, mine in pools.items():
        own = fit(names, [mine])
        others = fit(names, [p for other, p in pools.items() if other != name])
        losses = [loss(theta, mine) for theta in (own, together, others)]
        gains = [ndcg(name, theta) for theta in (own, others)]
        rows.append([name, *losses, *gains, f"{gains[1] / gains[0]:.1%}"])
    head = ["", "loss: own", "of all", "left out", "nDCG@10: own", "left out", "kept"]
    table("One theta for histories", head, rows)
    if arguments.write:
        path = ROOT / "pyrec" / "prior.json"
        kept = json.loads(path.read_text())
        for name, row in together.as_dict().items():
            if any(row):  # nobody's popularity is known here: that weight stays by hand
                kept["theta"][name] = [round(w, 4) for w in row]
        path.write_text(json.dumps(kept, indent=2) + "\n")
        print(f"wrote {path}")


def fit(names: Sequence[str], sets: Sequence[Pools]) -> Mixer:
    """Fit theta on several sets, of each as many questions as the smallest has, at least 600."""
    n = max(600, min(len(pools) for pools in sets))
    chosen = [pool for pools in sets for pool in pools[:n]]
    return train.fit(chosen, Mixer(names, BY_HAND), l2=L2)


def ndcg(name: str, theta: Mixer) -> float:
    """Ask a set's test questions with these weights."""
    rec = open_history(name)
    rec.use_theta({**shipped_theta(), **theta.as_dict()})
    found = ask(rec, name)["nDCG@10"]
    rec.close()
    return float(found.mean())


def _quiet(step: str, share: float) -> None:
    pass


if __name__ == "__main__":
    main()
