"""Trains an adapter of the text model on a store, and keeps it if llama.cpp finds it better.

What is learned: which title answers words (`pairs.py`), and which comes after titles in histories
(`histories.py`). `Recommender.train_text` calls this. What was tried besides, and what an adapted
model is worth, stands in `bench/adapter.md`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from pyrec.adapter.config import AdapterConfig
from pyrec.adapter.draws import JUDGE
from pyrec.adapter.judge import Gain, is_better, judge
from pyrec.adapter_state import AdapterState, sha256_of
from pyrec.catalog import Catalog
from pyrec.errors import ModelError, ModelNotFoundError, StoreBusyError, StoreError
from pyrec.lm import LanguageModel
from pyrec.model_folder import ModelFile
from pyrec.prompts import Prompts
from pyrec.replay import Log
from pyrec.workspace import lock

if TYPE_CHECKING:
    from pyrec.adapter.examples import Example

Progress = Callable[[str, float], None]

_N_BRANCHES, _N_CTX = 60, 1024


@dataclass(frozen=True)
class TextReport:
    """What training did for the text model.

    Attributes:
        model: its name.
        n_answers: by kind of question, how many answers there were to learn from.
        steps: of training, up to what is kept.
        seconds: that training took.
        device: where, `cpu` or `cuda`.
        n_bytes: of what the store keeps.
        gains: what it does for held-out answers, by kind of question.
        used: whether it answers from now on.
        why: what speaks against it, empty if nothing.
    """

    model: str
    n_answers: dict[str, int]
    steps: int = 0
    seconds: float = 0.0
    device: str = ""
    n_bytes: int = 0
    gains: tuple[Gain, ...] = ()
    used: bool = False
    why: str = ""


@dataclass(frozen=True)
class Taught:
    """What a store teaches.

    Attributes:
        catalog: the items.
        prompts: the wording.
        language: of the catalog.
        log: the histories; None to leave them out.
    """

    catalog: Catalog
    prompts: Prompts
    language: str
    log: Log | None = None


def train_text(
    file: ModelFile | None,
    taught: Taught,
    config: AdapterConfig,
    progress: Progress,
    *,
    checkpoint: Path | None = None,
) -> tuple[AdapterState | None, TextReport]:
    """Train an adapter.

    Args:
        file: the text model in use.
        taught: what it learns from.
        config: the recipe.
        progress: told the step and the share of it that is done.
        checkpoint: a file that training goes on from; removed by the caller.

    Returns:
        What is to be kept, None for nothing, and what was done.

    Raises:
        ModelError: PyTorch is not installed, or there is no text model.
        ModelFileError: the text model cannot be adapted.
        EventError: there is nothing to learn from.
        StoreError: the checkpoint is damaged or cannot be written.
    """
    if find_spec("torch") is None:
        raise ModelError(
            "a text model is adapted with PyTorch, which is not installed: "
            "pip install 'pyrec[train]'. Plain `pyrec train` goes without it"
        )
    if file is None:
        raise ModelNotFoundError(
            "there is no text model to adapt; get one with `pyrec models pull smollm2-135m`"
        )
    from pyrec.adapter.export import export
    from pyrec.adapter.fit import fit

    model = LanguageModel(file.path, n_branches=_N_BRANCHES, n_ctx=_N_CTX, n_slots=1)
    try:
        examples = gather(model, taught, config)
        fitted = fit(
            file.path,
            examples,
            config,
            lambda share: progress("adapting the text model", share),
            checkpoint=checkpoint,
        )
        data = export(fitted.learned, fitted.architecture, config.alpha)
        judged = judged_of(examples, config.n_judged)
        gains = judge(model, data, judged, lambda share: progress("judging", share))
    finally:
        model.close()
    counts: dict[str, int] = {}
    for example in examples:
        counts[example.kind] = counts.get(example.kind, 0) + example.n_answers
    report = TextReport(
        file.name, counts, fitted.steps, fitted.seconds, fitted.device, len(data), tuple(gains)
    )
    if not is_better(gains):
        why = "held-out answers are no likelier with it" if gains else "nothing could judge it"
        return None, replace(report, why=why)
    log = taught.log
    state = AdapterState(
        data,
        file.name,
        sha256_of(file),
        tuple(counts),
        len(log.user_ids) if log is not None else 0,
        int(log.event_id.max()) if log is not None and len(log.event_id) else -1,
        fitted.steps,
    )
    return state, replace(report, used=True)


@contextmanager
def alone(path: Path | None) -> Iterator[None]:
    """Keep other processes from training beside the same file.

    Raises:
        StoreBusyError: one does.
        StoreError: the file beside it cannot be written.
    """
    if path is None:
        yield
        return
    beside = path.with_name(f"{path.name}.lock")
    file = _locked(beside)
    try:
        yield
    finally:
        beside.unlink(missing_ok=True)  # while it is locked: whoever waits for it opens another
        file.close()


def _locked(path: Path) -> IO[bytes]:
    while True:
        try:
            file = open(path, "wb")  # noqa: SIM115 - held until the training is over
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error}); nothing was changed") from error
        if not lock(file):
            file.close()
            raise StoreBusyError(
                f"another process adapts the text model to this store ({path} is locked); wait for "
                "it, or stop it"
            )
        with suppress(OSError):
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        file.close()  # another process had it, and took it away


def gather(model: LanguageModel, taught: Taught, config: AdapterConfig) -> list[Example]:
    """Take all examples from a store, the same ones each time."""
    from pyrec.adapter.histories import HistoryTokens, history_examples
    from pyrec.adapter.pairs import title_examples, title_pairs

    prompt = taught.prompts.load(taught.language, "titles")
    pairs = title_pairs(taught.catalog, taught.log, np.random.default_rng(config.seed))
    examples = title_examples(pairs, prompt, model, config.held_out)
    if taught.log is not None and len(taught.log.event_id):
        rows = [row for row, _ in taught.catalog.titles()]
        ids = taught.catalog.ids(rows)
        titles = {ids[row]: title for row, title in taught.catalog.titles() if row in ids}
        tokens = HistoryTokens(model, taught.prompts.table(taught.language, "history"))
        examples += history_examples(taught.log, titles, tokens, config.held_out)
    return examples


def judged_of(examples: Sequence[Example], n: int) -> list[Example]:
    """Return those that judge, of each kind about n answers, in a fixed order, kind by kind."""
    kept: list[Example] = []
    for kind in sorted({e.kind for e in examples}):
        of_kind = [e for e in examples if e.kind == kind and e.held_out == JUDGE]
        held = 0
        for number in np.random.default_rng(1).permutation(len(of_kind)).tolist():
            if held >= n:
                break
            kept.append(of_kind[number])
            held += of_kind[number].n_answers
    return kept
