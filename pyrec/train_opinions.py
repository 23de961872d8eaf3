"""Training of the click and rating tasks: opinions are hidden and asked for from the rest.

The factor model is fitted without a random part of the opinions, theta is the most likely for that
part, and then the model is fitted again to all. Both tasks ask the same of a user, so a part of
theta is fitted to both together: what one of them teaches, the other has. Called by `train.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec import mixer
from pyrec.catalog import Catalog
from pyrec.learned import Theta
from pyrec.mixer import Mixer, depth_of
from pyrec.opinion_state import OpinionState, fit_state
from pyrec.opinions import YES, Opinions, Person, item_features
from pyrec.questions import Questions
from pyrec.tasks.click import ClickTask
from pyrec.tasks.ordinal import SIGNALS, Asked, Levels, evidence, likeness_of
from pyrec.tasks.rating import RatingTask

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

HIDDEN = 0.15
"""The share of opinions that is asked for."""
MAX_HIDDEN = 20_000
MIN_OPINIONS = 50
"""With fewer, or with all of one kind, the weights that come with pyrec stay."""
BEGUN = (0, 1, 3, 10, 30)
BEGINNERS = 0.25
"""A part of the questions sees but the first few opinions of a user, or theta would know only
people of whom much is known: on MovieLens one rating would then be worse than none."""
PULL = 3.0
"""How strongly weights stay near those that come with pyrec, in questions. Ten times as much is as
good on MovieLens, where these are from (`bench/tasks.py --pull`), and worse elsewhere."""
TASKS = (ClickTask.name, RatingTask.name)


@dataclass(frozen=True)
class Pools:
    """Questions of one task with their answers, one after the other.

    Attributes:
        values: (n_questions * n_levels, n_signals) float32.
        target: (n_questions * n_levels,) float32, 1 for the answer.
        n_levels: how many answers each question has.
        context: (n_questions,) float32, the depth of the user's opinions.
        user: (n_questions,) int32 numbers of users.
    """

    values: F32
    target: F32
    n_levels: int
    context: F32
    user: npt.NDArray[np.int32]

    def some(self, which: npt.NDArray[np.bool_]) -> Pools:
        """Return some of the questions."""
        rows = np.repeat(which, self.n_levels)
        return Pools(
            self.values[rows],
            self.target[rows],
            self.n_levels,
            self.context[which],
            self.user[which],
        )

    @property
    def groups(self) -> I64:
        """Where each question begins, and the end."""
        return np.arange(len(self.user) + 1, dtype=np.int64) * self.n_levels


def collect(
    opinions: Opinions,
    hidden: npt.NDArray[np.bool_],
    state: OpinionState,
    questions: Questions,
    progress: Callable[[float], None],
    seed: int,
    begun: float = BEGINNERS,
) -> dict[str, Pools]:
    """Ask users for the hidden opinions, from a state that was fitted without them.

    Args:
        opinions: all.
        hidden: (n,) bool, which are asked for.
        state: fitted to the others.
        questions: encodes.
        progress: told the share that is done.
        seed: of who counts as a beginner.
        begun: share of the questions that see but the first few opinions.
    """
    rng = np.random.default_rng(seed)
    index = questions.current()
    found: dict[str, list[tuple[F32, F32, F32, npt.NDArray[np.int32]]]] = {t: [] for t in TASKS}
    people = opinions.by_user()
    for number, places in enumerate(people):
        asked, known = places[hidden[places]], places[~hidden[places]]
        if not len(asked):
            continue
        how = np.where(
            rng.random(len(asked)) < begun, rng.integers(1, 1 + len(BEGUN), len(asked)), 0
        )
        for kind in np.unique(how):
            some = asked[how == kind]
            seen = known if kind == 0 else known[: BEGUN[kind - 1]]
            person = Person(opinions.row[seen], opinions.value[seen])
            pool = opinions.row[some]
            likeness = likeness_of(questions, index, person, pool)
            for task, which, answer in _answers(opinions, some, state):
                if which.any():
                    levels = _levels(task, person, state)
                    x = Asked(
                        (), pool[which], person, state, index, levels, likeness[which],
                        opinions.place[some][which], np.full(int(which.sum()), np.nan, np.float32),
                    )  # fmt: skip
                    target = np.eye(len(levels.opinions), dtype=np.float32)[answer[which]].ravel()
                    depth = np.full(int(which.sum()), depth_of(len(seen)), np.float32)
                    user = np.full(int(which.sum()), number, np.int32)
                    found[task].append((evidence(x), target, depth, user))
        if number % 50 == 0:
            progress(number / len(people))
    return {task: _joined(parts, task, state) for task, parts in found.items()}


def fit_tasks(
    pools: Mapping[str, Pools], prior: Mapping[str, Theta], pull: float, *, jointly: bool = True
) -> dict[str, Mixer]:
    """Fit theta of each task; jointly, it is its prior, a shift that all share and one of its own.

    Source of the sharing: Daume III, Frustratingly Easy Domain Adaptation (2007).

    Args:
        pools: questions by task.
        prior: weights to stay near, by task.
        pull: how strongly, in questions.
        jointly: whether tasks share.
    """
    filled = {task: of for task, of in pools.items() if len(of.user)}
    if not jointly:
        return {task: _fit({task: of}, prior, pull)[task] for task, of in filled.items()}
    return _fit(filled, prior, pull) if filled else {}


def loss(theta: Mixer, pools: Pools) -> float:
    """Return the mean cross-entropy of questions, in nats."""
    total = 0.0
    for depth in np.unique(pools.context):
        some = pools.some(pools.context == depth)
        mixed = theta.mix(some.values, float(depth), groups=some.groups)
        total -= float(some.target @ mixed.logprob)
    return total / max(len(pools.user), 1)


def hide(opinions: Opinions, seed: int, share: float = HIDDEN) -> npt.NDArray[np.bool_]:
    """Choose the opinions that are asked for, (n,) bool."""
    rng = np.random.default_rng(seed)
    share = min(share, MAX_HIDDEN / max(len(opinions.value), 1))
    chosen: npt.NDArray[np.bool_] = rng.random(len(opinions.value)) < share
    return chosen


def teaches(opinions: Opinions) -> bool:
    """Tell whether there are enough opinions, and of both kinds."""
    yes = int((opinions.value > YES).sum())
    return len(opinions.value) >= MIN_OPINIONS and 5 <= yes <= len(opinions.value) - 5


def train_opinions(
    opinions: Opinions,
    catalog: Catalog,
    questions: Questions,
    used: Mapping[str, Theta],
    prior: Mapping[str, Theta],
    judges: Sequence[bool],
    progress: Callable[[str, float], None],
    seed: int,
) -> tuple[OpinionState, dict[str, Theta | None]]:
    """Fit the model and the weights of both tasks.

    Args:
        opinions: of everybody; `teaches` says whether they are enough.
        catalog: the items.
        questions: encodes.
        used: the weights in use, by task.
        prior: the weights to stay near, by task.
        judges: by number of user, whether they judge instead of teaching.
        progress: told what is done, and the share of it.
        seed: which opinions are hidden.

    Returns:
        The state fitted to all, and by task the weights, None where those in use are better.
    """
    progress("fitting opinions without the answers", 0.0)
    features, hidden = item_features(catalog), hide(opinions, seed)
    state = fit_state(opinions.some(~hidden), features)

    def told(share: float) -> None:
        progress("asking for opinions", share)

    pools = collect(opinions, hidden, state, questions, told, seed)
    judging = np.array(judges, bool)
    learnt = {task: of.some(~judging[of.user]) for task, of in pools.items()}
    found: dict[str, Theta | None] = {}
    for task, fitted in fit_tasks(learnt, prior, PULL).items():
        judged = pools[task].some(judging[pools[task].user])
        before, after = loss(Mixer(SIGNALS, used[task]), judged), loss(fitted, judged)
        found[task] = fitted.as_dict() if len(judged.user) and after <= before else None
    progress("fitting opinions", 0.0)
    return fit_state(opinions, features), found


def _answers(
    opinions: Opinions, some: I64, state: OpinionState
) -> list[tuple[str, npt.NDArray[np.bool_], I64]]:
    """Return by task which of some opinions it asks for, and the number of the right level."""
    rating = opinions.rating[some]
    rated = ~np.isnan(rating)
    level = np.abs(np.nan_to_num(rating)[:, None] - np.array(state.scale.levels)).argmin(axis=1)
    yes = (opinions.value[some] > YES).astype(np.int64)
    return [(ClickTask.name, np.ones(len(some), bool), yes), (RatingTask.name, rated, level)]


def _levels(task: str, person: Person, state: OpinionState) -> Levels:
    return (ClickTask if task == ClickTask.name else RatingTask).levels_of(person, state)


def _joined(
    parts: list[tuple[F32, F32, F32, npt.NDArray[np.int32]]], task: str, state: OpinionState
) -> Pools:
    n_levels = 2 if task == ClickTask.name else len(state.scale.levels)
    if not parts:
        nothing = np.empty(0, np.float32)
        empty = np.empty((0, len(SIGNALS)), np.float32)
        return Pools(empty, nothing, n_levels, nothing, np.empty(0, np.int32))
    values, target, depth, user = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Pools(values, target, n_levels, depth, user)


def _fit(pools: Mapping[str, Pools], prior: Mapping[str, Theta], pull: float) -> dict[str, Mixer]:
    """Fit one theta to the questions of some tasks, each signal once for all and once for each."""
    tasks = tuple(pools)
    shares = ("", *tasks) if len(tasks) > 1 else tasks
    names = [f"{task}/{name}" for task in shares for name in SIGNALS]
    values = []
    for task, of in pools.items():
        # What belongs to another task is unknown here, and weighs nothing.
        none = np.full_like(of.values, np.nan)
        values.append(np.hstack([of.values if each in ("", task) else none for each in shares]))
    near = {f"{task}/{name}": row for task in tasks for name, row in prior[task].items()}
    sizes = np.concatenate([np.full(len(of.user), of.n_levels) for of in pools.values()])
    fitted, _ = mixer.fit(
        np.concatenate(values),
        np.concatenate([of.target for of in pools.values()]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        Mixer(names, near),
        context=np.concatenate([of.context for of in pools.values()]),
        l2=pull / len(sizes),
    )
    parts = fitted.theta.reshape(len(shares), len(SIGNALS), -1)
    together = parts[0] if len(tasks) > 1 else 0.0
    return {
        task: Mixer(SIGNALS, dict(zip(SIGNALS, (together + part).tolist(), strict=True)))
        for task, part in zip(tasks, parts[-len(tasks) :], strict=True)
    }
