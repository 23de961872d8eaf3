"""How fast the C++ kernels are, beside NumPy and beside plain Python doing the same.

    python bench/kernels.py

NumPy is written as one would write it there; where the twin in tests/twins.py is such code, it is
the twin. Plain Python is the loop of a first draft. Times are the best of several runs, one thread
but where it says otherwise; each pair is checked to agree before it is timed.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from common import ROOT, machine, table

from pyrec import _core
from pyrec.mixer import Learning, Mixer, StepConfig

sys.path.insert(0, str(ROOT / "tests"))
import twins

F32 = np.float32
K1, B = 1.2, 0.75


@dataclass
class Kernel:
    """One row of the table; `python` does `part` of the work, and its time is scaled up."""

    name: str
    size: str
    core: Callable[[], object]
    numpy: Callable[[], object] | None = None
    python: Callable[[], object] | None = None
    part: float = 1.0


def main() -> None:
    rng = np.random.default_rng(0)
    print(machine())
    print("instructions in use: " + ", ".join(_core.cpu_features()))
    rows = []
    for kernel in chain.from_iterable(
        part(rng) for part in (ranking, text, past, vectors, generation, mixing)
    ):
        core = best_ms(kernel.core)
        row = [kernel.name, kernel.size, ms(core)]
        for other, part in ((kernel.numpy, 1.0), (kernel.python, kernel.part)):
            took = best_ms(other) / part if other else None
            row += [ms(took), f"{took / core:.1f}x" if took else "-"]
        rows.append(row)
    table(
        "Kernels: milliseconds a call, and how many times as long the others take",
        ["kernel", "size", "core", "NumPy", "", "Python", ""],
        rows,
    )


def best_ms(call: Callable[[], object]) -> float:
    """Call for about half a second, three times at least; return the shortest."""
    took, begun = [], time.perf_counter()
    while len(took) < 3 or (time.perf_counter() - begun < 0.5 and len(took) < 200):
        start = time.perf_counter()
        call()
        took.append(1e3 * (time.perf_counter() - start))
    return min(took)


def ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def ranking(rng: np.random.Generator) -> Iterator[Kernel]:
    scores = rng.random(1_000_000, F32)

    def with_numpy(k: int) -> np.ndarray:
        best = np.argpartition(-scores, k)[:k]
        return best[np.lexsort((best, -scores[best]))]

    assert scores[with_numpy(1000)].tolist() == _core.topk(scores, 1000)[1].tolist()
    yield Kernel(
        "topk",
        "1,000 of 1,000,000",
        partial(_core.topk, scores, 1000),
        partial(with_numpy, 1000),
        partial(twins.topk, scores[:100_000], 1000),
        part=0.1,
    )


def text(rng: np.random.Generator) -> Iterator[Kernel]:
    n_items, per_item = 1_000_000, 12
    # Words as frequent as in titles: the n-th most frequent about 1/n times as often as the first.
    drawn = rng.zipf(1.3, (n_items, per_item + 12)) % 300_000
    rows = [np.unique(row)[:per_item].astype(np.uint32) for row in drawn]
    lengths = np.array([len(row) for row in rows])
    terms = np.concatenate(rows)
    weights = (2 * rng.integers(1, 9, len(terms))).astype(np.uint8)
    ptr = np.concatenate([[0], np.cumsum(lengths)])

    def build() -> _core.InvertedIndex:
        index, chunk = _core.InvertedIndex(), 50_000
        for start in range(0, n_items, chunk):
            part = slice(ptr[start], ptr[start + chunk])
            index = index.updated(
                np.arange(start, start + chunk, dtype=np.int32),
                ptr[start : start + chunk + 1] - ptr[start],
                terms[part],
                weights[part],
                n_items,
            )
        return index

    index = build()
    item = np.repeat(np.arange(n_items, dtype=np.int32), lengths)

    def sort_once() -> np.ndarray:
        return np.lexsort((item, terms))

    order = sort_once()
    terms_sorted, items, tf = terms[order], item[order], weights[order] / F32(8)
    length = np.bincount(item, weights / F32(8), n_items).astype(F32)
    norm = K1 * (1 - B + B * length / length[length > 0].mean())

    query = np.array([3, 12, 40, 150, 999], np.uint32)
    idf = np.log(1 + (n_items - index.df(query) + 0.5) / (index.df(query) + 0.5))

    def bm25_numpy() -> np.ndarray:
        scores = np.zeros(n_items, F32)
        for term, gain in zip(query, idf, strict=True):
            found = slice(*np.searchsorted(terms_sorted, [term, term + 1]))
            at = items[found]
            scores[at] += F32(gain) * tf[found] * (K1 + 1) / (tf[found] + norm[at])
        return scores

    postings = {
        int(t): list(zip(*(a[terms_sorted == t].tolist() for a in (items, tf)), strict=True))
        for t in query
    }
    norm_list = norm.tolist()

    def bm25_python() -> list[float]:
        scores = [0.0] * n_items
        for term, gain in zip(query.tolist(), idf.tolist(), strict=True):
            for at, frequency in postings[term]:
                scores[at] += gain * frequency * (K1 + 1) / (frequency + norm_list[at])
        return scores

    ones = np.ones(len(query), F32)
    np.testing.assert_allclose(index.bm25(query, ones, K1, B), bm25_numpy(), rtol=1e-4, atol=1e-5)
    n_postings = int(index.df(query).sum())
    yield Kernel(
        "InvertedIndex.updated",
        f"1,000,000 rows in 20 chunks: {index.nnz:,} postings, {index.nbytes >> 20} MiB",
        build,
        sort_once,
    )
    yield Kernel(
        "InvertedIndex.bm25",
        f"5 terms, {n_postings:,} postings, 1,000,000 items",
        partial(index.bm25, query, ones, K1, B),
        bm25_numpy,
        bm25_python,
    )
    rare = query[2:]

    def containing_numpy() -> np.ndarray:
        holders = [items[slice(*np.searchsorted(terms_sorted, [term, term + 1]))] for term in rare]
        first = np.intersect1d(holders[0], holders[1], assume_unique=True)
        return np.intersect1d(first, holders[2], assume_unique=True)

    assert index.containing(rare).tolist() == containing_numpy().tolist()
    yield Kernel(
        "InvertedIndex.containing",
        f"3 terms, {int(index.df(rare).sum()):,} postings",
        partial(index.containing, rare),
        containing_numpy,
    )


def past(rng: np.random.Generator) -> Iterator[Kernel]:
    def draw(m: int, n_users: int, n_items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        popularity = 1 / np.arange(1, n_items + 1) ** 0.8
        share = np.cumsum(popularity) / popularity.sum()
        items = np.searchsorted(share, rng.random(m)).astype(np.int32)
        users = rng.integers(0, n_users, m, np.int32)
        # Without what somebody takes again right after itself, which is no new entry.
        order = np.argsort(users, kind="stable")
        again = (np.diff(users[order]) == 0) & (np.diff(items[order]) == 0)
        kept = np.ones(m, bool)
        kept[order[1:][again]] = False
        return users[kept], items[kept], np.zeros(int(kept.sum()), np.uint8)

    def build(users: np.ndarray, items: np.ndarray, same: np.ndarray) -> _core.Histories:
        histories = _core.Histories()
        histories.extend(users, items, same)
        return histories

    large = draw(10_000_000, 100_000, 100_000)
    size = f"10,000,000 events of 100,000 users, {build(*large).nbytes >> 20} MiB"
    yield Kernel(
        "Histories.extend",
        size,
        partial(build, *large),
        lambda: [np.argsort(ids, kind="stable") for ids in large[:2]],
    )

    n_items, window, decay, damping, newest = 12_000, 50, 0.85, 0.5, 2000
    users, items, same = draw(200_000, 22_000, n_items)
    histories = build(users, items, same)
    order = np.argsort(users, kind="stable")
    entries, owner = items[order], users[order]
    place = np.empty_like(order)
    place[order] = np.arange(len(order))  # of each event, in the order of arrival
    length = np.bincount(users)
    end = np.cumsum(length)
    count = np.bincount(items, minlength=n_items)

    def transitions_numpy(query: np.ndarray) -> np.ndarray:
        sums = np.zeros((3, n_items))
        for a in query:
            at = place[np.flatnonzero(items == a)[-newest:]]
            share = len(at) ** -damping
            for way in (1, -1):
                walking = at
                for step in range(1, window + 1):
                    to = walking + way * step
                    stays = (to >= 0) & (to < len(entries))
                    stays[stays] = (owner[to[stays]] == owner[walking[stays]]) & (
                        entries[to[stays]] != a
                    )
                    walking, to = walking[stays], to[stays]
                    found = (
                        np.bincount(entries[to], minlength=n_items) * share * decay ** (step - 1)
                    )
                    sums[1] += found
                    sums[0] += found * (way == 1)
                    if len(walking) == 0:
                        break
            for user in owner[at]:
                held = entries[end[user] - length[user] : end[user]]
                np.add.at(sums[2], held[held != a], share * length[user] ** -damping)
        return sums / (1 + count) ** damping

    for name, query in (
        ("20 items by popularity", rng.choice(items, 20, replace=False)),
        ("the 20 most popular", np.arange(20, dtype=np.int32)),
    ):
        weights = np.ones(len(query), F32)
        ask = partial(
            histories.transitions, query, weights, n_items, window, decay,
            damping, damping, damping, newest,
        )  # fmt: skip
        np.testing.assert_allclose(ask(), transitions_numpy(query), rtol=1e-3, atol=1e-6)
        walked = int(np.minimum(count[query], newest).sum())
        yield Kernel(
            "Histories.transitions",
            f"{name}, {walked:,} postings of 200,000 events",
            ask,
            partial(transitions_numpy, query),
        )

    ptr = np.arange(0, 100 * n_items + 1, 100)
    columns = rng.integers(0, n_items, 100 * n_items, np.int32)
    weights = rng.random(len(columns), F32)
    rows, by = rng.integers(0, n_items, 20, np.int32), rng.random(20, F32)

    def csr_numpy() -> np.ndarray:
        at = (ptr[rows][:, None] + np.arange(100)).reshape(-1)
        return np.bincount(columns[at], weights[at] * np.repeat(by, 100), n_items)

    add = partial(_core.csr_accumulate, ptr, columns, weights, rows, by, n_items)
    np.testing.assert_allclose(add(), csr_numpy(), rtol=1e-5)
    yield Kernel("csr_accumulate", "20 rows of 100, 12,000 items", add, csr_numpy)


def vectors(rng: np.random.Generator) -> Iterator[Kernel]:
    n, dim = 17_000, 384
    wide = rng.normal(size=(n, dim)).astype(F32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    scales = np.abs(wide).max(axis=1) / F32(127)
    small = np.rint(wide / scales[:, None]).astype(np.int8)
    query = wide[0].copy()

    def int8_numpy() -> np.ndarray:
        return scales * (small.astype(F32) @ query)

    assert np.abs(_core.inner_int8(small, scales, query) - int8_numpy()).max() < 0.01
    rows = small[:200].tolist()
    yield Kernel(
        "inner_int8",
        f"{n:,} x {dim}",
        partial(_core.inner_int8, small, scales, query),
        int8_numpy,
        lambda: [sum(a * b for a, b in zip(row, rows[0], strict=True)) for row in rows],
        part=200 / n,
    )
    yield Kernel(
        "inner_f32",
        f"{n:,} x {dim}; NumPy calls BLAS",
        partial(_core.inner_f32, wide, query),
        lambda: wide @ query,
    )


def generation(rng: np.random.Generator) -> Iterator[Kernel]:
    n_vocab, n_live = 262_144, 5
    answers = [rng.zipf(1.5, rng.integers(3, 12)) % 5000 for _ in range(17_000)]
    ptr = np.cumsum([0, *map(len, answers)], dtype=np.int64)
    tokens = np.concatenate(answers).astype(np.int32)
    answer_lists = [a.tolist() for a in answers]

    def nested_dicts() -> dict:
        root: dict = {}
        for answer in answer_lists:
            node = root
            for token in answer:
                node = node.setdefault(token, {})
        return root

    trie = _core.Trie(ptr, tokens)
    yield Kernel(
        "Trie",
        f"17,000 answers, {len(trie.token):,} nodes",
        partial(_core.Trie, ptr, tokens),
        python=nested_dicts,
    )

    logits = rng.normal(0, 4, (n_live, n_vocab)).astype(F32)
    live = np.argsort(-trie.n_children)[:n_live].astype(np.int32)
    zeros = np.zeros(n_live, F32)

    def beam_numpy(width: int) -> np.ndarray:
        scores, nodes = [], []
        for row, node in enumerate(live):
            top = logits[row].max()
            log_total = top + np.log(np.exp(logits[row] - top).sum())
            children = np.arange(trie.n_children[node]) + trie.first_child[node]
            scores.append(logits[row][trie.token[children]] - log_total)
            nodes.append(children)
        return np.concatenate(nodes)[np.argsort(-np.concatenate(scores))[:width]]

    step = partial(_core.beam_step, trie, logits, live, zeros, zeros, 0.5, 1.0, 10)
    assert step()[1].tolist() == beam_numpy(10).tolist()
    row = logits[0].tolist()
    yield Kernel(
        "beam_step",
        f"{n_live} nodes, {int(trie.n_children[live].sum()):,} children, vocabulary {n_vocab:,}",
        step,
        partial(beam_numpy, 10),
        lambda: math.log(sum(math.exp(x - 20) for x in row)),
        part=1 / n_live,
    )
    chosen = np.tile(rng.integers(0, n_vocab, 500).astype(np.int32), (n_live, 1))
    yield Kernel(
        "token_logprobs",
        f"500 of {n_live} x {n_vocab:,}; NumPy in double",
        partial(_core.token_logprobs, logits, chosen),
        partial(twins.token_logprobs, logits, chosen),
    )


def mixing(rng: np.random.Generator) -> Iterator[Kernel]:
    n, n_signals = 1000, 18  # as many as `recommend` mixes
    values = rng.random((n, n_signals)).astype(F32)
    one = np.array([0, n], np.int64)
    context = np.full(1, 0.5, F32)
    phi = _core.features(values, one, context)
    theta = rng.normal(size=phi.shape[1])
    yield Kernel(
        "features",
        f"a pool of {n:,}, {n_signals} signals",
        partial(_core.features, values, one, context),
        partial(twins.features, values, one, context),
    )
    yield Kernel(
        "log_softmax",
        f"a pool of {n:,}, {phi.shape[1]} features",
        partial(_core.log_softmax, phi, theta.astype(F32), one),
        partial(twins.log_softmax, phi, theta, one),
    )
    yield Kernel(
        "contributions",
        "the same",
        partial(_core.contributions, phi, theta.astype(F32), one),
        partial(twins.contributions, phi, theta, one),
    )
    mixer = Mixer([f"s{n}" for n in range(n_signals)], {})
    yield Kernel("mix", "the same, as Python calls it", partial(mixer.mix, values, 0.5))
    for n_rows in (10, 400, 1000):
        x, config = phi[:n_rows], vars(StepConfig()) | {"weight": 1.0}
        shared, own = Learning.zeros(n_signals), Learning.zeros(n_signals)
        learning = shared.theta, shared.g2, own.theta, own.g2, 0
        yield Kernel(
            "step",
            f"{n_rows:,} of these",
            partial(_core.step, x, *learning, **config),
            partial(twins.step, x, *learning, **config),
        )

    n_pools, size = 2000, 200
    groups = np.arange(0, n_pools * size + 1, size)
    values = rng.random((n_pools * size, n_signals)).astype(F32)
    many = _core.features(values, groups, np.full(n_pools, 0.5, F32))
    # Choices drawn from a theta of their own: score + Gumbel noise, the largest wins.
    drawn = many @ theta + rng.gumbel(size=n_pools * size)
    target = np.eye(size, dtype=F32)[drawn.reshape(n_pools, size).argmax(axis=1)].reshape(-1)
    loss, gradient = _core.loss_grad(many, theta, target, groups, 1)
    expected = twins.loss_grad(many, theta, target, groups)
    np.testing.assert_allclose(loss, expected[0])
    np.testing.assert_allclose(gradient, expected[1], atol=1e-9)
    what = f"{n_pools:,} pools of {size}, {many.shape[1]} features"
    for n_threads in (1, 2):
        yield Kernel(
            "loss_grad",
            f"{what}, {n_threads} thread{'s' * (n_threads > 1)}",
            partial(_core.loss_grad, many, theta, target, groups, n_threads),
            partial(twins.loss_grad, many, theta, target, groups),
        )
    zero = np.zeros(many.shape[1])
    fit = partial(_core.fit, many, zero, zero, 1e-3, target, groups, 500, 1e-5, 2)
    yield Kernel("fit", f"the same, 2 threads, {len(fit()[1]) - 1} steps to convergence", fit)


if __name__ == "__main__":
    main()
