"""The query sets of the benchmarks: catalogs with questions and the items that answer them.

`tags`: words that viewers gave to movies (GroupLens), in a store with their ratings. `products`:
judged product queries (querqy/chorus). `zh`: Chinese product titles, asked by their category words;
`zh-en`: the same asked in English, by the words of the data's `english_queries.tsv`; `zh-dev`: by
45 other categories that we translated, for choosing prompts and weights. `known`, `known,
histories`: products asked by half of their titles, from our own shop and from one with histories
(Amazon 2018). Origins and licenses stand in the data's README.
"""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import DATA, need_data

from pyrec import Event, Item, metrics
from pyrec.asked_titles import first_half
from pyrec.readers import read_events, read_items

GENERATES = bool(os.environ.get("PYREC_BENCH_TITLES"))
"""Whether `tags` asks the text model for titles, two seconds a question: PYREC_BENCH_TITLES=1."""
N_ALONE = 8
"""Of so many items that are asked by half of their title one is asked with half of another's."""
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class QuerySet:
    """Questions over one catalog; gains map item ids to what finding them is worth.

    Attributes:
        events: what users of the store took, empty for nothing.
        embeds: whether the catalog is embedded for it. The products are not: it takes half an hour
            on two cores, and their judgments came from word search, so they cannot reward it.
        generates: whether the text model is asked for titles of the whole catalog, `titles`.
    """

    name: str
    store: str
    items: Callable[[], list[Item]]
    queries: Mapping[str, Mapping[str, float]]
    metric: str
    embeds: bool = True
    generates: bool = False
    events: Callable[[], Iterable[Event]] = tuple

    def measure(self, ranked: list[str], gains: Mapping[str, float]) -> float:
        """Score one ranked list of item ids."""
        if self.metric == "P@5":
            return metrics.precision(ranked, {i for i, g in gains.items() if g > 0}, 5)
        return metrics.ndcg(ranked, gains, 10)


def movies() -> list[Item]:
    """MovieLens movies: title, year, genres; no tags, and no popularity but what users rated."""
    with (DATA / "ml-latest-small" / "movies.csv").open() as file:
        return [
            Item(
                row["movieId"],
                row["title"],
                attributes={"genres": tuple(row["genres"].split("|"))},
            )
            for row in csv.DictReader(file)
        ]


def ratings() -> Iterable[Event]:
    """What users rated on MovieLens."""
    return read_events(DATA / "ml-latest-small" / "ratings.csv", strict=True)


def tags() -> QuerySet:
    """Tags given to 5 to 60 movies."""
    need_data("ml-latest-small/tags.csv")
    tagged: dict[str, dict[str, float]] = defaultdict(dict)
    with (DATA / "ml-latest-small" / "tags.csv").open() as file:
        for row in csv.DictReader(file):
            tagged[row["tag"].lower()][row["movieId"]] = 1.0
    queries = {tag: found for tag, found in tagged.items() if 5 <= len(found) <= 60}
    return QuerySet(
        "tags", "movies-rated", movies, queries, "nDCG@10", generates=GENERATES, events=ratings
    )


def products() -> QuerySet:
    """Judged product queries with at least one relevant product."""
    need_data("products/items.jsonl")

    def items() -> list[Item]:
        found = []
        for row in _rows(DATA / "products" / "items.jsonl"):
            attributes = {"supplier": row["supplier"], "name": row["name"]}
            text = row.get("short_description", "")
            price = row.get("price")
            found.append(
                Item(row["id"], row["title"], text, price and price / 100, attributes=attributes)
            )
        return found

    judged: dict[str, dict[str, float]] = defaultdict(dict)
    with (DATA / "products" / "judgments.csv").open() as file:
        for row in csv.DictReader(file):
            judged[row["query"]][row["id"]] = float(row["rating"])
    queries = {q: gains for q, gains in judged.items() if any(gains.values())}
    return QuerySet("products", "products", items, queries, "nDCG@10", embeds=False)


def known() -> QuerySet:
    """Every fourth product of `examples/shop.jsonl`, asked by the first half of its title.

    The only set here that has both words that fit and popularity that does not care: without it
    nothing would keep what is popular from outranking what was asked for.
    """

    def items() -> list[Item]:
        return list(read_items(HERE.parent / "examples" / "shop.jsonl", strict=True))

    return QuerySet("known", "shop", items, by_half(items()[::4]), "nDCG@10", embeds=False)


def known_taken() -> QuerySet:
    """Every fortieth product of the office set, asked alike, in a store with its histories.

    Beside `tags` it says how much histories may speak where the words say all.
    """
    need_data("office/items.jsonl", "office/train.jsonl")

    def items() -> list[Item]:
        return [
            Item(
                row["id"], row["title"], attributes={"brand": row["brand"]} if row["brand"] else {}
            )
            for row in _rows(DATA / "office" / "items.jsonl")
        ]

    def events() -> Iterable[Event]:
        for row in _rows(DATA / "office" / "train.jsonl"):
            for item in row["items"]:
                yield Event(row["user"], str(item), "purchase")

    queries = by_half([item for item in items() if item.title][::40])
    return QuerySet(
        "known, histories", "office", items, queries, "nDCG@10", embeds=False, events=events
    )


def by_half(items: Sequence[Item]) -> dict[str, dict[str, float]]:
    """Ask for each item by half of its title, of some with half of another's as well.

    Without these nothing would keep what has some of the words before what has none and is popular.
    As many of them as of the others, and words that only seem to fit would count too much across
    languages (.63 in place of .71).
    """
    halves = [first_half(item.title) for item in items]
    queries = {}
    for n, (item, half) in enumerate(zip(items, halves, strict=True)):
        queries[half] = {item.item_id: 1.0}
        if n % N_ALONE == N_ALONE - 1:
            both = {items[n - 1].item_id: 1.0, item.item_id: 1.0}
            queries[f"{half} {halves[n - 1]}"] = both
    return queries


def zh(*, with_attributes: bool = True) -> QuerySet:
    """Chinese category words that occur at least 5 times; relevant is what has the category."""
    need_data("zh-shop/items.jsonl")
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in _rows(DATA / "zh-shop" / "items.jsonl"):
        if row["category"]:
            found[row["category"]][row["id"]] = 1.0
    queries = {category: ids for category, ids in found.items() if len(ids) >= 5}
    store = "zh-shop" if with_attributes else "zh-titles"
    return QuerySet("zh", store, lambda: _zh_items(with_attributes), queries, "P@5")


def zh_en(*, dev: bool = False, with_attributes: bool = True) -> QuerySet:
    """English words for Chinese categories; relevant is each title that contains the category."""
    need_data("zh-shop/items.jsonl")
    path = HERE / "zh_dev.tsv" if dev else DATA / "zh-shop" / "english_queries.tsv"
    titles = {row["id"]: row["title"] for row in _rows(DATA / "zh-shop" / "items.jsonl")}
    queries = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        category, english = line.split("\t")
        queries[english] = {i: 1.0 for i, title in titles.items() if category in title}
    name = "zh-dev" if dev else "zh-en"
    store = "zh-shop" if with_attributes else "zh-titles"
    return QuerySet(name, store, lambda: _zh_items(with_attributes), queries, "P@5")


def _zh_items(with_attributes: bool) -> list[Item]:
    found = []
    for row in _rows(DATA / "zh-shop" / "items.jsonl"):
        columns = {c: row[c] for c in ("category", "brand") if row[c] and with_attributes}
        found.append(Item(row["id"], row["title"], attributes=columns))
    return found


def _rows(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
