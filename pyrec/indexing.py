"""What takes longer than an import: the worth of phrases, and the vectors of items.

`Recommender.index` walks this. It can be stopped at any step and resumed: what is done is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyrec.loaded import LoadedModels
from pyrec.phrasebook import Phrasebook
from pyrec.prompts import Prompt
from pyrec.vectors import Vectors


@dataclass(frozen=True)
class IndexProgress:
    """How far it is: a step's name (`phrases`, `vectors`), and what is done of how much."""

    step: str
    done: float
    total: float


def weigh_phrases(
    book: Phrasebook, wording: Prompt, models: LoadedModels
) -> Iterator[IndexProgress]:
    """Read what the phrases are worth to the text model, where there is one and it is not known."""
    model = models.text()
    if model is None or not book.phrases:
        return
    if book.trie(model, models.text_name, wording).has_prior:
        return
    # Many branches at once read a whole trie faster, and need more memory meanwhile.
    wide = models.wide_text()
    try:
        for share in book.compute_priors(wide, models.text_name, wording):
            yield IndexProgress("phrases", share, 1.0)
    finally:
        wide.close()


def embed_items(
    vectors: Vectors, models: LoadedModels, n_vectors: int | None
) -> Iterator[IndexProgress]:
    """Compute missing vectors, until n_vectors items have one or all of them."""
    total = vectors.n_missing()
    if n_vectors is not None:
        total = min(total, n_vectors - vectors.count())
    embedder = models.embedder() if total > 0 else None
    if embedder is None:
        return
    done = 0
    for n in vectors.compute(embedder.embed_passages):
        done += n
        yield IndexProgress("vectors", min(done, total), total)
        if done >= total:
            return
