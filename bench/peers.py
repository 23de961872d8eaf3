"""What a user would pick instead of pyrec, behind one interface, and how good it is.

    python bench/peers.py [DATA]        beauty (default), toys, office or movielens

Each peer is fitted in a process of its own, for its seconds and its memory. `implicit` and SciPy
come with `pip install -e .[bench]`; neither is needed by pyrec. Hyper-parameters are chosen on the
validation part of Beauty by hand, a handful of settings each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence

# One thread for each of the two libraries that would bring their own pools and fight over cores;
# before NumPy loads them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from common import machine, table
from histories_data import EVERY, Asked, to_csr
from published import published

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

Ranker = Callable[[I32, Sequence[I32], int], I32]
"""(user rows (n,), their histories, k) → items (n, k) int32, best first, the history left out; -1
where a peer names fewer. A row that was not in training is served by its history alone."""

Fit = Callable[[I64, I32, int, int], Ranker]
"""(ptr, items, n_users, n_items) → Ranker."""

BATCH = 500


def popularity(ptr: I64, items: I32, n_users: int, n_items: int) -> Ranker:
    """How many users had it."""
    x = _matrix(ptr, items, n_items)
    counts = np.asarray(x.sum(axis=0), np.float32).ravel()
    return _by_scores(lambda histories: np.tile(counts, (len(histories), 1)))


def ease(ptr: I64, items: I32, n_users: int, n_items: int, l2: float = 200.0) -> Ranker:
    """EASE (Steck 2019) at its full size: n_items² floats several times over."""
    x = _matrix(ptr, items, n_items)
    gram = (x.T @ x).toarray()
    gram[np.diag_indices(n_items)] += l2
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return _by_scores(lambda histories: _matrix(*to_csr(histories), n_items) @ weights)


def als(ptr: I64, items: I32, n_users: int, n_items: int) -> Ranker:
    """implicit's ALS; a user is folded in from the history."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=256, regularization=10.0, alpha=10.0, iterations=15, random_state=0, num_threads=2
    )
    model.fit(_matrix(ptr, items, n_items), show_progress=False)
    return _by_implicit(model, n_items, recalculate_user=True)


def bpr(ptr: I64, items: I32, n_users: int, n_items: int) -> Ranker:
    """implicit's BPR; it cannot fold in, so who was not in training gets the item biases."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=100, learning_rate=0.05, regularization=0.01, iterations=300, random_state=0,
        num_threads=2,
    )  # fmt: skip
    x = _matrix(ptr, items, n_items)
    model.fit(x, show_progress=False)
    trained = np.diff(x.indptr) > 0
    # The last column of a user is the 1 that the item's bias is multiplied by.
    model.user_factors[~trained] = np.eye(model.user_factors.shape[1])[-1]
    return _by_implicit(model, n_items)


def bm25(ptr: I64, items: I32, n_users: int, n_items: int) -> Ranker:
    """implicit's neighbors under BM25 weights."""
    from implicit.nearest_neighbours import BM25Recommender

    model = BM25Recommender(K=1000, K1=1.2, B=0.2, num_threads=2)
    model.fit(_matrix(ptr, items, n_items), show_progress=False)
    return _by_implicit(model, n_items)


def cosine(ptr: I64, items: I32, n_users: int, n_items: int) -> Ranker:
    """implicit's neighbors by cosine."""
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=1000, num_threads=2)
    model.fit(_matrix(ptr, items, n_items), show_progress=False)
    return _by_implicit(model, n_items)


