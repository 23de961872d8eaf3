"""What an adapter is worth: the likelihood of held-out answers, as llama.cpp will run it.

Not in PyTorch, where it was trained: what is kept is rounded, and so are the weights and
activations that it works beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec.adapter.examples import Example
from pyrec.bootstrap import Interval, paired_bootstrap
from pyrec.lm import PROMPT, LanguageModel

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """What an adapter does for one kind of question.

    Attributes:
        kind: of question.
        n: how many held-out texts were read.
        before: nats an answer without it, the mean over texts.
        after: the same with it.
        gain: their difference, with its 95% interval.
    """

    kind: str
    n: int
    before: float
    after: float
    gain: Interval


def judge(
    model: LanguageModel,
    adapter: bytes,
    examples: Sequence[Example],
    progress: Callable[[float], None],
) -> list[Gain]:
    """Read held-out answers with and without an adapter, which is taken away at the end.

    Args:
        model: the text model.
        adapter: a GGUF adapter.
        examples: that nothing was learned from; sorted, so that what begins alike is read once.
        progress: told the share that is done.
    """
    read: list[F64] = []
    for turn, added in enumerate((None, adapter)):
        model.adapt(added)
        found = []
        for n, example in enumerate(examples):
            found.append(logprob(model, example) / example.n_answers)
            progress((turn + n / len(examples)) / 2)
        read.append(np.array(found))
    model.adapt(None)
    kinds = np.array([e.kind for e in examples])
    gains = []
    for kind in sorted(set(kinds.tolist())):
        before, after = (r[kinds == kind] for r in read)
        gain = paired_bootstrap(after, before, np.random.default_rng(0))
        gains.append(Gain(kind, len(before), float(before.mean()), float(after.mean()), gain))
    return gains


def logprob(model: LanguageModel, example: Example) -> float:
    """Return log P of all that an example asks for, in nats, as the model is now."""
    tokens, first = example.tokens, example.first
    with model.lock:
        total = _taken(model.prompt(tokens[:first])[None], tokens[first : first + 1])
        if len(tokens) > first + 1:
            logits = model.grow([PROMPT], [tokens[first:-1].tolist()])
            total += _taken(logits, tokens[first + 1 :])
    return total


def _taken(logits: npt.NDArray[np.float32], tokens: npt.NDArray[np.int32]) -> float:
    rows = np.arange(len(tokens))
    best = logits.max(axis=1)
    norm = best + np.log(np.exp(logits - best[:, None]).sum(axis=1))
    return float((logits[rows, tokens] - norm).sum())


def is_better(gains: Sequence[Gain]) -> bool:
    """Tell whether answers of every kind are likelier, by more than chance."""
    return bool(gains) and all(g.gain.low > 0.0 for g in gains)
