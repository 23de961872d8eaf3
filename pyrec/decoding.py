"""Answers by beam search over a closed set: a trie of token sequences, walked by a text model.

`AnswerTrie` holds the answers, `beam_search` generates the best of them, `node_logprobs` reads
them all. Tasks and the `titles` signal call these; the arithmetic of one step is `csrc/beam.h`.
Only sequences of the trie can come out, so what is generated always exists (constrained
decoding as in De Cao et al., Autoregressive Entity Retrieval, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.errors import ContextLengthError, EmptyAnswerSpaceError
from pyrec.lm import NEUTRAL, PROMPT, TextModel, Tokens

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Answer:
    """An answer found: its number, log P(answer | prompt) in nats, and the score it won by."""

    index: int
    logprob: float
    score: float


@dataclass(frozen=True)
class BeamConfig:
    """How to search.

    Attributes:
        num_beams: branches kept alive after each step.
        alpha: how much of an answer's prior log-probability is taken off (0 none, 1 all: PMI).
        theta: the weight of the text model beside the trie's bonus.
        slack: branches end that score less than the k-th best finished answer by more than this
            times theta; what a branch may still gain is mostly less.
    """

    num_beams: int = 5
    alpha: float = 0.0
    theta: float = 1.0
    slack: float = math.inf


class AnswerTrie:
    """The answers as a trie of token sequences, with a prior and a bonus on each node.

    Attributes:
        has_prior: whether `set_prior` was called.

    Args:
        sequences: the tokens of each answer; equal sequences share their end.

    Raises:
        EmptyAnswerSpaceError: no answer has a token.
    """

    def __init__(self, sequences: Sequence[Tokens]) -> None:
        if not any(len(s) for s in sequences):
            raise EmptyAnswerSpaceError("there is no answer to choose from: the list is empty")
        ptr = np.zeros(len(sequences) + 1, np.int64)
        np.cumsum([len(s) for s in sequences], out=ptr[1:])
        self.core = _core.Trie(ptr, np.concatenate(sequences).astype(np.int32))
        self.token: I32 = self.core.token
        self.parent: I32 = self.core.parent
        self.first_child: I32 = self.core.first_child
        self.n_children: I32 = self.core.n_children
        self.answer: I32 = self.core.answer
        self.n_answers = len(sequences)
        self.has_prior = False
        self._bonus = np.zeros(len(sequences), np.float32)
        # The most that priors below a node can still add to its score, times alpha.
        self._reach = np.zeros(len(self.token), np.float32)

    def __len__(self) -> int:
        """Count the nodes, the root included."""
        return len(self.token)

    def set_prior(self, prior: F32) -> None:
        """Set each node's mean neutral log-probability given its parent, (n_nodes,) float32."""
        self.core.prior = np.ascontiguousarray(prior, np.float32)
        reach = np.zeros(len(self.token), np.float32)
        # Breadth-first order: children stand behind their parents.
        for node in range(len(self.token) - 1, 0, -1):
            above = self.parent[node]
            reach[above] = max(reach[above], reach[node] - prior[node])
        self._reach = reach
        self.has_prior = True

    def put_prior(self, nodes: I32, prior: F32) -> None:
        """Set the prior of some nodes alone; the ceiling then knows no bound (see `ceiling`)."""
        values = self.core.prior.copy()
        values[nodes] = prior
        self.core.prior = values
        self._reach[:] = np.inf

    def set_bonus(self, per_answer: F32) -> None:
        """Give each node the best of these values among the answers below it."""
        self._bonus = np.ascontiguousarray(per_answer, np.float32)
        self.core.set_bonus_from_answers(self._bonus)

    def worth(self, index: int, logprob: float, prior: float, config: BeamConfig) -> float:
        """Return the score of a finished answer: its own bonus counts, not the best below it."""
        return config.theta * (logprob - config.alpha * prior) + float(self._bonus[index])

    def ceiling(self, nodes: I32, scores: F32, config: BeamConfig) -> F32:
        """Return the most that any answer below each node can score."""
        if config.alpha == 0.0:
            return scores
        gain: F32 = scores + config.theta * config.alpha * self._reach[nodes]
        return gain


@dataclass
class _Live:
    """The branches alive: node, sums of log-probability and prior, score; arrays of one length."""

    node: I32
    logprob: F32
    prior: F32
    score: F32

    def __len__(self) -> int:
        return len(self.node)

    def take(self, which: npt.NDArray[np.int64]) -> _Live:
        return _Live(self.node[which], self.logprob[which], self.prior[which], self.score[which])


