"""A million events into a new store and out again: seconds, and memory of the process that does it.

They come in no order of time, as ratings sorted by user do, which is the most work. The most
memory allowed is 300 MB, for all of the process.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import machine, table
from import_memory import LIMIT_MB, peak_mb


def write_rows(path: Path, n_rows: int) -> None:
    rng = random.Random(0)
    with open(path, "w", encoding="utf-8") as file:
        file.write("userId,asin,rating,timestamp\n")
        for n in range(n_rows):
            item = f"B00{int(rng.paretovariate(0.7)) % 200_000:07d}"
            at = 1_300_000_000 + rng.randrange(300_000_000)
            file.write(f"user{n // 30},{item},{rng.randrange(1, 6)},{at}\n")


def work(folder: Path) -> None:
    """Import, import again, read in order and export; print a line for each."""
    from pyrec.event_writing import lines_of
    from pyrec.events import EventLog
    from pyrec.readers import read_events
    from pyrec.store import Store

    with Store.open(folder / "shop.db") as store:
        log = EventLog(store)

        def export() -> None:
            with open(folder / "log.csv", "w", encoding="utf-8") as file:
                file.writelines(lines_of(log.walk(), "csv"))

        steps: list[tuple[str, Callable[[], object]]] = [
            ("nothing yet", lambda: None),
            ("import", lambda: log.add(read_events(folder / "rows.csv", strict=True))),
            ("the same again", lambda: log.add(read_events(folder / "rows.csv", strict=True))),
            ("read in order", lambda: sum(map(len, log.all_ordered(10_000)))),
            ("export", export),
            ("state, 1,000 times", lambda: [log.state() for _ in range(1000)]),
        ]
        for name, step in steps:
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            took = time.perf_counter() - wall, time.process_time() - cpu
            print(json.dumps([name, *took, peak_mb()]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_rows", type=int, nargs="?", default=1_000_000)
    n_rows = parser.parse_args().n_rows
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_rows(folder / "rows.csv", n_rows)
        child = subprocess.run(
            [sys.executable, __file__, "--work", folder], stdout=subprocess.PIPE, check=True
        )
        steps = [json.loads(line) for line in child.stdout.splitlines()]
        size = sum(file.stat().st_size for file in folder.glob("shop.db*")) / 1e6
    rows = [(name, f"{wall:.2f}", f"{cpu:.2f}", f"{peak:.0f}") for name, wall, cpu, peak in steps]
    print(machine())
    header = ["step", "s", "s of CPU", "peak MB so far"]
    table(f"{n_rows:,} events, store of {size:.0f} MB", header, rows)
    if steps[-1][-1] > LIMIT_MB:
        sys.exit(f"more than {LIMIT_MB} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(Path(sys.argv[2]))
    else:
        main()
