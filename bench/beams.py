"""The beam against exhaustive scoring of the same objective, on pools of 50 titles.

    python bench/beams.py

For each question the pool's titles are scored in full, theta * PMI + mix, and by beams of 5, 10 and
20. Told are the share of the exhaustive top 5 that the beam's top 5 holds, and the model's time as
a ratio to exhaustive scoring in the same run. Products of `../shared/data`, without vectors.
"""

from __future__ import annotations

import time

import numpy as np
import query_sets
from common import CACHE, machine, open_store, table

import pyrec
from pyrec.decoding import AnswerTrie, BeamConfig, beam_search, read_all
from pyrec.signals.titles import SLACK, ask
from pyrec.weights import FORCED_THETA

POOL, N_QUESTIONS = 50, 12


def main() -> None:
    print(machine())
    queries = query_sets.products()
    rec = open_store("products-words", queries.items(), text_model=None, embedding_model=None)
    rec.close()
    for name in ("smollm2-135m", "gemma3-270m"):
        rec = pyrec.open(CACHE / "products-words.db", text_model=name, embedding_model=None)
        rows = measure(rec, list(queries.queries)[:N_QUESTIONS])
        table(
            f"{name}: beams against exhaustive scoring, {N_QUESTIONS} pools of {POOL}",
            ["", "top-5 agreement", "model time", "ms"],
            rows,
        )
        rec.close()


def measure(rec, texts: list[str]) -> list[list[object]]:
    model = rec.models.text()
    agreement = {n: [] for n in (5, 10, 20)}
    seconds = {n: [] for n in (0, 5, 10, 20)}
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
        best = set(np.argsort(-objective, kind="stable")[:5].tolist())
        for width in agreement:
            fresh = AnswerTrie(sequences)
            fresh.set_bonus(mix)
            config = BeamConfig(width, alpha=1.0, theta=FORCED_THETA, slack=SLACK)
            began = time.perf_counter()
            found = beam_search(model, fresh, start, 5, config, neutral)
            seconds[width].append(time.perf_counter() - began)
            agreement[width].append(len(best & {a.index for a in found}) / 5)
    whole = float(np.mean(seconds[0]))
    rows: list[list[object]] = [["exhaustive", 1.0, 1.0, f"{1000 * whole:.0f}"]]
    for width, shares in agreement.items():
        spent = float(np.mean(seconds[width]))
        rows.append([f"beam {width}", float(np.mean(shares)), spent / whole, f"{1000 * spent:.0f}"])
    return rows


if __name__ == "__main__":
    main()
