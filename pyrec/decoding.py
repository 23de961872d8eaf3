"""Answers by beam search over a closed set: a trie of token sequences, walked by a text model.

An `AnswerTrie` holds the answers, `beam_search` generates the best of them, `node_logprobs` reads
them all. Tasks and the `titles` signal call these; the arithmetic of one step is `csrc/beam.h`.
Only sequences of the trie can come out, so what is generated always exists (constrained
decoding as in De Cao et al., Autoregressive Entity Retrieval, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.answer_trie import AnswerTrie
from pyrec.errors import ContextLengthError
from pyrec.guess import Guess
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
        slack: how wrong a branch's score may be for each token ahead, as the root of the sum of
            squares, as many small steps add up: in nats, or with a stride as a share of each
            token's surprise. Branches end that even so stay below the k-th best answer.
        stride: how many tokens a branch goes on at most before all are compared again. What is
            ahead of them is then guessed from what was read in this search (see `guess.py`), and
            branches stand among the k best by what they will at least be worth. 0 goes to the next
            fork and guesses nothing.
    """

    num_beams: int = 5
    alpha: float = 0.0
    theta: float = 1.0
    slack: float = math.inf
    stride: int = 0


@dataclass
class _Live:
    """The branches alive: node, sums of log-probability and prior, score; arrays of one length."""

    node: I32
    logprob: F32
    prior: F32
    score: F32

    def __len__(self) -> int:
        return len(self.node)

    def gained(self, alpha: float) -> F32:
        """Return what the prompt speaks for each branch, in nats."""
        gained: F32 = self.logprob - np.float32(alpha) * self.prior
        return gained

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
    branches in one call, each down to its next fork or, with a stride, at most so many tokens.
    Every answer that ends right below a live branch is finished at no further cost, so a beam of 5
    sees many more than 5 answers. It is narrower where the context has no room for its branches.

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
        ValueError: k is below 1, or a stride is to guess what is gained over priors without a
            neutral prompt.
    """
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least one answer")
    if config.stride and config.alpha and neutral is None:
        raise ValueError(f"stride is {config.stride}, alpha {config.alpha}; give a neutral prompt")
    room = model.n_branches if neutral is None else model.n_branches // 2
    width = min(max(1, config.num_beams), room)
    finished: dict[int, Answer] = {}
    with model.lock, trie.guessing():
        branches = _Branches(model, trie, config, prompt, neutral)
        while True:
            rows, grown = branches.children()
            _finish(trie, grown, finished, config)
            going = _going(trie, grown, finished, k, config)[:width]
            runs = [_run(trie, int(node), config.stride) for node in grown.node[going]]
            fitting = branches.fitting(runs)
            going, runs = going[fitting], [runs[n] for n in fitting]
            kept = grown.take(going)
            if not len(kept) or _is_decided(trie, kept, finished, k, config):
                break
            try:
                branches.read(kept, rows[going], runs, finished)
            except ContextLengthError:
                # An answer longer than the context ends here; the finished ones stand.
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
        self._guess = Guess(trie, config.alpha) if config.stride else None
        if neutral is not None:
            # Copied: the next call of the model reuses the memory.
            self._neutral = model.prompt(neutral, NEUTRAL)[None, :].copy()
        self._logits = model.prompt(prompt)[None, :]
        if self._guess is not None:
            self._guess.read(self._logits, self._neutral if self._twins else None)

    def children(self) -> tuple[I32, _Live]:
        """Return all children, best score first, and the rows of the branches they grow from."""
        if self._twins:
            _, priors = _children(self._trie, self._live, self._neutral, BeamConfig())
            parents = self._trie.parent[priors.node]
            above = np.zeros(len(self._trie), np.float32)
            above[self._live.node] = self._live.logprob
            self._trie.put_prior(priors.node, priors.logprob - above[parents])
        rows, grown = _children(self._trie, self._live, self._logits, self._config)
        if self._guess is None:
            return rows, grown
        gained = grown.gained(self._config.alpha)
        self._guess.learn(grown.node, gained - self._live.gained(self._config.alpha)[rows])
        gain, surprise = self._guess.guess()
        self._trie.look_ahead(np.float32(self._config.theta) * gain, surprise**2)
        grown.score = self._config.theta * gained + self._trie.below(grown.node)[0]
        order = np.argsort(-grown.score, kind="stable")
        return rows[order], grown.take(order)

    def fitting(self, runs: list[list[int]]) -> list[int]:
        """Return which of the branches the context holds together once their runs are read.

        Where it holds none the first is read all the same, and says so.
        """
        found, left = [], self._model.room
        for n, run in enumerate(runs):
            length = int(self._trie.core.depth[run[-1]]) * (2 if self._twins else 1)
            if length <= left:
                found.append(n)
                left -= length
        return found or [0][: len(runs)]

    def read(
        self, kept: _Live, rows: I32, runs: list[list[int]], finished: dict[int, Answer]
    ) -> None:
        """Read the runs of branches; answers passed on the way are finished."""
        trie = self._trie
        tokens = [trie.token[run].tolist() for run in runs]
        parents = [self._parents[row] for row in rows]
        if self._twins:
            twins = [NEUTRAL if p == PROMPT else p + len(self._live) for p in parents]
            parents, tokens = parents + twins, tokens * 2
        logits = self._model.grow(parents, tokens)
        self._parents = list(range(len(runs)))
        n_read = sum(map(len, runs))
        said, without = logits[:n_read], logits[n_read:] if self._twins else None
        told = self._guess.read(said, without) if self._guess is not None else (None, None)
        if without is not None:
            self._neutral = self._last(without, runs)
            self._put_run_priors(*self._gains(without, runs, told[1]))
        self._live = self._follow(kept, *self._gains(said, runs, told[0]), finished)
        self._logits = self._last(said, runs)

    def _follow(
        self,
        kept: _Live,
        longer: list[tuple[int, int]],
        gains: F32,
        finished: dict[int, Answer],
    ) -> _Live:
        """Move each branch to the end of its run, of which `_gains` tells."""
        if not longer:
            return kept
        trie, config = self._trie, self._config
        if self._guess is not None:
            nodes = np.array([node for _, node in longer], np.int32)
            self._guess.learn(nodes, gains - config.alpha * trie.core.prior[nodes])
        at = _Live(kept.node.copy(), kept.logprob.copy(), kept.prior.copy(), kept.score.copy())
        for (i, node), gain in zip(longer, gains, strict=True):
            at.node[i] = node
            at.logprob[i] += gain
            at.prior[i] += trie.core.prior[node]
            _finish(trie, at.take(np.array([i])), finished, config)
        return at

    def _put_run_priors(self, longer: list[tuple[int, int]], gains: F32) -> None:
        if longer:
            self._trie.put_prior(np.array([node for _, node in longer], np.int32), gains)

    def _gains(
        self, logits: F32, runs: list[list[int]], told: F32 | None
    ) -> tuple[list[tuple[int, int]], F32]:
        """Return (branch, node) of each run's further nodes, and their tokens' log-probability.

        It stands in what the guess was told of these rows, where it was: a vocabulary takes long to
        normalize.
        """
        longer: list[tuple[int, int]] = []
        before: list[int] = []
        row = 0
        for i, run in enumerate(runs):
            longer += [(i, node) for node in run[1:]]
            before += range(row, row + len(run) - 1)
            row += len(run)
        if not longer:
            return [], np.empty(0, np.float32)
        nodes = [node for _, node in longer]
        if self._guess is not None and told is not None:
            return longer, told[before, self._guess.column[nodes]]
        tokens = self._trie.token[nodes]
        rows = np.ascontiguousarray(logits[before])
        return longer, _core.token_logprobs(rows, tokens[:, None])[:, 0]

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
        gained = config.theta * (logprob - config.alpha * prior)
        for index in trie.core.answers_at(int(grown.node[i])).tolist():
            finished[index] = Answer(index, logprob, gained + trie.bonus_of(index))


def _kth(scores: Iterable[float], k: int) -> float:
    """Return the k-th best score, -inf where there are fewer."""
    best = sorted(scores, reverse=True)
    return best[k - 1] if len(best) >= k else -math.inf


def _going(
    trie: AnswerTrie, grown: _Live, finished: dict[int, Answer], k: int, config: BeamConfig
) -> npt.NDArray[np.int64]:
    """Return which branches go on, in the order of `grown`: the best first."""
    going = np.flatnonzero(trie.n_children[grown.node] > 0)
    if math.isinf(config.slack):
        return going
    scores = grown.score[going].astype(np.float64)
    # Strictly below: what ends at a node is among the finished already.
    ahead = trie.below(grown.node[going])[1]
    change = config.theta * config.slack * np.sqrt(ahead, dtype=np.float64)
    sure = [answer.score for answer in finished.values()]
    if config.stride:
        sure.extend(scores - change)
    least = _kth(sure, k)
    return going[scores + change >= least]


def _is_decided(
    trie: AnswerTrie, live: _Live, finished: dict[int, Answer], k: int, config: BeamConfig
) -> bool:
    if len(finished) < k or config.stride:  # scores with a guess are no bounds
        return False
    kth = _kth((answer.score for answer in finished.values()), k)
    return bool(trie.ceiling(live.node, live.score, config.theta * config.alpha).max() <= kth)


def _run(trie: AnswerTrie, node: int, stride: int) -> list[int]:
    """Return the node and the only children after it, to the next fork, last token or stride."""
    run = [node]
    while trie.n_children[node] == 1 and len(run) != stride:
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
