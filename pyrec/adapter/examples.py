"""Examples of what is to be foretold, as tokens, and how they are put into batches.

`pairs.py` and `histories.py` make them, `packing.py` lays them out for the network and `judge.py`
for llama.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Example:
    """One text of which a part is to be foretold.

    Attributes:
        kind: of question; examples of a kind begin alike.
        tokens: (n,) int32.
        first: the tokens from here on are to be foretold, 1 ≤ first < n.
        n_answers: how many answers they are.
        held_out: 0 to learn from it, 1 to tell by it when to stop, 2 to judge by it.
    """

    kind: str
    tokens: I32
    first: int
    n_answers: int = 1
    held_out: int = 0


def batches(
    examples: Sequence[Example], n_tokens: int, rng: np.random.Generator
) -> list[list[int]]:
    """Put examples into batches of one kind, of about so many tokens, in random order.

    Returns:
        The numbers of the examples of each batch.
    """
    made: list[list[int]] = []
    open_: dict[str, tuple[list[int], int]] = {}
    for number in rng.permutation(len(examples)).tolist():
        example = examples[number]
        batch, held = open_.get(example.kind, ([], 0))
        # What begins alike is counted anew for each example: a batch is rather too small.
        size = len(example.tokens) - example.first + 8 if batch else len(example.tokens)
        if batch and held + size > n_tokens:
            made.append(batch)
            batch, held, size = [], 0, len(example.tokens)
        batch.append(number)
        open_[example.kind] = (batch, held + size)
    made += [batch for batch, _ in open_.values() if batch]
    return [made[n] for n in rng.permutation(len(made)).tolist()]
