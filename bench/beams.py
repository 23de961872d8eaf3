"""The beam against exhaustive scoring of the same objective, on pools of 50 titles.

    python bench/beams.py

For each question the pool's titles are scored in full, theta * PMI + mix, and by beams of 5 and 10.
Told are the share of the exhaustive top 5 that the beam's top 5 holds, and the model's time as a
ratio to exhaustive scoring in the same run. "Once more" reads each half of the titles by itself:
quantized models read a title a little differently in other company, and no beam can be expected to
agree more than that. Products of `../shared/data`, all questions, without vectors.
"""

from __future__ import annotations

import time

import numpy as np
import query_sets
from common import CACHE, machine, open_store, table

import pyrec
from pyrec.answer_trie import AnswerTrie
from pyrec.bootstrap import bootstrap
from pyrec.decoding import BeamConfig, beam_search, read_all
from pyrec.signals.titles import SLACK, STRIDE, ask
from pyrec.weights import FORCED_THETA

POOL, WIDTHS = 50, (5, 10)


def main() -> None:
    print(machine())
    queries = query_sets.products()
    rec = open_store("products-words", queries.items(), text_model=None, embedding_model=None)
    rec.close()
    for name in ("smollm2-135m", "gemma3-270m"):
        rec = pyrec.open(CACHE / "products-words.db", text_model=name, embedding_model=None)
        rows = measure(rec, list(queries.queries))
        table(
            f"{name}: beams against exhaustive scoring, {len(queries.queries)} pools of {POOL}",
            ["", "top-5 agreement", "model time", "ms"],
            rows,
        )
        rec.close()


def measure(rec, texts: list[str]) -> list[list[object]]:
    model = rec.models.text()
    agreement = {n: [] for n in ("once more", *WIDTHS)}
    seconds = {n: [] for n in (0, *WIDTHS)}
    for text in texts:
        slate = rec.recommend(text, k=POOL)
        mix = np.array([s.score for s in slate], np.float32)
        question = rec.question(text)
        start, neutral = ask(question, model)
        sequences = [model.tokenize(" " + s.title) for s in slate]
        trie = AnswerTrie(sequences)
        began = time.perf_counter()
        full = read_all(model, trie, start) - read_all(model, trie, neutral)
        seconds[0].append(time.perf_counter() - began)
        objective = FORCED_THETA * full + mix
        best = top(objective)
        again = np.empty_like(full)
        for half in np.array_split(np.random.default_rng(0).permutation(len(full)), 2):
            few = AnswerTrie([sequences[n] for n in half])
            again[half] = read_all(model, few, start) - read_all(model, few, neutral)
        agreement["once more"].append(len(best & top(FORCED_THETA * again + mix)) / 5)
        for width in WIDTHS:
            fresh = AnswerTrie(sequences)
            fresh.set_bonus(mix)
            config = BeamConfig(width, alpha=1.0, theta=FORCED_THETA, slack=SLACK, stride=STRIDE)
            began = time.perf_counter()
            found = beam_search(model, fresh, start, 5, config, neutral)
            seconds[width].append(time.perf_counter() - began)
            agreement[width].append(len(best & {a.index for a in found}) / 5)
    whole = float(np.mean(seconds[0]))
    rows: list[list[object]] = [
        ["exhaustive", "1", 1.0, f"{1000 * whole:.0f}"],
        ["once more", interval(agreement["once more"]), "", ""],
    ]
    for width in WIDTHS:
        spent = float(np.mean(seconds[width]))
        share = interval(agreement[width])
        rows.append([f"beam {width}", share, spent / whole, f"{1000 * spent:.0f}"])
    return rows


def top(scores) -> set[int]:
    return set(np.argsort(-scores, kind="stable")[:5].tolist())


def interval(shares: list[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*bootstrap(shares, np.random.default_rng(0)))


if __name__ == "__main__":
    main()
