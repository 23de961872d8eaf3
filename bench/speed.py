"""How long answers take and how much memory they need, warm and from process start.

    python bench/speed.py

Milliseconds are medians of the recommender's own clock (`slate.ms`). Memory is what Linux counts as
resident after questions were answered, in a process of its own. 17,472 made-up products stand for
a catalog of that size; the first 10,000 of them for memory and start. Vectors and what the text
model reads are random: the time of a product of vectors does not depend on what they mean.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from common import CACHE, machine, table

import pyrec
from pyrec.states import States
from pyrec.vectors import Vectors

WORDS = [
    "trail",
    "running",
    "shoes",
    "leather",
    "boots",
    "canvas",
    "backpack",
    "wireless",
    "mouse",
    "mechanical",
    "keyboard",
    "steel",
    "pan",
    "cotton",
    "shirt",
    "wool",
    "socks",
    "garden",
    "hose",
    "desk",
    "lamp",
    "travel",
    "mug",
    "phone",
    "case",
    "camera",
    "strap",
    "yoga",
    "mat",
    "运动鞋",
    "凉鞋",
    "背包",
    "鼠标",
    "键盘",
    "炒锅",
    "衬衫",
    "袜子",
    "台灯",
    "水杯",
    "手机壳",
    "相机",
]
QUERIES = ("light running shoes", "防水背包", "gift for a cook", "camera for travel", "warm socks")
COLORS = ("red", "blue", "black", "white", "green", "grey", "brown", "yellow")


def items(n: int):
    rng = np.random.default_rng(0)
    for number in range(n):
        words = [WORDS[w] for w in rng.integers(0, len(WORDS), 5)]
        yield pyrec.Item(
            f"i{number}",
            " ".join([*words, f"{number:x}"]),
            price=float(rng.integers(5, 500)),
            popularity=float(rng.integers(0, 1000)),
            attributes={"kind": words[0], "color": COLORS[number % len(COLORS)]},
        )


def store(n: int) -> Path:
    """Make a store with priors and vectors, once."""
    path = CACHE / f"speed-{n}.db"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    with pyrec.open(path, text_model="gemma3-270m", embedding_model=None) as rec:
        rec.add_items(items(n))
        for at in rec.index():
            if at.step != "phrases":
                break
        model = rec.models.text()
        assert model is not None, "the models of the README are here"
        states = States(rec.store, rec.catalog, rec.models, rec.prompts).of(rec.catalog.language)
        assert states is not None
        rng = np.random.default_rng(0)
        for vectors, width in (
            (Vectors(rec.store, rec.catalog, "multilingual-e5-small"), 384),
            (states, model.output_rows([0]).shape[1] + 1),
        ):
            for _ in vectors.compute(partial(random_rows, rng, width)):
                pass
    return path


def random_rows(rng: np.random.Generator, width: int, texts: Sequence[str]) -> np.ndarray:
    rows = rng.normal(size=(len(texts), width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def milliseconds(path: Path, text: str | None, embedding: str | None) -> tuple[float, float]:
    """Return the median and the 90th percentile over many different questions, warm."""
    with pyrec.open(path, text_model=text, embedding_model=embedding) as rec:
        for query in QUERIES:
            rec.recommend(query)
        taken = []
        for n in range(40):
            query = f"{QUERIES[n % len(QUERIES)]} {COLORS[n % len(COLORS)]}"
            taken.append(rec.recommend(query).ms)
    return float(np.median(taken)), float(np.quantile(taken, 0.9))


_CHILD = """
import sys, time
began = time.perf_counter()
import pyrec
with pyrec.open(sys.argv[1], text_model=sys.argv[2] or None,
                embedding_model=sys.argv[3] or None) as rec:
    rec.recommend("light running shoes")
    first = time.perf_counter() - began
    for query in ("gift for a cook", "防水背包"):
        rec.recommend(query)
    status = open("/proc/self/status").read().splitlines()
    kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    print(first, kib / 1024)
"""


def child(path: Path, text: str, embedding: str) -> tuple[float, float]:
    """Return seconds from process start to the first answer, and resident MiB."""
    command = [sys.executable, "-c", _CHILD, str(path), text, embedding]
    runs = []
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append([float(x) for x in done.stdout.split()])
    return tuple(np.median(runs, axis=0).tolist())


def main() -> None:
    print(machine())
    e5, gemma = "multilingual-e5-small", "gemma3-270m"
    large, small = store(17_472), store(10_000)
    combinations = [("no model", "", ""), ("e5", "", e5), ("gemma", gemma, ""), ("both", gemma, e5)]
    rows = [
        [name, *(f"{ms:.1f}" for ms in milliseconds(large, text or None, embedding or None))]
        for name, text, embedding in combinations
    ]
    table("recommend(query), 17,472 items, warm, ms", ["models", "p50", "p90"], rows)
    rows = []
    for name, text, embedding in combinations:
        seconds, mib = child(small, text, embedding)
        rows.append([name, f"{seconds:.2f}", f"{mib:.0f}"])
    table("10,000 items", ["models", "s to the first answer", "MiB resident"], rows)


if __name__ == "__main__":
    main()
