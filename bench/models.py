"""Which text model? Size, memory, milliseconds and the quality of the tasks that ask it.

    python bench/models.py [NAME|PATH]...    the models to compare; by default those that are here

Each model runs in a process of its own on 2 cores. `need` is asked what `needs.jsonl` holds, click
and rating about ten movies of one user; what a model's yes and no add is printed by `yesno.py`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from common import CACHE, machine, need_data, table
from needs import CATALOGS, HERE, judge

import pyrec
from pyrec import model_folder

N_RUNS = 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one)))
        return
    need_data("products/items.jsonl", "ml-latest-small/movies.csv", "goodbooks/books.csv")
    print(machine())
    names = arguments.models or [m.name for m in model_folder.available("text")]
    rows = []
    for name in ["none", *names]:
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append([name, *json.loads(done.stdout.splitlines()[-1])])
    head = ["", "file MB", "resident MiB", "need ms", "click 10 ms", "rating 10 ms"]
    head += ["filters right", "false filter", "en", "zh"]
    table("Text models", head, rows)


def one(name: str) -> list[object]:
    """Measure one model, in this process."""
    model = None if name == "none" else name
    size = f"{model_folder.find(name).path.stat().st_size / 1e6:.0f}" if model else ""
    found, ms = [], []
    asked = [json.loads(line) for line in (HERE / "needs.jsonl").open(encoding="utf-8")]
    times: dict[str, str] = {}
    for catalog, items in CATALOGS.items():
        path = CACHE / f"need-{catalog}.db"
        with pyrec.open(path, text_model=model, embedding_model=None) as rec:
            if not rec.catalog.count:
                rec.add_items(items())
            for _ in rec.index():
                pass
            rec.need("warm up")
            for each in asked:
                if each["catalog"] == catalog:
                    verdict, _ = judge(rec, each)
                    found.append((each["language"], verdict))
                    ms.append(verdict["ms"])
            if catalog == "movies":
                ten = [item.item_id for item in rec.catalog.items(range(10))]
                times = {
                    task: _median(lambda: rec.ask(task, items=ten, user="u", generate=bool(model)))  # noqa: B023
                    for task in ("click", "rating")
                }
    right = [v["right"] for _, v in found]
    parts = [statistics.mean(v["right"] for of, v in found if of == code) for code in ("en", "zh")]
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [size, f"{resident:.0f}", f"{statistics.median(ms):.1f}", times["click"],
            times["rating"], statistics.mean(right),
            1.0 - statistics.mean(v["false"] for _, v in found), *parts]  # fmt: skip


def _median(call: Callable[[], object]) -> str:
    call()
    times = []
    for _ in range(N_RUNS):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return f"{statistics.median(times):.1f}"


if __name__ == "__main__":
    main()
