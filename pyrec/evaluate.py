"""How well recommendations foretell what users took: part of the log is hidden and asked for.

`Recommender.evaluate` calls this. Splits come from `splits.py`, the questions from `replay.py`,
whose signals have never seen an answer, the measures from `metrics.py` and `list_metrics.py`; what
chance could do to them is said by `evaluation.py`. Weights that `pyrec train` found in the same log
have seen answers: a few dozen numbers can hardly remember them, but the settings say so. A network
beside them and a behavior model can, so only users are asked whose answers these never learned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from pyrec import list_metrics, metrics, splits
from pyrec.asking import is_judge, unknown_to
from pyrec.behavior.running import Behavior
from pyrec.catalog import Catalog
from pyrec.deep import DeepState
from pyrec.errors import CatalogError, EventError
from pyrec.evaluation import Evaluation, Setting
from pyrec.events import EventLog
from pyrec.index import Index
from pyrec.mixer import Mixer, depth_of, shipped_theta
from pyrec.questions import Questions
from pyrec.ranking import Ranker
from pyrec.replay import Asked, Flags, Log, Replay, read_log
from pyrec.signals.base import F32, I32
from pyrec.signals.deep import Deep, said
from pyrec.times import people_of
from pyrec.train import Progress
from pyrec.train_behavior import in_use

SPLITS = ("last", "temporal", "random")

LEAST = 0.1
"""Of what share of the users the behavior model must not know the answers, to be asked."""
_LINEAR = frozenset(("linear", "linear_recent"))


@dataclass(frozen=True)
class EvaluateConfig:
    """How to evaluate.

    Attributes:
        split: what is hidden: "last" the newest event of each user, "temporal" the newest share of
            all events, "random" a random share of each user's.
        share: how much, for "temporal" and "random".
        k: length of the lists.
        include_seen: whether what a user took before may be recommended, and is an answer.
        n_users: how many users are asked at most.
        ablation: whether to measure each signal's worth by leaving it out.
        seed: who is asked, what a random split hides, and the draws of the intervals.

    Raises:
        ValueError: one of them is out of range.
    """

    split: str = "last"
    share: float = 0.2
    k: int = 10
    include_seen: bool = False
    n_users: int = 2000
    ablation: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense before anything is read."""
        metrics.check_k(self.k)
        if self.split not in SPLITS:
            raise ValueError(f"split is {self.split!r}; use one of {', '.join(SPLITS)}")
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share is {self.share}; it must lie between 0 and 1")
        if self.n_users < 1:
            raise ValueError(f"n_users is {self.n_users}; ask at least one")


