"""What the behavior model adds: quality with and without it, its size, its time, its limits.

    python bench/behavior.py [beauty toys office movielens]
    python bench/behavior.py --cold office beauty     items that nobody took before
    python bench/behavior.py --cross                  a history in one genre, asked for another
    python bench/behavior.py --export office          what quantization takes off
    python bench/behavior.py --size                   catalogs up to a million items

Quality: `train(behavior=True)` by its one recipe in the store of the training part, asked by
`recommend(history=...)`; the protocols stand in `quality.py`. All that is fitted, weights included,
comes from the training part; strict, "weights of validation" has the same model and the weights of
a training that knows validation too, to be read beside `quality.py`. "Alone" ranks by the behavior
model and nothing else. "Without" has the weights of a training without it. The seconds are those of
the behavior model's two trainings on this machine, the megabytes what the store keeps of it.
Intervals of the difference are bootstraps over questions, 95%.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

import numpy as np
from common import machine, table
from histories import ask, copy_history, data_set, is_refit, put_on
from histories_data import EVERY
from quality import MODES, of_process

import pyrec
from pyrec import _core
from pyrec.bootstrap import bootstrap

SHOWN = ("Recall@10", "nDCG@10", "Recall@5", "nDCG@5")
PRINTED = 20.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", metavar="DATA", help=f"of {', '.join(EVERY)}")
    for name in ("cold", "cross", "export", "size"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--only", choices=("strict", "refit"), help="figures as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.data[0], refit=arguments.only == "refit")))
        return
    print(machine())
    if arguments.size:
        size()
    elif arguments.cross:
        cross()
    elif arguments.cold:
        cold(arguments.data or ["office", "beauty"])
    elif arguments.export:
        exported(arguments.data or ["office"])
    else:
        quality(arguments.data or list(EVERY))


def quality(names: list[str]) -> None:
    for name in names:
        data_set(name)  # leaves with a message where data is missing
        for mode in MODES.get(name, ("strict",)):
            found = of_process(__file__, name, "--only", mode)
            head = ["", *SHOWN, "lower R", "lower N", "ms", "p99"]
            table(f"{name}, {mode}, seen removed", head, found["rows"])
            for line in found["lines"]:
                print("  " + line)


def measure(name: str, *, refit: bool) -> dict[str, object]:
    """Train with and without on one data set, and ask its test questions."""
    plain = copy_history(name, "plain", refit=refit)
    plain.train()
    without = {**plain.theta, "behavior": [0.0] * 4}, plain.learned.deep()
    plain.close()
    rec = copy_history(name, "behavior", refit=refit)
    began = time.perf_counter()
    report = rec.train(behavior=True, progress=_told(name))
    theta, all_s = rec.theta, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    systems = {
        "without": without,
        "with": (theta, rec.learned.deep()),
        "alone": ({"behavior": [0.0, 1.0]}, None),
    }
    if not is_refit(name, refit=refit):
        with copy_history(name, "behavior-weights", refit=True) as later:
            later.train(behavior=True, progress=_told(name))
            systems["weights of validation"] = later.theta, later.learned.deep()
    found = {}
    for system, used in systems.items():
        put_on(rec, *used)
        found[system] = ask(rec, name)
    put_on(rec, *systems["with"])
    feedback, after = _events(rec, name)
    rec.close()
    lower = _lower(name)
    rows = [
        [
            system,
            *(f"{values[m].mean():.4f}" for m in SHOWN),
            *(f"{values[m][lower].mean():.4f}" if lower is not None else "" for m in SHOWN[:2]),
            f"{np.median(values['ms']):.1f}",
            f"{np.quantile(values['ms'], 0.99):.1f}",
        ]
        for system, values in found.items()
    ]
    rng = np.random.default_rng(0)
    lines = []
    for metric in SHOWN[:2]:
        gain = bootstrap(found["with"][metric] - found["without"][metric], rng)
        lines.append(f"with - without, {metric}: {gain[0]:+.4f} [{gain[1]:+.4f} {gain[2]:+.4f}]")
    of = report.behavior
    lines.append(
        f"{of.n_items:,} items, {of.n_events:,} events, {of.n_bytes / 1e6:.1f} MB, {of.steps} "
        f"steps, {of.seconds:.0f} s; all of a training {all_s:.0f} s; peak {peak:.0f} MB"
    )
    lines.append(
        f"an event of a known user: feedback {feedback:.1f} ms, recommend after it {after:.1f} ms"
    )
    return {"rows": rows, "lines": lines}


def _events(rec: pyrec.Recommender, name: str) -> tuple[float, float]:
    """Return the median milliseconds of feedback, and of recommending right after it."""
    data = data_set(name)
    rng = np.random.default_rng(0)
    found = []
    for user in rng.choice([n for n, taken in enumerate(data.train) if len(taken)], 40):
        rec.recommend(user=f"u{user}")
        for item in rng.choice(data.n_items, 5):
            began = time.perf_counter()
            rec.feedback(f"u{user}", data.items[item].item_id, "purchase")
            written = time.perf_counter()
            rec.recommend(user=f"u{user}")
            found.append((written - began, time.perf_counter() - written))
    feedback, after = 1000 * np.median(found, axis=0)
    return float(feedback), float(after)


def cold(names: list[str]) -> None:
    """Take a tenth of the items out of the log, and ask for them."""
    for name in names:
        data = data_set(name)
        rng = np.random.default_rng(0)
        taken_out = rng.permutation(data.n_items)[: data.n_items // 10]
        gone = {data.items[n].item_id for n in taken_out.tolist()}
        rec = copy_history(name, "cold")
        with rec.store.transact() as db:
            marks = ", ".join("?" * len(gone))
            db.execute(f"DELETE FROM events WHERE item_id IN ({marks})", list(gone))
        rec.close()
        rec = pyrec.open(rec.store.path, text_model=None, embedding_model=rec.models.embedding_name)
        rec.train(behavior=True, progress=_told(f"{name}, cold"))
        index = rec.questions.current()
        rows = rec.catalog.idxs([item.item_id for item in data.items])
        is_cold = np.zeros(index.n_items, bool)
        is_cold[rows[taken_out]] = True
        hits: dict[str, list[list[float]]] = {}
        for asked in data.test:
            answer = int(rows[asked.answers[0]])
            history = [data.items[n].item_id for n in asked.history]
            if not is_cold[answer] or answer in rows[asked.history]:
                continue
            question = rec.question(history=history)
            logits = question.behavior.logits(question.stream, index) if question.behavior else None
            scores = {
                "behavior": logits,
                "content": _scores("content", question),
                "vectors": _scores("dense_history", question),
            }
            for system, of_all in scores.items():
                each = []
                for among in (is_cold, np.ones(len(is_cold), bool)):
                    if of_all is None:
                        each.append(0.0)
                        continue
                    seen = np.where((question.mask == 1) & among, of_all, -np.inf)
                    seen = np.nan_to_num(seen, nan=-np.inf)
                    better = (seen > seen[answer]).sum()
                    ties = (seen == seen[answer]).sum() - 1
                    each.append(float(np.isfinite(seen[answer]) and better + ties / 2 < 10))
                hits.setdefault(system, []).append(each)
        rows_shown = []
        for system, found in hits.items():
            cells = []
            for values in np.array(found).T:
                mean, low, high = bootstrap(values, rng)
                cells.append(f"{mean:.4f} [{low:.3f} {high:.3f}]")
            rows_shown.append([system, *cells])
        n = len(next(iter(hits.values())))
        head = ["Recall@10", "among cold items", "among all"]
        table(f"{name}: {len(gone)} items that nobody took, {n} questions", head, rows_shown)
        rec.close()


def cross() -> None:
    """Ask for movies of some genres, knowing what somebody watched of the others."""
    rec = copy_history("movielens", "cross")
    rec.train(behavior=True, progress=_told("movielens"))
    data = data_set("movielens")
    index = rec.questions.current()
    rows = rec.catalog.idxs([item.item_id for item in data.items])
    shown = []
    for genre in ("Horror", "Animation", "Documentary", "Romance"):
        of_genre = np.array([genre in item.attributes["genres"] for item in data.items])
        mask = np.zeros(index.n_items, bool)
        mask[rows[of_genre]] = True
        found: dict[str, list[float]] = {}
        for asked in data.test:
            wanted = [n for n in asked.answers.tolist() if of_genre[n]]
            others = [n for n in asked.history.tolist() if not of_genre[n]]
            if not wanted or not others:
                continue
            seen = rows[[n for n in asked.history.tolist() if of_genre[n]]]
            for system, history in (("with", others), ("all", asked.history.tolist())):
                stream = [(data.items[n].item_id, "") for n in history]
                logits = rec.questions.behavior().logits(stream, index)
                found.setdefault(system, []).append(_recall(logits, mask, seen, rows[wanted]))
            crowd = rec.question(history=[data.items[others[0]].item_id]).crowd
            popular = np.where(crowd.number_of >= 0, crowd.count[crowd.number_of], 0.0)
            found.setdefault("popular", []).append(_recall(popular, mask, seen, rows[wanted]))
        gain = np.array(found["with"]) - np.array(found["popular"])
        mean, low, high = bootstrap(gain, np.random.default_rng(0))
        shown.append(
            [
                genre,
                len(gain),
                *(float(np.mean(found[s])) for s in ("popular", "with", "all")),
                f"{mean:+.3f} [{low:+.3f} {high:+.3f}]",
            ]
        )
    head = ["Recall@10 among them", "users", "most taken", "other genres", "all", "gain"]
    table("History in other genres", head, shown)
    rec.close()


def exported(names: list[str]) -> None:
    """Ask the test by PyTorch in float32 and by what is kept: Q8_0 and int8 through llama.cpp."""
    import torch

    from pyrec.behavior import export

    networks = []
    export_as = export.export

    def remember(network: object, **options: object) -> bytes:
        networks.append(network)
        return export_as(network, **options)

    export.export = remember
    shown = []
    for name in names:
        rec = copy_history(name, "export")
        rec.train(behavior=True, progress=_told(name))
        data, network = data_set(name), networks[-1]
        state = rec.learned.behavior()
        index = rec.questions.current()
        token = {item_id: n for n, item_id in enumerate(state.item_ids)}
        place = rec.catalog.idxs(state.item_ids)
        gains: dict[str, list[float]] = {"float32": [], "kept": []}
        matrix = network.rows()
        for asked in data.test:
            history = [data.items[n].item_id for n in asked.history]
            answer = token.get(data.items[asked.answers[0]].item_id, -1)
            stream = [(item, "") for item in history if item in token]
            logits = rec.questions.behavior().logits(stream, index)
            read = rec.questions.behavior().encode(stream)
            if logits is None or answer < 0:
                continue
            with torch.no_grad():
                hidden = network(matrix[torch.tensor(read)][None])[0, -1]
                scores = network.config.temperature * matrix @ hidden + network.bias
            for system, values in (
                ("float32", scores[: len(place)].numpy()),
                ("kept", logits[place]),
            ):
                values = values.copy()
                values[[token[i] for i in history if i in token]] = -np.inf
                rank = int((values > values[answer]).sum())
                gains[system].append(1 / np.log2(rank + 2) if rank < 10 else 0.0)
        one, two = (float(np.mean(gains[system])) for system in gains)
        shown.append([name, f"{one:.4f}", f"{two:.4f}", f"{two / one - 1:+.2%}"])
        rec.close()
    table("nDCG@10 alone", ["", "float32, PyTorch", "Q8_0 and int8, llama.cpp", ""], shown)


def size() -> None:
    """Time rows of larger and larger catalogs, wide and narrow."""
    rng = np.random.default_rng(0)
    shown = []
    for n_items in (12_000, 50_000, 200_000, 1_000_000):
        for width in (256, 128):
            rows = rng.integers(-127, 127, (n_items, width), dtype=np.int8)
            scales = np.ones(n_items, np.float32)
            hidden = rng.standard_normal(width, dtype=np.float32)
            times = []
            for _ in range(20):
                began = time.perf_counter()
                scores = _core.inner_int8(rows, scales, hidden, None)
                scored = time.perf_counter()
                _core.topk(scores, 100, None)
                times.append((scored - began, time.perf_counter() - scored))
            score, top = np.median(times, axis=0) * 1000
            shown.append([n_items, width, f"{rows.nbytes / 1e6:.0f}", f"{score:.2f}", f"{top:.2f}"])
    table("Rows", ["items", "width", "MB", "score ms", "best 100 ms"], shown)


def _scores(name: str, question: object) -> np.ndarray | None:
    from pyrec import signals

    signal = next(s for s in signals.every() if s.name == name)
    return signal.scores(question)


def _recall(scores: np.ndarray, mask: np.ndarray, seen: np.ndarray, wanted: np.ndarray) -> float:
    values = np.where(mask, np.nan_to_num(scores, nan=-np.inf), -np.inf)
    values[seen] = -np.inf
    best = np.argsort(-values, kind="stable")[:10]
    return float(np.isin(best, wanted).sum() / min(10, len(wanted)))


def _lower(name: str) -> np.ndarray | None:
    """Mark the questions of Beauty whose answer has a lower number than the last thing."""
    if name != "beauty":
        return None
    data = data_set(name)
    return np.array(
        [data.items[q.answers[0]].item_id < data.items[q.history[-1]].item_id for q in data.test]
    )


def _told(name: str):
    last = [0.0]

    def tell(step: str, share: float) -> None:
        if time.monotonic() - last[0] > PRINTED:
            last[0] = time.monotonic()
            print(f"{name}: {step} {share:.0%}", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    main()