def beam_search(
    model: TextModel,
    trie: AnswerTrie,
    prompt: Tokens,
    k: int,
    config: BeamConfig,
    neutral: Tokens | None = None,
) -> list[Answer]:
    """Generate the k best answers of the trie after a prompt.

    An answer A scores theta * (log P(A) - alpha * prior(A)) + bonus(A). Each step reads all live
    branches in one call, runs of only children included. Every answer that ends right below a
    live branch is finished at no further cost, so a beam of 5 sees many more than 5 answers.

    Args:
        model: reads the prompt and the branches.
        trie: the answers.
        prompt: ends where an answer begins.
        k: how many answers are wanted, at least 1.
        config: how to search.
        neutral: a prompt that asks for nothing in particular; the priors of the nodes that are
            visited are then read from it on the way. None uses those set in the trie.

    Returns:
        At most k answers, best score first, ties by number.

    Raises:
        ContextLengthError: the prompt does not fit the model's context.
    """
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least one answer")
    room = model.n_branches if neutral is None else model.n_branches // 2
    width = min(max(1, config.num_beams), room)
    finished: dict[int, Answer] = {}
    with model.lock:
        branches = _Branches(model, trie, config, prompt, neutral)
        while True:
            rows, grown = branches.children()
            _finish(trie, grown, finished, config)
            going = np.flatnonzero(trie.n_children[grown.node] > 0)[:width]
            going = going[grown.score[going] >= _least(finished, k, config)]
            kept = grown.take(going)
            if not len(kept) or _is_decided(trie, kept, finished, k, config):
                break
            try:
                branches.read(kept, rows[going], finished)
            except ContextLengthError:
                # Answers longer than the context end here; the finished ones stand.
                if not finished:
                    raise
                break
    best = sorted(finished.values(), key=lambda a: (-a.score, a.index))
    return best[:k]


class _Branches:
    """The live branches of one search, the model's logits after each, and their neutral twins."""

    def __init__(
        self,
        model: TextModel,
        trie: AnswerTrie,
        config: BeamConfig,
        prompt: Tokens,
        neutral: Tokens | None,
    ) -> None:
        self._model, self._trie, self._config = model, trie, config
        self._twins = neutral is not None
        self._parents = [PROMPT]
        self._live = _root()
        if neutral is not None:
            # Copied: the next call of the model reuses the memory.
            self._neutral = model.prompt(neutral, NEUTRAL)[None, :].copy()
        self._logits = model.prompt(prompt)[None, :]

    def children(self) -> tuple[I32, _Live]:
        """Return all children, best score first, and the rows of the branches they grow from."""
        if self._twins:
            _, priors = _children(self._trie, self._live, self._neutral, BeamConfig())
            parents = self._trie.parent[priors.node]
            above = np.zeros(len(self._trie), np.float32)
            above[self._live.node] = self._live.logprob
            self._trie.put_prior(priors.node, priors.logprob - above[parents])
        return _children(self._trie, self._live, self._logits, self._config)

    def read(self, kept: _Live, rows: I32, finished: dict[int, Answer]) -> None:
        """Read the branches to their next fork; answers passed on the way are finished."""
        trie = self._trie
        runs = [_run(trie, int(node)) for node in kept.node]
        tokens = [trie.token[run].tolist() for run in runs]
        parents = [self._parents[row] for row in rows]
        if self._twins:
            twins = [NEUTRAL if p == PROMPT else p + len(self._live) for p in parents]
            parents, tokens = parents + twins, tokens * 2
        logits = self._model.grow(parents, tokens)
        self._parents = list(range(len(runs)))
        n_read = sum(map(len, runs))
        if self._twins:
            self._neutral = self._last(logits[n_read:], runs)
            self._put_run_priors(logits[n_read:], runs)
        self._live = self._follow(kept, runs, logits[:n_read], finished)
        self._logits = self._last(logits[:n_read], runs)

    def _follow(
        self, kept: _Live, runs: list[list[int]], logits: F32, finished: dict[int, Answer]
    ) -> _Live:
        """Move each branch to the end of its run; what a run's tokens are worth is in `logits`."""
        longer, gains = self._gains(logits, runs)
        if not longer:
            return kept
        trie, config = self._trie, self._config
        at = _Live(kept.node.copy(), kept.logprob.copy(), kept.prior.copy(), kept.score.copy())
        for (i, node), gain in zip(longer, gains, strict=True):
            at.node[i] = node
            at.logprob[i] += gain
            at.prior[i] += trie.core.prior[node]
            worth = at.logprob[i] - config.alpha * at.prior[i]
            at.score[i] = config.theta * worth + trie.core.bonus[node]
            _finish(trie, at.take(np.array([i])), finished, config)
        return at

    def _put_run_priors(self, logits: F32, runs: list[list[int]]) -> None:
        longer, gains = self._gains(logits, runs)
        if longer:
            self._trie.put_prior(np.array([node for _, node in longer], np.int32), gains)

    def _gains(self, logits: F32, runs: list[list[int]]) -> tuple[list[tuple[int, int]], F32]:
        """Return (branch, node) of each run's further nodes, and their tokens' log-probability."""
        longer: list[tuple[int, int]] = []
        before: list[int] = []
        row = 0
        for i, run in enumerate(runs):
            longer += [(i, node) for node in run[1:]]
            before += range(row, row + len(run) - 1)
            row += len(run)
        if not longer:
            return [], np.empty(0, np.float32)
        tokens = self._trie.token[[node for _, node in longer]]
        return longer, _core.token_logprobs(np.ascontiguousarray(logits[before]), tokens)

    @staticmethod
    def _last(logits: F32, runs: list[list[int]]) -> F32:
        """Return the rows after each run."""
        ends = np.cumsum([len(run) for run in runs]) - 1
        return logits if len(ends) == len(logits) else np.ascontiguousarray(logits[ends])


