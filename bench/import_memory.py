"""A million rows into a new store: seconds, and memory of the process that does it.

Each title carries a model number of its own, so that no cache of words helps and the index of
words is as large as it gets. The most allowed is 300 MB, for all of the process.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import machine, table

LIMIT_MB = 300
LIMIT_S = 180
WORDS = (
    "steel garden lamp wireless mouse running shoes for men women black original toner cartridge "
    "kitchen knife set wooden desk chair leather wallet cotton shirt green tea organic coffee"
)


def write_rows(path: Path, n_rows: int) -> None:
    rng = random.Random(0)
    words = WORDS.split()
    with open(path, "w", encoding="utf-8") as file:
        file.write("sku,title,price,brand,category,popularity\n")
        for n in range(n_rows):
            title = " ".join(rng.choices(words, k=9))
            model = f"MX{rng.randrange(10**9):09d}"
            brand, category = rng.choice(words), f"{rng.choice(words)}|{rng.choice(words)}"
            file.write(
                f'{rng.randrange(10**12):012d}-{n},"{title}, {model}",{rng.randrange(100, 99999)},'
                f"{brand},{category},{rng.randrange(10**6)}\n"
            )


def peak_mb() -> float:
    """Return the most memory this process ever held."""
    try:
        # Not getrusage where this is there: its figure may be that of the parent.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(folder: Path) -> None:
    """Import, import again, and build the index; print a line for each."""
    from pyrec.catalog import Catalog
    from pyrec.index import follow
    from pyrec.readers import read_items
    from pyrec.store import Store

    with Store.open(folder / "shop.db") as store:
        catalog = Catalog(store)
        steps: list[tuple[str, Callable[[], object]]] = [
            ("nothing yet", lambda: None),
            ("import", lambda: catalog.add(read_items(folder / "rows.csv", strict=True))),
            ("the same again", lambda: catalog.add(read_items(folder / "rows.csv", strict=True))),
            ("index of words", lambda: follow(None, catalog, None)),
        ]
        for name, step in steps:
            began = time.perf_counter()
            step()
            print(json.dumps([name, time.perf_counter() - began, peak_mb()]), flush=True)


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
        rows = [(name, f"{seconds:.1f}", f"{peak:.0f}") for name, seconds, peak in steps]
        size = sum(file.stat().st_size for file in folder.glob("shop.db*")) / 1e6
    print(machine())
    table(f"{n_rows:,} rows, store of {size:.0f} MB", ["step", "s", "peak MB so far"], rows)
    _, seconds, peak = steps[1]
    if peak > LIMIT_MB or seconds > LIMIT_S:
        sys.exit(f"more than {LIMIT_MB} MB or {LIMIT_S} s for the import")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(Path(sys.argv[2]))
    else:
        main()
