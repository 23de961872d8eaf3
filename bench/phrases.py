"""How well mining finds what a catalog sells: python bench/phrases.py

Reads the data named by PYREC_DATA (default ../shared/data). Of the Chinese titles, the annotated
categories and brands that occur at least 5 times should be among the phrases; of the others the
first phrases are printed, to be read by eye.
"""

import csv
import json
import time
import tracemalloc
from collections import Counter

from common import DATA, machine, need_data, table

from pyrec.phrases import mine
from pyrec.text import fold

CATALOGS = ("zh-shop", "products", "office", "beauty", "ml-latest-small")
BUDGETS = (500, 1000, 1500, 2000, 4000)


def read_jsonl(name):
    with open(DATA / name / "items.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def frequent(rows, column, n):
    counts = Counter(fold(row[column]) for row in rows if row[column])
    return {value for value, count in counts.items() if count >= n}


def chinese():
    rows = read_jsonl("zh-shop")
    found = [fold(phrase) for phrase in mine(row["title"] for row in rows)]
    with open(DATA / "zh-shop" / "english_queries.tsv", encoding="utf-8") as file:
        asked = {fold(line.split("\t")[0]) for line in file}
    wanted = {
        "categories ≥ 5": frequent(rows, "category", 5),
        "categories ≥ 2": frequent(rows, "category", 2),
        "brands ≥ 5": frequent(rows, "brand", 5),
        "asked for": asked,
    }
    spans = frequent(rows, "category", 1) | frequent(rows, "brand", 1)
    lines = []
    for budget in BUDGETS:
        first = set(found[:budget])
        shares = [f"{len(first & some) / len(some):.3f}" for some in wanted.values()]
        lines.append([len(first), *shares, f"{len(first & spans) / len(first):.3f}"])
    title = f"zh-shop, {len(rows):,} titles: share of the annotated words among the first phrases"
    head = [f"{name} ({len(some)})" for name, some in wanted.items()]
    table(title, ["phrases", *head, "of them annotated"], lines)
    missing = sorted(wanted["categories ≥ 5"] - set(found))
    print("  categories not found:", " ".join(missing))


def titles_of(name):
    if name == "ml-latest-small":
        with open(DATA / name / "movies.csv", encoding="utf-8") as file:
            return [row["title"] for row in csv.DictReader(file)]
    if name == "beauty":
        with open(DATA / name / "titles.tsv", encoding="utf-8") as file:
            return [line.rstrip("\n").split("\t")[2] for line in file]
    return [row["title"] for row in read_jsonl(name)]


def cost():
    lines, firsts = [], []
    for name in CATALOGS:
        titles = titles_of(name)
        begin = time.perf_counter()
        found = mine(titles)
        seconds = time.perf_counter() - begin
        tracemalloc.start()
        mine(titles)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        lines.append([name, f"{len(titles):,}", len(found), f"{seconds:.1f}", peak // 2**20])
        firsts.append((name, found))
    table("Cost of mining", ["catalog", "titles", "phrases", "seconds", "peak MB"], lines)
    for name, found in firsts:
        print(f"\n{name}: {'; '.join(found[:60])}\n  ... {'; '.join(found[1000:1020])}")


if __name__ == "__main__":
    need_data(*CATALOGS)
    print(machine())
    chinese()
    cost()
