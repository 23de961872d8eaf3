"""What the text model would say of an item: how likely it finds the words asked for.

    score = words / tokens . mean over the tokens of log P(token | the item and "Tags:")

`pyrec index` reads each item once by the text model (`state_reader.py`); a question then costs an
inner product an item. It knows of items what stands nowhere in the catalog, as far as the model has
read of them.
Source: Ponte and Croft, 1998, "A Language Modeling Approach to Information Retrieval"; by a model's
next token: Zhuang et al., 2024, "PromptReps".
"""

from __future__ import annotations

import numpy as np

from pyrec.signals.base import F32, CatalogSignal, Question
from pyrec.signals.behavior import likelihoods
from pyrec.types import Item


class QueryLikelihood(CatalogSignal):
    """How likely the words are, as `behavior.likelihoods` puts it.

    What was not read yet counts as the middle one of what was: a new item must not sink for that.
    """

    name = "query_likelihood"

    def scores(self, question: Question) -> F32 | None:
        """Score all; None without words, or where nothing was read."""
        if question.output is None:
            return None
        found = question.index.states_by(question.output)
        read = ~np.isnan(found)
        if not read.any():
            return None
        return likelihoods(np.where(read, found, np.median(found[read])), question.mask)

    def why(self, question: Question, item_idx: int, item: Item) -> str:
        """Say that the model knows it, where it read it."""
        read = item_idx in question.index.states.item_idx
        return "the text model knows it for that" if read else ""
