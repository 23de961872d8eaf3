"""How well questions are understood: conditions, order, number and exclusions of `needs.jsonl`.

410 questions in English and Chinese over five catalogs, written by somebody who had not seen the
rules; half (`dev`) served for choosing, half (`test`) is only measured.

    python bench/needs.py [--text-model NAME|none] [--errors dev]
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import CACHE, DATA, machine, need_data, table
from query_sets import known, movies, ratings, zh

import pyrec
from pyrec import Item

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--text-model", default="auto")
    parser.add_argument("--errors", choices=("dev", "test"))
    arguments = parser.parse_args()
    need_data("products/items.jsonl", "goodbooks/books.csv", "ml-latest-small/movies.csv")
    print(machine())
    model = None if arguments.text_model == "none" else arguments.text_model
    asked = [json.loads(line) for line in (HERE / "needs.jsonl").open(encoding="utf-8")]
    judged: dict[str, list[dict[str, float]]] = defaultdict(list)
    for name, items in CATALOGS.items():
        CACHE.mkdir(parents=True, exist_ok=True)
        with pyrec.open(CACHE / f"need-{name}.db", text_model=model, embedding_model=None) as rec:
            if not rec.catalog.count:
                rec.add_items(items())
            for _ in rec.index():
                pass
            rec.need("warm up")
            for each in (each for each in asked if each["catalog"] == name):
                verdict, found = judge(rec, each)
                for group in (each["part"], f"{each['part']}, {each['language']}"):
                    judged[group].append(verdict)
                judged[f"{each['part']}, {name}"].append(verdict)
                if arguments.errors == each["part"] and sum(verdict.values()) - verdict["ms"] < 6:
                    print(
                        name, "|", each["text"], "\n    want", *_wanted(each), "\n    got ", *found
                    )
    head = ["", "n", "filters right", "interval", "false filter", "interval", "exclusions", "order"]
    rows = []
    for group in sorted(judged, key=lambda g: (g.split(",")[0], "," in g, g)):
        of = judged[group]
        right, false = ([v[key] for v in of] for key in ("right", "false"))
        ms = statistics.median(v["ms"] for v in of)
        parts = [float(np.mean([v[key] for v in of])) for key in ("avoid", "order", "n")]
        rows.append([group, len(of), float(np.mean(right)), _interval(right),
                     1.0 - float(np.mean(false)), _interval([1.0 - f for f in false]), *parts,
                     f"{ms:.1f}"])  # fmt: skip
    table(f"Needs, text model {model}", [*head, "number", "ms"], rows)


def judge(rec: pyrec.Recommender, each: dict) -> tuple[dict[str, float], tuple[object, ...]]:
    """Return 1 for each part that is right, and what was found."""
    rec.need(each["text"])
    began = time.perf_counter()
    need = rec.need(each["text"])
    ms = 1000 * (time.perf_counter() - began)
    filters = {str(f) for f in need.filters}
    avoid = {p.text.lower() for p in need.avoid}
    wanted = set(each["filters"])
    verdict = {
        "right": float(filters == wanted),
        "false": float(filters <= wanted),
        "avoid": float(avoid == set(each["avoid"])),
        "order": float(need.order == (each["order"] or "")),
        "n": float(need.n == each["n"]),
        "any": 1.0,
        "ms": ms,
    }
    return verdict, (sorted(filters), sorted(avoid), need.order, need.n)


def _wanted(each: dict) -> tuple[object, ...]:
    return each["filters"], each["avoid"], each["order"], each["n"]


def _interval(values: list[float]) -> str:
    rng = np.random.default_rng(0)
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"[{low:.3f}, {high:.3f}]"


def _products() -> list[Item]:
    rows = [json.loads(line) for line in (DATA / "products" / "items.jsonl").open()]
    found = []
    for row in rows:
        attributes = {k: v for k, v in row.items() if k.startswith("attr_") and v not in (None, "")}
        attributes["supplier"] = row["supplier"]
        price = row.get("price")
        text = row.get("short_description", "")
        found.append(
            Item(row["id"], row["title"], text, price and price / 100, attributes=attributes)
        )
    return found


def _movies() -> list[Item]:
    found, counts = [], Counter(event.item_id for event in ratings())
    for item in movies():
        title, _, year = item.title.strip().rpartition(" (")
        dated = year[:4].isdigit() and year.endswith(")")
        attributes = dict(item.attributes) | ({"year": float(year[:4])} if dated else {})
        title, number = (title if dated else item.title), float(counts[item.item_id])
        found.append(replace(item, title=title, popularity=number, attributes=attributes))
    return found


def _books() -> list[Item]:
    with (DATA / "goodbooks" / "books.csv").open(encoding="utf-8") as file:
        found = []
        for row in csv.DictReader(file):
            attributes = {"authors": tuple(row["authors"].split(", "))}
            for name in ("language_code",):
                attributes |= {name: row[name]} if row[name] else {}
            for name in ("average_rating", "ratings_count"):
                attributes[name] = float(row[name])
            if row["original_publication_year"]:
                attributes["year"] = float(row["original_publication_year"])
            popularity = float(row["ratings_count"])
            found.append(
                Item(row["book_id"], row["title"], popularity=popularity, attributes=attributes)
            )
        return found


CATALOGS = {
    "products": _products,
    "movies": _movies,
    "books": _books,
    "zh-shop": lambda: zh().items(),
    "demo": lambda: known().items(),
}

if __name__ == "__main__":
    main()
