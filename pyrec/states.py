"""What the text model would say of each item: read once by `pyrec index`, asked by any words.

`questions.py` asks through it for the signal `query_likelihood`; `state_reader.py` has the formula.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyrec.catalog import Catalog
from pyrec.loaded import LoadedModels
from pyrec.prompts import Prompts, one_line
from pyrec.rows import described
from pyrec.store import Store
from pyrec.text import term_hash
from pyrec.types import Item
from pyrec.vectors import Vectors

N_CHARACTERS = 160
"""Of an item's title and values that the model reads: what comes later tells little more."""
N_ASKED = 300
"""Of a question."""


class States:
    """The states of one store's items by the text model in use.

    Args:
        store: where they are kept.
        catalog: the items.
        models: the text model is one of them.
        prompts: the wording of what it reads.
    """

    def __init__(
        self, store: Store, catalog: Catalog, models: LoadedModels, prompts: Prompts
    ) -> None:
        self._store, self._catalog = store, catalog
        self._models, self._prompts = models, prompts
        self._of: dict[str, Vectors] = {}

    def of(self, language: str) -> Vectors | None:
        """Return those that were read in the wording of a language; None without a text model."""
        if not self._models.text_name:
            return None
        if language not in self._of:
            text = str(self._prompts.table(language, "states")["text"])

            def text_of(item: Item) -> str:
                return text.replace("{item}", one_line(described(item))[:N_CHARACTERS])

            # By the wording too: what was read in another one says something else.
            name = f"{self._models.text_name}, states {term_hash(text):x}"
            self._of[language] = Vectors(self._store, self._catalog, name, text_of)
        return self._of[language]

    def output(self, text: str, language: str) -> npt.NDArray[np.float32] | None:
        """Return what words come out of the text model by.

        Returns:
            (width + 1,) float32, which times a state gives the mean of log P over the tokens, times
            words / tokens: words that are one token each count in full, and the more pieces a word
            is written in, the less the next token says of it. None without a text model, or where
            nothing is left of the words.
        """
        model = self._models.text()
        if model is None:
            return None
        lead = str(self._prompts.table(language, "states")["lead"])
        words = text[:N_ASKED].split()
        tokens = np.concatenate([np.empty(0, np.int32), *(model.tokenize(lead + w) for w in words)])
        if not len(tokens):
            return None
        mean = np.append(model.output_rows(tokens.tolist()).mean(axis=0), -1.0)
        return (mean * len(words) / len(tokens)).astype(np.float32)
