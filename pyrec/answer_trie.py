"""The answers that a text model may generate, as a trie of their tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.errors import EmptyAnswerSpaceError
from pyrec.lm import Tokens

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


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
        self._guess: tuple[F32, F32] | None = None
        self._plain = np.zeros(len(self.token), np.float32), np.ones(len(self.token), np.float32)
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

    def bonus_of(self, index: int) -> float:
        """Return an answer's own bonus, not the best at its node."""
        return float(self._bonus[index])

    def look_ahead(self, gain: F32, length: F32) -> None:
        """Let the bonus of each node count what is guessed to be gained on the way.

        Args:
            gain: (n_nodes,) float32, of each node.
            length: (n_nodes,) float32, what `ahead` counts of it.
        """
        self.core.set_bonus_from_answers(self._bonus, gain, length)
        self._guess = gain, length

    @contextmanager
    def guessing(self) -> Iterator[None]:
        """Take guesses back at the end: the next search begins with what answers are worth."""
        try:
            yield
        finally:
            if self._guess is not None:
                self.set_bonus(self._bonus)
                self._guess = None

    def below(self, nodes: I32) -> tuple[F32, F32]:
        """Return the best bonus of answers that end below nodes, and how far it is to these.

        For a leaf, what ends at it, and 0.
        """
        bonus, ahead = self.core.bonus[nodes], self.core.ahead[nodes]
        for i in np.flatnonzero((self.answer[nodes] >= 0) & (self.n_children[nodes] > 0)):
            first = int(self.first_child[nodes[i]])
            children = slice(first, first + int(self.n_children[nodes[i]]))
            gain, length = (part[children] for part in self._guess or self._plain)
            worth = self.core.bonus[children] + gain
            best = int(worth.argmax())
            bonus[i], ahead[i] = worth[best], self.core.ahead[children][best] + length[best]
        return bonus, ahead

    def ceiling(self, nodes: I32, scores: F32, weight: float) -> F32:
        """Return the most that any answer below nodes can score, where priors weigh so much."""
        if weight == 0.0:
            return scores
        most: F32 = scores + weight * self._reach[nodes]
        return most
