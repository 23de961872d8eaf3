"""What the benchmarks share: where the data lies, which machine this is, how a table looks."""

from __future__ import annotations

import os
import platform
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyrec

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("PYREC_DATA", ROOT.parent / "shared" / "data"))
CACHE = ROOT / "build" / "bench"
"""Stores of the benchmarks, with vectors that took minutes; delete them to start over."""


def need_data(*names: str) -> None:
    """Leave with a message where data is missing."""
    missing = [name for name in names if not (DATA / name).exists()]
    if missing:
        names_missing = ", ".join(missing)
        print(f"skipped: no {names_missing} in {DATA}; set PYREC_DATA to the folder of the data")
        sys.exit(0)


def machine() -> str:
    """Name the machine: processor, cores, memory, Python."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        kib = int(Path("/proc/meminfo").read_text().split()[1])
        memory = f", {kib >> 20} GiB"
    except (OSError, StopIteration):
        memory = ""
    return f"{name}, {os.cpu_count()} cores{memory}, Python {platform.python_version()}"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, the first column to the left and the others to the right."""
    cells = [list(map(str, head)), *([_cell(c) for c in row] for row in rows)]
    widths = [max(_width(row[n]) for row in cells) for n in range(len(head))]
    print(f"\n{title}")
    for place, row in enumerate(cells):
        padded = [
            c + " " * (w - _width(c)) if n == 0 else " " * (w - _width(c)) + c
            for n, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(padded))
        if place == 0:
            print("  " + "  ".join("-" * w for w in widths))
    sys.stdout.flush()


def open_store(
    name: str,
    items: Iterable[pyrec.Item],
    events: Iterable[pyrec.Event] = (),
    **models: object,
) -> pyrec.Recommender:
    """Open a benchmark's store, filled and indexed; it is kept in `CACHE` for the next run."""
    CACHE.mkdir(parents=True, exist_ok=True)
    rec = pyrec.open(CACHE / f"{name}.db", **models)
    if rec.catalog.count == 0:
        rec.add_items(items)
    rec.add_events(events)
    for step in rec.index():
        print(f"\r{name}: {step.step} {step.done:g}/{step.total:g}   ", end="", file=sys.stderr)
    return rec


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
