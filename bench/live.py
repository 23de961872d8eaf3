"""What a question and an event cost in a store in use, without words and without a text model.

    python bench/live.py [N_ITEMS ...]          12,000 and 1,000,000 by default

Made-up items with titles of six words, up to 100,000 of them with random vectors, ten users to a
hundred items, ten events each, items by a power law; trained once. Then users ask for a list, and
take something of it: the event is on the disk when `feedback` returns, and the next question knows
it. Both are timed, on a copy of the store.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from common import CACHE, machine, table
from import_memory import peak_mb

import pyrec
from pyrec.vectors import Vectors

MODEL = "multilingual-e5-small"
N_WORDS, DIM = 20_000, 384
N_ASKED = 400
MOST_VECTORS = 100_000
"""A larger catalog has none here: storing them takes longer than all the rest."""


def items(n: int):
    rng = np.random.default_rng(0)
    words = np.minimum(rng.zipf(1.3, size=(n, 6)), N_WORDS)
    for number, row in enumerate(words):
        yield pyrec.Item(f"i{number}", " ".join(f"w{word}" for word in row))


def events(n_items: int):
    rng = np.random.default_rng(1)
    for user in range(n_items // 10):
        for item in np.minimum(rng.zipf(1.2, size=10), n_items) - 1:
            # Spread, so that popular items do not share their place in the catalog.
            yield pyrec.Event(f"u{user}", f"i{item * 7919 % n_items}", "purchase")


def store(n_items: int) -> Path:
    """Make a trained store of so many items, once."""
    path = CACHE / f"live-{n_items}.db"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    for part in CACHE.glob(f"live-{n_items}.part*"):
        part.unlink()
    part = CACHE / f"live-{n_items}.part"
    with pyrec.open(part, text_model=None, embedding_model=MODEL) as rec:
        rec.add_items(items(n_items))
        rec.add_events(events(n_items))
        rng = np.random.default_rng(2)

        def random_rows(texts):
            rows = rng.normal(size=(len(texts), DIM)).astype(np.float32)
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

        if n_items <= MOST_VECTORS:
            for _ in Vectors(rec.store, rec.catalog, MODEL).compute(random_rows):
                pass
        rec.train()
    return part.rename(path)


def measure(n_items: int) -> list[list[object]]:
    """Ask and take; return a row for each kind of call."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copy(store(n_items), scratch)
        with pyrec.open(copy, text_model=None, embedding_model=MODEL) as rec:
            return rows_of(rec, n_items)


def rows_of(rec: pyrec.Recommender, n_items: int) -> list[list[object]]:
    began = time.perf_counter()
    rec.recommend(user="u0")
    first = 1000 * (time.perf_counter() - began)
    asked, took, after = [], [], []
    for n in range(N_ASKED):
        user = f"u{n * 37 % (n_items // 10)}"
        slate, ms = timed(lambda user=user: rec.recommend(user=user))
        asked.append(ms)
        item = slate[n % len(slate)].item_id
        took.append(timed(lambda user=user, item=item: rec.feedback(user, item, "purchase"))[1])
        slate, ms = timed(lambda user=user: rec.recommend(user=user))
        after.append(ms)
        assert item not in [s.item_id for s in slate]
    told = [("recommend", asked), ("feedback", took), ("recommend after it", after)]
    rows: list[list[object]] = [
        [f"{n_items:,} items, {what}", *(f"{np.quantile(ms, q):.1f}" for q in (0.5, 0.99))]
        for what, ms in told
    ]
    return [*rows, [f"{n_items:,} items, the first after opening", f"{first:.0f}", ""]]


def timed(call):
    began = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_items", type=int, nargs="*", default=[12_000, 1_000_000])
    print(machine())
    rows = [row for n_items in parser.parse_args().n_items for row in measure(n_items)]
    table("A store in use, ms", ["", "p50", "p99"], rows)
    print(f"peak {peak_mb():.0f} MB")


if __name__ == "__main__":
    main()
