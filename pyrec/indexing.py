"""What takes longer than an import: the worth of phrases, and what models read of items.

`Recommender.index` walks this. It can be stopped at any step and resumed: what is done is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyrec.errors import ModelFileError
from pyrec.lm import LanguageModel
from pyrec.loaded import LoadedModels
from pyrec.phrasebook import Phrasebook
from pyrec.prompts import Prompt
from pyrec.state_reader import StateReader
from pyrec.vectors import Embed, Vectors

_PROBE = "Once upon a time there was"


@dataclass(frozen=True)
class IndexProgress:
    """How far it is: a step's name (`phrases`, `vectors`, `states`), and how much is done."""

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
    vectors: Vectors, models: LoadedModels, n_items: int | None
) -> Iterator[IndexProgress]:
    """Compute missing vectors, until n_items have one or all of them."""
    total = _missing(vectors, n_items)
    embedder = models.embedder() if total > 0 else None
    if embedder is not None:
        yield from _compute(vectors, embedder.embed_passages, "vectors", total)


def read_states(
    states: Vectors, models: LoadedModels, n_items: int | None
) -> Iterator[IndexProgress]:
    """Let the text model read items that it did not yet, until it read n_items or all of them.

    A model whose logits are not its states times the rows of a matrix that can be read, as of one
    with an encoder or with logits that are scaled, goes without, and `Recommender.n_read` stays 0.
    """
    total = _missing(states, n_items)
    model = models.text() if total > 0 else None
    if model is None or not model.reads_two:
        return
    reader = models.state_reader()
    try:
        if not _agree(reader, model):
            return
        yield from _compute(states, reader.read, "states", total)
    finally:
        reader.close()


def _agree(reader: StateReader, model: LanguageModel) -> bool:
    """Tell whether a state says of the likeliest token what the model says."""
    state = reader.read([_PROBE])[0]
    with model.lock:
        logits = model.prompt(model.tokenize(_PROBE, start=True)).astype(np.float64)
    best = int(logits.argmax())
    try:
        found = float(model.output_rows([best])[0] @ state[:-1] - state[-1])
    except ModelFileError:
        return False
    return abs(found - float(logits[best] - np.logaddexp.reduce(logits))) < 1.0


def _missing(vectors: Vectors, n_items: int | None) -> int:
    missing = vectors.n_missing()
    return missing if n_items is None else min(missing, n_items - vectors.count())


def _compute(vectors: Vectors, read: Embed, step: str, total: int) -> Iterator[IndexProgress]:
    done = 0
    for n in vectors.compute(read):
        done += n
        yield IndexProgress(step, min(done, total), total)
        if done >= total:
            return