PEERS: dict[str, tuple[str, Fit]] = {
    "popularity": ("popularity", popularity),
    "cosine": ("implicit cosine neighbors", cosine),
    "bm25": ("implicit BM25 neighbors", bm25),
    "bpr": ("implicit BPR", bpr),
    "als": ("implicit ALS", als),
    "ease": ("EASE, full size", ease),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", choices=EVERY, default="beauty")
    parser.add_argument("--part", choices=["valid", "test"], default="test")
    parser.add_argument("--only", choices=PEERS, help="print one peer's figures as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.data, arguments.part)))
        return
    try:
        import implicit  # noqa: F401
    except ImportError:
        print("skipped: implicit is not installed; pip install -e .[bench]")
        return
    EVERY[arguments.data]()  # leaves with a message where data is missing
    print(machine())
    rows = []
    for name, (title, _) in PEERS.items():
        command = [sys.executable, __file__, arguments.data, "--part", arguments.part]
        done = subprocess.run([*command, "--only", name], stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(
            [
                title,
                *(f"{found[m]:.4f}" for m in ("Recall@10", "nDCG@10")),
                *(f"{found[m]:.1f}" for m in ("fit_s", "user_ms")),
                f"{found['peak_mb']:.0f}",
            ]
        )
    head = ["", "Recall@10", "nDCG@10", "fit s", "ms a user", "peak MB"]
    table(f"{arguments.data}, {arguments.part}, strict, seen removed", head, rows)
    for row in published(arguments.data):
        figures = ", ".join(f"{metric} {value:.4f}" for metric, value in row.figures.items())
        print(f"  published: {row.model}: {figures} ({row.source}; {row.protocol})")


def measure(name: str, data_name: str, part: str) -> dict[str, float]:
    """Fit one peer in this process and ask it."""
    # implicit converts its own intermediate matrices and warns of it.
    warnings.filterwarnings("ignore", message="Method expects CSR input")
    data = EVERY[data_name]()
    asked = data.test if part == "test" else data.valid
    # MovieLens' protocol has no validation part: what was kept for it is training data.
    histories = data.refit if data_name == "movielens" and part == "test" else data.train
    ptr, items = to_csr(histories)
    began = time.perf_counter()
    rank = PEERS[name][1](ptr, items, data.n_users, data.n_items)
    fit_s = time.perf_counter() - began
    began = time.perf_counter()
    users = np.array([a.user for a in asked], np.int32)
    ranked = rank(users, [a.history for a in asked], 10)
    user_ms = (time.perf_counter() - began) / len(asked) * 1000
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = quality(ranked, asked)
    return {**found, "fit_s": fit_s, "user_ms": user_ms, "peak_mb": peak_mb}


def quality(ranked: I32, asked: Sequence[Asked], k: int = 10) -> dict[str, float]:
    """Return Recall and nDCG at k, each question counting the same; those without answer none."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    recalls, gains = [], []
    for row, question in zip(ranked, asked, strict=True):
        if len(question.answers):
            hits = np.isin(row[:k], question.answers)
            recalls.append(hits.sum() / len(question.answers))
            gains.append(hits @ discounts / discounts[: len(question.answers)].sum())
    return {f"Recall@{k}": float(np.mean(recalls)), f"nDCG@{k}": float(np.mean(gains))}


def _matrix(ptr: I64, items: I32, n_items: int):
    """Return histories as SciPy's CSR of ones, what was taken twice counted once."""
    from scipy.sparse import csr_matrix

    ones = np.ones(len(items), np.float32)
    matrix = csr_matrix((ones, items.copy(), ptr.copy()), shape=(len(ptr) - 1, n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _by_scores(score: Callable[[list[I32]], F32]) -> Ranker:
    """Rank by scores (n, n_items) of histories, equal ones by the lower item."""

    def rank(users: I32, histories: Sequence[I32], k: int) -> I32:
        ranked = np.empty((len(histories), k), np.int32)
        for begin in range(0, len(histories), BATCH):
            batch = list(histories[begin : begin + BATCH])
            scores = score(batch)
            for row, history in zip(scores, batch, strict=True):
                row[history] = -np.inf
            top = np.sort(np.argpartition(-scores, k, axis=1)[:, :k], axis=1)
            best = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
            ranked[begin : begin + BATCH] = np.take_along_axis(top, best, axis=1)
        return ranked

    return rank


def _by_implicit(model, n_items: int, **options: object) -> Ranker:
    def rank(users: I32, histories: Sequence[I32], k: int) -> I32:
        ranked = [np.empty((0, k), np.int32)]
        for begin in range(0, len(histories), BATCH):
            part = slice(begin, begin + BATCH)
            seen = _matrix(*to_csr(list(histories[part])), n_items)
            found, scores = model.recommend(users[part], seen, N=k, **options)
            # Where there are fewer than k, implicit fills up with what it was told to leave out.
            ranked.append(np.where(scores > -1e30, found, -1).astype(np.int32))
        return np.concatenate(ranked)

    return rank


if __name__ == "__main__":
    main()
