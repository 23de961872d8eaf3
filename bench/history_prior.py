"""The weights of the signals of history that ship with pyrec, fitted over several data sets.

    python bench/history_prior.py            what the shipped weights are worth on each set
    python bench/history_prior.py --write    also fit them on all sets and write pyrec/prior.json

From each data set's training part come the same questions that `Recommender.train` asks, and for
the weights of deep histories, which only MovieLens has in number, from Beauty and Toys questions of
taste: users with long histories, asked for a random part of it. (Without these, theta of the other
three kept half as much of MovieLens' nDCG.) One theta is fitted on all sets together, each counting
the same beside those, and one a set on all others. The table has
the loss of each set (mean cross-entropy in nats) with its own theta, with the one of all, and with
the one it was left out of; and nDCG@10 on its test part, by the public API, with its own and with
the one it was left out of.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from common import ROOT, machine, table
from evidence import BY_HAND
from histories import ask, open_history
from histories_data import EVERY

from pyrec import signals, train
from pyrec.asking import whom_to_ask
from pyrec.mixer import Mixer, shipped_theta
from pyrec.replay import read_log
from pyrec.train import Pool, collect, loss
from pyrec.train_config import TrainConfig

N_QUESTIONS = 3000
TASTE = TrainConfig(min_events=20, long=0)
HAVE_TASTE = ("beauty", "toys")
N_TASTE = 300
L2 = 1e-2
"""Of 1e-4 to 1e-1 what keeps most where a set is left out."""

Pools = list[Pool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write pyrec/prior.json")
    arguments = parser.parse_args()
    print(machine())
    pools, taste = {}, {}
    for name in EVERY:
        names, pools[name] = questions(name, TrainConfig(n_users=N_QUESTIONS))
        taste[name] = questions(name, TASTE)[1][:N_TASTE] if name in HAVE_TASTE else []
    together = fit(names, pools.values(), taste.values())
    rows = []
    for name, mine in pools.items():
        own = fit(names, [mine], [])
        others = fit(names, besides(name, pools), besides(name, taste))
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


def questions(name: str, config: TrainConfig) -> tuple[list[str], Pools]:
    """Ask a set's users; also return the names of the signals."""
    rec = open_history(name)
    log = read_log(rec.events)
    asked = whom_to_ask(log, config)
    wide = [signal for signal in signals.every() if signal.name != "deep"]
    found = collect(log, rec.catalog, rec.questions, wide, _quiet, asked, None)
    rec.close()
    return found


def besides(name: str, sets: Mapping[str, Pools]) -> list[Pools]:
    """Return the other sets."""
    return [pools for other, pools in sets.items() if other != name]


def fit(names: Sequence[str], sets: Collection[Pools], taste: Iterable[Pools]) -> Mixer:
    """Fit theta on several sets, of each as many questions as the smallest has, at least 600."""
    n = max(600, min(len(pools) for pools in sets))
    chosen = [*(p for pools in sets for p in pools[:n]), *(p for pools in taste for p in pools)]
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
