"""pyrec beside what a user would pick instead, on the same split, asked by histories.

    python bench/quality.py [beauty toys office movielens]

Each line runs in a process of its own. pyrec gets events through `add_events`, learns by `train`,
and is asked by `recommend(history=...)`; vectors of the items' titles are there before (`pyrec
index`, not in the seconds). Seen items are removed. The weights are learned from what the training
part says of validation. Strict: when the test is asked, histories, counts and the linear model know
the training part alone. Refit: validation joined it, as in a live system. "Lower" are the users of
Beauty whose last step goes to a lower ASIN, where the order in which that data was sorted does not
help; see the data's README, and `direction.py`. Intervals are bootstraps over questions, 95%.
Published figures stand below with their protocols, which differ.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
from common import ROOT, machine, table
from histories import ask, copy_history, data_set, is_refit, put_on
from histories_data import EVERY
from peers import PEERS
from published import published

from pyrec.bootstrap import bootstrap

MODES = {"office": ("strict", "refit"), "movielens": ("refit",)}
METRICS = ("Recall@10", "nDCG@10", "Recall@5", "nDCG@5", "precision@10", "F1@10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", metavar="DATA", help=f"of {', '.join(EVERY)}")
    parser.add_argument("--only", choices=("strict", "refit"), help="pyrec's figures as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.data[0], refit=arguments.only == "refit")))
        return
    print(machine())
    for name in arguments.data or EVERY:
        data_set(name)  # leaves with a message where data is missing
        rows = []
        for mode in MODES.get(name, ("strict",)):
            found = of_process(__file__, name, "--only", mode)
            rows.append(line(f"pyrec, {mode}", found))
            if "lower" in found:
                rows.append(["pyrec, lower", *found["lower"], *[""] * 7])
        for peer, (title, _) in PEERS.items() if has_implicit() else ():
            rows.append(
                line(title, of_process(str(ROOT / "bench" / "peers.py"), name, "--only", peer))
            )
        table(f"{name}, seen removed", ["", *METRICS, "fit s", "ms a user", "peak MB"], rows)
        for row in published(name):
            figures = ", ".join(f"{metric} {value:.4f}" for metric, value in row.figures.items())
            print(f"  published: {row.model}: {figures} ({row.source}; {row.protocol})")


def measure(name: str, *, refit: bool) -> dict[str, object]:
    """Train on one data set and ask its test questions."""
    rec = copy_history(name, "quality", refit=True)
    began = time.perf_counter()
    rec.train()
    fit_s = time.perf_counter() - began
    if not is_refit(name, refit=refit):
        theta, network = rec.theta, rec.learned.deep()
        rec.close()
        rec = copy_history(name, "quality")
        put_on(rec, theta, network)
    found = ask(rec, name)
    rng = np.random.default_rng(0)
    told: dict[str, object] = {}
    for metric in METRICS:
        mean, low, high = bootstrap(found[metric], rng)
        told[metric] = f"{mean:.4f}" + (f" [{low:.3f} {high:.3f}]" if "10" in metric else "")
    if name == "beauty":
        items = data_set(name).items
        lower = np.array(
            [
                items[q.answers[0]].item_id < items[q.history[-1]].item_id
                for q in data_set(name).test
            ]
        )
        told["lower"] = [f"{found[metric][lower].mean():.4f}" for metric in METRICS[:2]]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**told, "fit_s": fit_s, "user_ms": float(np.median(found["ms"])), "peak_mb": peak}


def of_process(script: str, *arguments: str) -> dict:
    """Run a script and read the JSON of its last line."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def line(title: str, found: dict) -> list[object]:
    """Return a row of the table."""
    values = [found.get(metric, "") for metric in METRICS]
    cells = [v if isinstance(v, str) else f"{v:.4f}" for v in values]
    return [
        title,
        *cells,
        f"{found['fit_s']:.1f}",
        f"{found['user_ms']:.1f}",
        f"{found['peak_mb']:.0f}",
    ]


def has_implicit() -> bool:
    """Tell whether the peers can run."""
    try:
        import implicit  # noqa: F401
    except ImportError:
        print("peers skipped: implicit is not installed; pip install -e .[bench]")
        return False
    return True


if __name__ == "__main__":
    main()