def _root() -> _Live:
    return _Live(np.zeros(1, np.int32), *(np.zeros(1, np.float32) for _ in range(3)))


def _children(trie: AnswerTrie, live: _Live, logits: F32, config: BeamConfig) -> tuple[I32, _Live]:
    n = int(trie.n_children[live.node].sum())
    rows, node, logprob, prior, score = _core.beam_step(
        trie.core, logits, live.node, live.logprob, live.prior, config.alpha, config.theta, n
    )
    return rows, _Live(node, logprob, prior, score)


def _finish(
    trie: AnswerTrie, grown: _Live, finished: dict[int, Answer], config: BeamConfig
) -> None:
    for i in np.flatnonzero(trie.answer[grown.node] >= 0):
        logprob, prior = float(grown.logprob[i]), float(grown.prior[i])
        for index in trie.core.answers_at(int(grown.node[i])).tolist():
            finished[index] = Answer(index, logprob, trie.worth(index, logprob, prior, config))


def _kth(finished: dict[int, Answer], k: int) -> float:
    """Return the score of the k-th best answer, -inf where there are fewer."""
    if len(finished) < k:
        return -math.inf
    return sorted((a.score for a in finished.values()), reverse=True)[k - 1]


def _least(finished: dict[int, Answer], k: int, config: BeamConfig) -> float:
    """Return what a branch must score to go on."""
    if len(finished) < k or math.isinf(config.slack):
        return -math.inf
    return _kth(finished, k) - config.slack * config.theta


def _is_decided(
    trie: AnswerTrie, live: _Live, finished: dict[int, Answer], k: int, config: BeamConfig
) -> bool:
    if len(finished) < k:
        return False
    return bool(trie.ceiling(live.node, live.score, config).max() <= _kth(finished, k))


def _run(trie: AnswerTrie, node: int) -> list[int]:
    """Return the node and the only children that follow it, up to the next fork or last token."""
    run = [node]
    while trie.n_children[node] == 1:
        node = int(trie.first_child[node])
        if trie.n_children[node] == 0:
            break
        run.append(node)
    return run


def node_logprobs(
    model: TextModel, trie: AnswerTrie, prompt: Tokens
) -> Iterator[tuple[float, F32]]:
    """Read the whole trie after a prompt: exhaustive, for priors and for checking the beam.

    Yields:
        The share read, and (n_nodes,) float32: log P(token of the node | prompt and the path to
        it), 0 at the root and where it is not read yet; the same array each time, whole at last.
    """
    inner = np.flatnonzero(trie.n_children > 0)[1:]  # the root's logits are the prompt's
    number = np.full(len(trie), PROMPT, np.int32)
    number[inner] = np.arange(len(inner), dtype=np.int32)
    result = np.zeros(len(trie), np.float32)
    with model.lock:
        _put_children(trie, 0, model.prompt(prompt), result)
        n_read = 0
        if len(inner):
            for which, logits in model.tree(trie.token[inner], number[trie.parent[inner]]):
                for node, row in zip(inner[which], logits, strict=True):
                    _put_children(trie, int(node), row, result)
                n_read += len(which)
                yield n_read / (len(inner) + 1), result
    yield 1.0, result


def _put_children(trie: AnswerTrie, node: int, logits: F32, result: F32) -> None:
    here = _root()
    here.node[0] = node
    _, grown = _children(trie, here, np.ascontiguousarray(logits)[None, :], BeamConfig())
    result[grown.node] = grown.logprob


def read_all(model: TextModel, trie: AnswerTrie, prompt: Tokens) -> F32:
    """Return log P(answer | prompt) of every answer, (n_answers,) float32, -inf for empty ones."""
    *_, (_, per_node) = node_logprobs(model, trie, prompt)
    total = np.zeros(len(trie), np.float32)
    for node in range(1, len(trie)):
        total[node] = total[trie.parent[node]] + per_node[node]
    result = np.full(trie.n_answers, -np.inf, np.float32)
    for end in np.flatnonzero(trie.answer >= 0).tolist():
        result[trie.core.answers_at(end)] = total[end]
    return result
