"""What likes on answers to words teach: words of viewers and product search, before and after.

    python bench/answers.py

Public API alone. In each of five folds four fifths of the questions are asked, each by a new user
who is shown a list, and likes what answers the question if it is there; then `train()`; then the
last fifth is asked, and some titles of the catalog by their halves. Once before any of it with the
weights that ship, once after the likes, which teach at once, and once after the training. Intervals
are bootstraps over questions, 95%.
"""

from __future__ import annotations

import numpy as np
import query_sets
from common import CACHE, machine, open_store, table

import pyrec
from pyrec import metrics
from pyrec.bootstrap import bootstrap

FOLDS, LENGTHS, TEXT, EMBEDDING = 5, (10, 50), "gemma3-270m", "multilingual-e5-small"
STAGES = ("ships", "likes", "trained")
N_TITLES = 60


def main() -> None:
    print(machine())
    for queries in (query_sets.tags(), query_sets.products()):
        embedding = EMBEDDING if queries.embeds else None
        models = {"text_model": TEXT, "embedding_model": embedding}
        open_store(queries.store, queries.items(), queries.events(), **models).close()
        rows = [row for k in LENGTHS for row in measure(queries, embedding, k)]
        table(
            f"{queries.name}: {queries.metric} of questions that nobody answered",
            ["lists of", "likes", "", queries.metric, "more than what ships", "halves of titles"],
            rows,
        )


def measure(queries: query_sets.QuerySet, embedding: str | None, k: int) -> list[list[object]]:
    """Return a row for each stage."""
    asked = list(queries.queries.items())
    fold = np.random.default_rng(0).integers(0, FOLDS, len(asked))
    found = {stage: np.zeros(len(asked)) for stage in STAGES}
    items = queries.items()
    halves = list(query_sets.by_half(items[:: len(items) // N_TITLES]).items())
    titles = {stage: np.zeros((FOLDS, len(halves))) for stage in STAGES}
    likes = 0
    for number in range(FOLDS):
        with copied(queries.store, embedding) as rec:
            rest, left = np.flatnonzero(fold == number), np.flatnonzero(fold != number)

            def ask(stage: str, rec=rec, rest=rest, number=number) -> None:
                for n in rest:
                    found[stage][n] = queries.measure(listed(rec, asked[n][0]), asked[n][1])
                titles[stage][number] = [
                    metrics.ndcg(listed(rec, half), gains, 10) for half, gains in halves
                ]

            ask("ships")
            for n in left:
                slate = rec.recommend(asked[n][0], user=f"u{n}", k=k)
                slate.shown()
                for place, suggestion in enumerate(slate):
                    if asked[n][1].get(suggestion.item_id, 0.0) > 0.0:
                        slate.like(place)
                        likes += 1
            ask("likes")
            rec.train()
            ask("trained")
    rng = np.random.default_rng(0)
    return [
        [
            k,
            likes // FOLDS,
            stage,
            of(bootstrap(found[stage], rng)),
            gain(found, stage, rng),
            of(bootstrap(titles[stage].mean(axis=0), rng)),
        ]
        for stage in STAGES
    ]


def listed(rec: pyrec.Recommender, text: str) -> list[str]:
    """Return the ids of ten items."""
    return [s.item_id for s in rec.recommend(text)]


def copied(store: str, embedding: str | None) -> pyrec.Recommender:
    """Open a copy of a store, made anew."""
    path = CACHE / f"answers-{store}.db"
    for file in CACHE.glob(f"{path.name}*"):
        file.unlink()
    with pyrec.open(CACHE / f"{store}.db", text_model=None, embedding_model=None) as rec:
        rec.store.db.execute("VACUUM INTO ?", [str(path)])
    return pyrec.open(path, text_model=TEXT, embedding_model=embedding)


def gain(found: dict[str, np.ndarray], stage: str, rng: np.random.Generator) -> str:
    return "" if stage == STAGES[0] else of(bootstrap(found[stage] - found[STAGES[0]], rng))


def of(interval: tuple[float, float, float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*interval)


if __name__ == "__main__":
    main()
