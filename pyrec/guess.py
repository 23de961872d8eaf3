"""What lies ahead of a branch that a beam has not read: what each token is expected to gain there.

A prompt that speaks for a token speaks for it nearly anywhere: what it would have gained had it
come next, on average over all places that were read, foretells what it gains where it stands. It
counts relative to the mean over the trie, as with their priors taken off (alpha 1) answers gain
nothing on average. What a token gained in its own places counts beside this. And the more a token
surprises, the more it may gain or lose: over the pools of `bench/beams.py` gains spread five times
as far among the most surprising fifth as among the least. `decoding.py` asks for it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.answer_trie import AnswerTrie

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


class Guess:
    """What is expected of each token of a trie, from what one search read.

    Args:
        trie: the answers; their tokens are what is asked about.
        alpha: how much of a token's prior is taken off what it gains, as in `BeamConfig`.
    """

    SHARE = 0.35
    """How much of what a token would gain anywhere it gains in its place. On recorded readings of
    the pools of `bench/beams.py` its slope is .2 to .4; .25 and .5 keep one or two in a hundred
    of the best less."""
    N_ANYWHERE = 6.0
    """How many readings in its place it counts for; 3 and 12 are no better."""
    LEAST = -30.0
    """No log-probability counts as less, that of a forbidden token neither."""

    def __init__(self, trie: AnswerTrie, alpha: float) -> None:
        self._tokens, kind = np.unique(trie.token[1:], return_inverse=True)
        self.column = np.concatenate([[0], kind])  # of each node's token; the root has none
        self._alpha = np.float32(alpha)
        n = len(self._tokens)
        self._share = np.bincount(kind, minlength=n).astype(np.float32) / np.float32(len(kind))
        self._n_places = 0  # that were read
        self._anywhere = np.zeros(n, np.float32)  # sum over them of what it would have gained
        self._surprise = np.zeros(n, np.float32)  # sum over them, in nats
        self._n_here = np.zeros(n, np.float32)  # how often it was read in its place
        self._here = np.zeros(n, np.float32)  # sum of what it gained there

    def read(self, logits: F32, neutral: F32 | None) -> tuple[F32, F32]:
        """Note what could have come next at some places, by the prompt and by a neutral one.

        Returns:
            The log-probability of each of the trie's tokens there by the one and by the other,
            (n_places, n_tokens) float32; a node's token stands in `column`.
        """
        said = self._logprobs(logits)
        # Without a neutral prompt a token is as surprising as it is for the prompt itself.
        without = said if neutral is None else self._logprobs(neutral)
        some, usual = (
            np.maximum(np.nan_to_num(each, nan=self.LEAST), np.float32(self.LEAST))
            for each in (said, without)
        )
        self._anywhere += (some - self._alpha * usual).sum(axis=0)
        self._surprise -= usual.sum(axis=0)
        self._n_places += len(said)
        return said, without

    def learn(self, nodes: I32, gains: F32) -> None:
        """Note what was gained by reading nodes in their places, each once, in nats."""
        can = np.isfinite(gains)
        np.add.at(self._here, self.column[nodes[can]], gains[can])
        np.add.at(self._n_here, self.column[nodes[can]], 1.0)

    def guess(self) -> tuple[F32, F32]:
        """Return what each node is expected to gain, and its surprise: (n_nodes,) float32, nats."""
        anywhere = self._anywhere / np.float32(self._n_places)
        expected = np.float32(self.SHARE) * (anywhere - self._share @ anywhere)
        if self._alpha < 1.0:
            expected += self._here.sum() / max(self._n_here.sum(), np.float32(1.0))
        n = np.float32(self.N_ANYWHERE)
        gain = (self._here + n * expected) / (self._n_here + n)
        surprise = self._surprise / np.float32(self._n_places)
        return gain[self.column], surprise[self.column]

    def _logprobs(self, logits: F32) -> F32:
        tokens = np.tile(self._tokens, (len(logits), 1))
        return _core.token_logprobs(np.ascontiguousarray(logits), tokens)