def evaluate(
    catalog: Catalog,
    events: EventLog,
    questions: Questions,
    task: Ranker,
    config: EvaluateConfig,
    progress: Progress,
) -> Evaluation:
    """Measure the recommendations of a store, "pyrec", beside "popularity": what most took.

    Both are asked for users who have a past and an answer in the catalog; without `include_seen` an
    item that is in the past already is no answer. All answers count, found by a signal or not.

    Args:
        catalog: the items.
        events: the log.
        questions: encodes questions.
        task: the signals and weights to judge.
        config: how to evaluate.
        progress: told how far it is.

    Raises:
        CatalogError: the catalog is empty.
        EventError: nobody has both a past and an answer.
    """
    index = questions.current()
    if not index.n_live:
        raise CatalogError("the catalog is empty; fill it with `pyrec import FILE`")
    log = read_log(events)
    if not len(log.user):
        raise EventError(
            "nobody took anything yet; log it, or import a log with `pyrec events import FILE`"
        )
    rng = np.random.default_rng(config.seed)
    hidden, how = _hidden(log, config, rng)
    network = questions.network() if Deep.name in task.mixer.names else None
    asks = {*task.mixer.names, *(network.names if network else ())}
    behavior, unknown, told = _behavior(log, hidden, questions, asks)
    if network is not None:
        judges = [is_judge(u, network.held_out, network.salt) for u in log.user_ids]
        unknown = unknown & np.array(judges, bool)
        told = {**told, "network": "only users are asked whom it never learned from"}
    users = _drawn(log, hidden, unknown, config.n_users, rng)
    progress("reading what is not hidden", 0.0)
    fits_linear = bool(_LINEAR & asks)
    replay = Replay(log, hidden, catalog, index, fits_linear=fits_linear, behavior=behavior)
    asked = replay.asked(users.tolist(), include_seen=config.include_seen)
    if not asked:
        raise EventError(_nobody(log, hidden, config))
    lists, without = _lists(replay, questions, task, asked, index, network, config, progress)
    progress("measuring", 0.0)
    judge = _Judge(log.without(hidden), replay, asked, index, config.k)
    settings: dict[str, Setting] = {
        "k": config.k,
        "hidden": how,
        "seen items": "included" if config.include_seen else "removed",
        "events": len(log.user),
        "items": index.n_live,
        "users in the log": len(log.user_ids),
        "users drawn": len(users),
        "users left out": len(users) - len(asked),
        "weights": _weights(task.mixer),
        **told,
        "seed": config.seed,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
    return Evaluation.from_values(
        {name: judge.values(ranked) for name, ranked in lists.items()},
        rng=rng,
        list_metrics={name: judge.together(ranked) for name, ranked in lists.items()},
        left_out={name: judge.values(ranked) for name, ranked in without.items()},
        settings=settings,
    )


def _hidden(log: Log, config: EvaluateConfig, rng: np.random.Generator) -> tuple[Flags, str]:
    """Mark what is hidden, and say it in words."""
    if config.split == "last":
        return splits.last(log.user), "the last event of each user"
    if config.split == "random":
        hidden = splits.random_share(log.user, config.share, rng)
        return hidden, f"{config.share:.0%} of each user's events, at random"
    moment = splits.moment_before(log.at, config.share)
    when = people_of(moment) or "those without a time"
    return splits.temporal(log.at, moment), f"all events after {when}"


def _behavior(
    log: Log, hidden: Flags, questions: Questions, asks: Collection[str]
) -> tuple[Behavior | None, Flags, dict[str, Setting]]:
    """Return the behavior model, whose answers it does not know, and what is to be said of it.

    It is large enough to remember, so only these are asked. Where they are few it is left out.
    """
    everybody = np.ones(len(log.user_ids), bool)
    behavior, trouble = in_use(questions) if "behavior" in asks else (None, "")
    if behavior is None:
        return None, everybody, {"behavior model": trouble} if trouble else {}
    known = hidden & ~unknown_to(behavior.state, log)
    unknown = np.bincount(log.user[known], minlength=len(everybody)) == 0
    able = np.unique(log.user[hidden])
    n_able = int(unknown[able].sum())
    if n_able < LEAST * len(able):
        told = "left out: it was trained on these answers"
        return None, everybody, {"behavior model": told}
    told = f"{n_able:,} of {len(able):,} users are asked, whose answers it does not know"
    return behavior, unknown, {"behavior model": told}


def _drawn(log: Log, hidden: Flags, able: Flags, n: int, rng: np.random.Generator) -> I32:
    """Draw users of some who have something hidden and something that is not."""
    n_users = len(log.user_ids)
    n_hidden = np.bincount(log.user[hidden], minlength=n_users)
    n_left = np.bincount(log.user[~hidden], minlength=n_users)
    users = np.flatnonzero((n_hidden > 0) & (n_left > 0) & able).astype(np.int32)
    return np.sort(rng.permutation(users)[:n])


def _nobody(log: Log, hidden: Flags, config: EvaluateConfig) -> str:
    told = f"nobody can be asked: of {len(log.user):,} events of {len(log.user_ids):,} users "
    if not hidden.any():
        why = {
            "temporal": "none came after the others; the times may be unknown, use another split",
            "last": "none is the second of a user; log more",
            "random": "none is the second of a user; log more",
        }[config.split]
        return told + why
    new = "" if config.include_seen else " that they did not take before"
    return (
        f"{told}{int(hidden.sum()):,} were hidden, but no user has an earlier event and a hidden"
        f" item of the catalog{new}; use another split or import the items"
    )


def _weights(mixer: Mixer) -> str:
    shipped = Mixer(mixer.names, shipped_theta())
    same = np.array_equal(shipped.theta, mixer.theta)
    return (
        "as they come with pyrec"
        if same
        else "not as shipped; if trained on this log, they saw its answers"
    )


def _lists(
    replay: Replay,
    questions: Questions,
    task: Ranker,
    asked: Sequence[Asked],
    index: Index,
    network: DeepState | None,
    config: EvaluateConfig,
    progress: Progress,
) -> tuple[dict[str, list[I32]], dict[str, list[I32]]]:
    """Return the lists of each system, then those of the first without each of its signals.

    A signal that is left out still names candidates: what is measured is its say in the order. One
    that knew nothing in any question is not listed.
    """
    names = task.mixer.names if config.ablation else ()
    ours: list[I32] = []
    popular: list[I32] = []
    without: dict[str, list[I32]] = {name: [] for name in names}
    spoke = np.zeros(len(task.signals), bool)
    order = _by_popularity(replay, index)
    progress("asking", 0.0)
    evidence = replay.evidence(questions, task, asked, include_seen=config.include_seen)
    for n, (each, (pool, values)) in enumerate(zip(asked, evidence, strict=True), 1):
        depth = depth_of(len(each.taken))
        best = _best(task.mixer, pool, values, depth, config.k)
        ours.append(best)
        seen = replay.crowd.row_of[each.taken] if not config.include_seen else each.taken[:0]
        head = order[: config.k + len(seen)]
        popular.append(head[~np.isin(head, seen)][: config.k])
        speaks = np.asarray((~np.isnan(values)).any(axis=0))
        spoke |= speaks
        for column, name in enumerate(names):
            left = best
            if speaks[column]:
                rest = _without(column, task.mixer.names, values, depth, network)
                left = _best(task.mixer, pool, rest, depth, config.k)
            without[name].append(left)
        if n % 20 == 0:
            progress("asking", n / len(asked))
    heard = {name: without[name] for name, said in zip(names, spoke, strict=False) if said}
    return {"pyrec": ours, "popularity": popular}, heard


def _without(
    column: int, names: Sequence[str], values: F32, depth: float, network: DeepState | None
) -> F32:
    """Return the values without one signal's, which the network does not read either."""
    rest: F32 = values.copy()
    rest[:, column] = np.nan
    if network is not None and names[column] != Deep.name:
        rest[:, names.index(Deep.name)] = said(network, names, rest, depth)
    return rest


def _best(mixer: Mixer, pool: I32, values: F32, depth: float, k: int) -> I32:
    """Return the k likeliest rows of a pool, as `Ranker.rank` orders them."""
    if not len(pool):
        return pool
    logprob = mixer.mix(values, depth).logprob
    best: I32 = pool[np.lexsort((pool, -logprob))[:k]]
    return best


def _by_popularity(replay: Replay, index: Index) -> I32:
    """Return the rows that anybody took of what is not hidden, most often taken first."""
    crowd = replay.crowd
    rows = np.flatnonzero((crowd.number_of >= 0) & (index.live == 1)).astype(np.int32)
    count = crowd.count[crowd.number_of[rows]]
    rows, count = rows[count > 0], count[count > 0]
    ordered: I32 = rows[np.lexsort((rows, -count))]
    return ordered


_Measure = Callable[[Sequence[str], frozenset[str], int], float]


def _ndcg(ranked: Sequence[str], relevant: frozenset[str], k: int) -> float:
    return metrics.ndcg(ranked, dict.fromkeys(relevant, 1.0), k)


_MEASURES: Mapping[str, _Measure] = {
    "ndcg": _ndcg,
    "recall": metrics.recall,
    "precision": metrics.precision,
    "f1": metrics.f1,
    "hit_rate": metrics.hit_rate,
    "reciprocal_rank": metrics.reciprocal_rank,
    "average_precision": metrics.average_precision,
}


class _Judge:
    """Measures lists of rows, one a question."""

    def __init__(
        self, rest: Log, replay: Replay, asked: Sequence[Asked], index: Index, k: int
    ) -> None:
        row_of = replay.crowd.row_of
        self._answers = [frozenset(_names(row_of[each.answers])) for each in asked]
        pairs = np.unique(rest.item.astype(np.int64) * len(rest.user_ids) + rest.user)
        items, n_takers = np.unique(pairs // len(rest.user_ids), return_counts=True)
        self._n_takers = dict(zip(_names(row_of[items]), n_takers.tolist(), strict=True))
        self._n_users = len(np.unique(rest.user))
        self._index, self._k = index, k

    def values(self, lists: Sequence[I32]) -> dict[str, list[float]]:
        """Return by measure one value a question."""
        k = self._k
        named = [_names(rows) for rows in lists]
        found = {
            name: [
                measure(ranked, right, k)
                for ranked, right in zip(named, self._answers, strict=True)
            ]
            for name, measure in _MEASURES.items()
        }
        found["novelty"] = [
            list_metrics.novelty(ranked, self._n_takers, self._n_users, k) for ranked in named
        ]
        if self._index.has_vector.any():
            found["intra_list_diversity"] = [
                list_metrics.intra_list_diversity(self._vectors(rows), k) for rows in lists
            ]
        return found

    def together(self, lists: Sequence[I32]) -> dict[str, float]:
        """Return what is one number of all lists."""
        named = [_names(rows) for rows in lists]
        return {"coverage": list_metrics.coverage(named, self._index.n_live, self._k)}

    def _vectors(self, rows: I32) -> F32:
        # An item without a vector would count as like nothing.
        return self._index.vectors_of(rows[self._index.has_vector[rows] == 1].tolist())


def _names(rows: I32) -> list[str]:
    """Name rows for measures, which know items by text."""
    return [str(row) for row in rows.tolist()]
