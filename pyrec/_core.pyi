"""What the C++ core holds; the headers in `csrc/` say how it works.

Arrays must be C-contiguous and of the exact dtype, or the call is a `TypeError`; a wrong shape, or
a value that makes no sense, is a `ValueError`; an index out of range is an `IndexError`. Every
`mask` holds one byte an entry, 0 = left out, and None lets all in. The GIL is free while a kernel
runs. Shapes stand in parentheses.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
I8: TypeAlias = npt.NDArray[np.int8]
I32: TypeAlias = npt.NDArray[np.int32]
I64: TypeAlias = npt.NDArray[np.int64]
U8: TypeAlias = npt.NDArray[np.uint8]
U32: TypeAlias = npt.NDArray[np.uint32]

def cpu_features() -> list[str]:
    """Name the instruction sets that the kernels use on this processor."""

def topk(scores: F32, k: int, mask: U8 | None = None) -> tuple[I32, F32]:
    """Return the k highest scores as (indices, scores), best first, ties to the lower index.

    NaN and masked entries are never returned, so there can be fewer than k.
    """

class InvertedIndex:
    """Which items hold which terms (32-bit hashes); never changes, so readers need no lock."""

    def __init__(self) -> None:
        """Hold no items."""

    @property
    def n_items(self) -> int: ...
    @property
    def n_terms(self) -> int: ...
    @property
    def nnz(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def updated(
        self, item_idx: I32, ptr: I64, terms: U32, weights: U8, n_items: int
    ) -> InvertedIndex:
        """Return an index in which these rows replace what the items had; an empty row removes.

        Args:
            item_idx: (m) in any order, each once.
            ptr: (m + 1) row i is `terms[ptr[i]:ptr[i + 1]]`.
            terms: in any order within a row, each once.
            weights: term frequency in eighths, 2 or more, even; one more where the title holds
                the term.
            n_items: rows of the catalog, holes counted; never fewer than before.
        """

    def bm25(self, terms: U32, weights: F32, k1: float, b: float, mask: U8 | None = None) -> F32:
        """Score every item, (n_items): Σ weight · idf · saturated frequency; masked items get 0."""

    def norms(self) -> F32:
        """Return the Euclidean length of each item's TF-IDF vector, (n_items)."""

    def coverage(self, terms: U32, mask: U8 | None = None) -> F32:
        """Return the idf-weighted share of the distinct terms that each item holds, 0 to 1."""

    def title_lengths(self) -> F32:
        """Return the sum of the idf of each title's terms, (n_items); 0 without any."""

    def title_share(self, terms: U32, lengths: F32, mask: U8 | None = None) -> F32:
        """Return the idf-weighted share of each title that the distinct terms are, 0 to 1.

        Args:
            terms: of the question.
            lengths: what `title_lengths` gives.
            mask: items that are 0 in it get 0.
        """

    def containing(self, terms: U32) -> I32:
        """Return the items that hold all the terms, ascending; none for no terms."""

    def df(self, terms: U32) -> I32:
        """Count the items that hold each term."""

def csr_accumulate(
    ptr: I64, idx: I32, weights: F32, rows: I32, row_weights: F32, n_items: int
) -> F32:
    """Add up rows of a sparse matrix, (n_items): Σ row_weights[q] · row rows[q].

    Args:
        ptr: (n_rows + 1) row r has the entries `ptr[r]:ptr[r + 1]`.
        idx: (nnz) the columns, 0 to n_items - 1.
        weights: (nnz).
        rows: (q) the rows to add, of which one may repeat. Only these are checked.
        row_weights: (q).
        n_items: columns of the matrix.
    """

def inner_int8(matrix: I8, scales: F32, query: F32, mask: U8 | None = None) -> F32:
    """Score the vectors `scale · row` against a query by inner product, (n).

    Args:
        matrix: (n, dim).
        scales: (n) what one unit of each row is worth.
        query: (dim), quantized to int8 inside.
        mask: (n) rows left out get 0.
    """

def inner_f32(matrix: F32, query: F32, mask: U8 | None = None) -> F32:
    """Score the rows of a (n, dim) matrix by inner product with the query; masked rows get 0."""

class Trie:
    """A frozen trie of token sequences in breadth-first arrays; node 0 is the root.

    The children of a node stand side by side, sorted by token. Arrays are read-only views, one
    entry a node; `prior` and `bonus` are set by assigning a whole array, and not while another
    thread runs `beam_step` on the same trie.
    """

    def __init__(self, ptr: I64, tokens: I32) -> None:
        """Hold the answers `tokens[ptr[i]:ptr[i + 1]]`; one without tokens ends at the root."""

    @property
    def token(self) -> I32:
        """The token that leads to the node; -1 for the root."""

    @property
    def parent(self) -> I32:
        """The node above; -1 for the root."""

    @property
    def depth(self) -> I32:
        """Tokens from the root."""

    @property
    def first_child(self) -> I32:
        """The first of the node's children; -1 for a leaf."""

    @property
    def n_children(self) -> I32:
        """How many children follow from `first_child` on."""

    @property
    def answer(self) -> I32:
        """The first answer that ends at the node; -1 where none does. It may have children too."""

    @property
    def ahead(self) -> F32:
        """How far it is from the node to the end of the answer that its `bonus` is of.

        In tokens, or in the `length` that was given with the scores.
        """

    @property
    def prior(self) -> F32:
        """Mean neutral log-probability of the token after its parent; 0 at first."""

    @prior.setter
    def prior(self, values: F32) -> None: ...
    @property
    def bonus(self) -> F32:
        """Best score of the answers at or below the node; 0 at first."""

    @bonus.setter
    def bonus(self, values: F32) -> None: ...
    def set_bonus_from_answers(
        self, scores: F32, gain: F32 | None = None, length: F32 | None = None
    ) -> None:
        """Set `bonus` and `ahead` from one score an answer: the highest at or below each node.

        Args:
            scores: (n_answers,) finite or infinite; of equal ones the nearest is meant.
            gain: (n_nodes,), what each node is guessed to add on the way to an answer; the highest
                is then that of score and way together. None adds nothing.
            length: (n_nodes,), 0 or more, how much of the way to an answer each node counts; None
                for 1 each: tokens.
        """

    def answers_at(self, node: int) -> I32:
        """Return all the answers that end at a node, ascending."""

def beam_step(
    trie: Trie,
    logits: F32,
    nodes: I32,
    logprobs: F32,
    priors: F32,
    alpha: float,
    theta: float,
    width: int,
) -> tuple[I32, I32, F32, F32, F32]:
    """Score every child of every live node and return the best, as (m) arrays, best first.

    score = theta · (logprob - alpha · prior) + bonus, where logprob and prior are sums from the
    root. A child is returned whether or not an answer ends there, and whether or not it has
    children. Ties go to the lower row, then to the lower node.

    Args:
        trie: the answers that can be generated.
        logits: (n_live, n_vocab) what the model says after each live node.
        nodes: (n_live).
        logprobs: (n_live) sum of log-probabilities so far.
        priors: (n_live) sum of `trie.prior` so far.
        alpha: how much of the prior is taken off.
        theta: the weight of the model beside the bonus.
        width: at most so many are returned.

    Returns:
        (parent_row, node, logprob, prior, score); parent_row is a row of `logits`.
    """

def token_logprobs(logits: F32, tokens: I32) -> F32:
    """Return log softmax(logits[i])[tokens[i, j]] of logits (n, n_vocab), tokens (n, m): (n, m).

    Raises:
        IndexError: a token is not in the vocabulary.
        ValueError: the numbers of rows differ.
    """

def features(values: F32, groups: I64, context: F32) -> F32:
    """Turn the values of s signals (n, s) into features (n, 4·s), signal j in columns 4j to 4j + 3.

    With v clipped at 0 (and 0 where it is NaN, unknown) and m the largest v of a signal in its
    pool, at least 1: v / m, log(v / m + .01) - log(.01), and both times the pool's context.
    `groups` (g + 1) holds offsets: pool i is the rows `groups[i]:groups[i + 1]`; `context` (g) is
    from 0 to 1.
    """

def log_softmax(x: F32, theta: F32, groups: I64) -> F32:
    """Return log P of each row within its pool, (n)."""

def contributions(x: F32, theta: F32, groups: I64) -> F32:
    """Return theta . phi of each signal less its mean over the pool, (n, n_signals)."""

def loss_grad(x: F32, theta: F64, target: F32, groups: I64, n_threads: int) -> tuple[float, F64]:
    """Return the mean cross-entropy over pools and its gradient (f).

    `target` (n) is 0 or more and sums to 1 over a pool; a pool whose sum is 0 is skipped. The
    result is the same to the bit for any `n_threads`.
    """

def fit(
    x: F32,
    theta0: F64,
    prior: F64,
    l2: float,
    target: F32,
    groups: I64,
    max_steps: int,
    tol: float,
    n_threads: int,
) -> tuple[F64, list[float]]:
    """Minimize mean cross-entropy + l2/2 · |θ - prior|² by L-BFGS.

    Returns:
        θ, and the objective at the start and after each step. It has converged when fewer than
        max_steps steps were taken: no part of the gradient exceeds tol, or none lowers it further.
    """

def step(
    x: F32,
    theta: F64,
    g2: F64,
    own: F64,
    own_g2: F64,
    chosen: int,
    rate: float,
    weight: float,
    calm: float,
    own_rate: float,
    own_pull: float,
    own_most: float,
    most: float,
    max_norm: float,
) -> None:
    """Learn in place from one event, by one AdaGrad step: row `chosen` of the pool x was right.

    Args:
        x: (n, f) features.
        theta: (f) the shared weights.
        g2: (f) their squared gradients so far, zeros at first.
        own: (f) what the user's own weights add to them; empty for none.
        own_g2: the same of `own`.
        chosen: the row.
        rate: of the shared weights.
        weight: 0 to 1, what the event counts for them.
        calm: squared gradients taken as seen before the first event, above 0.
        own_rate: of the user's own weights.
        own_pull: 0 to 1, how far an event draws them back to 0.
        own_most: no own weight is further from 0.
        most: no shared weight is further from 0.
        max_norm: a longer gradient is cut to this length.

    Raises:
        ValueError: sizes that do not fit, or a value that is not finite; nothing has changed.
        IndexError: there is no such row.
    """

def skip_strings(data: U8, at: int, n: int) -> int:
    """Return where n strings of a GGUF array end that begin at byte `at` of data.

    Raises:
        IndexError: they run past the end of the data.
    """

class Unigram:
    """The pieces of a unigram tokenizer, which never change; tokens equal llama.cpp's."""

    def __init__(self, strings: U8, scores: F32, types: I32, unknown: int) -> None:
        """Take the pieces over from a GGUF.

        Args:
            strings: (n_bytes) an array of n strings as it lies in the file.
            scores: (n) log-probabilities.
            types: (n) of GGUF; only tokens of type 1 (normal) and 5 (unused) are found in a text.
            unknown: the token for characters that no piece covers.
        """

    @property
    def n_tokens(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def encode(self, text: bytes, max_tokens: int) -> I32:
        """Return the likeliest tokens of UTF-8 text, at most so many from its start, (m)."""

class Histories:
    """What each user did, in order, and for each item where it stands in whose history.

    The state depends on the surviving events and their order alone: after `remove` and `forget` it
    is as if those events had never come. Several threads may call at once. Users and items are
    numbers from 0, and what has no events need not be known.
    """

    def __init__(self) -> None:
        """Hold no events."""

    @property
    def n_users(self) -> int:
        """One more than the highest user with an event; falls when that one's last event goes."""

    @property
    def n_items(self) -> int:
        """One more than the highest item with an event; falls when that one's last event goes."""

    @property
    def n_events(self) -> int: ...
    @property
    def nbytes(self) -> int:
        """Memory held, room for growth included."""

    def extend(self, users: I32, items: I32, same: U8) -> None:
        """Append events in order. All at once takes the least memory, 12 bytes an event.

        An item taken again right after itself is no new entry.

        Args:
            users: (m).
            items: (m).
            same: (m) 1 = at the same time as the user's entry before, so that neither came first.
                Of a user's first entry it counts as 0.

        Raises:
            ValueError: a user or an item is negative; nothing was appended.
        """

    def remove(self, user: int, pos: int) -> None:
        """Take out the entry at place `pos`, from 0; later ones move up.

        Where it was the first of several of the same time, the next is the first now; where its
        neighbors are of one item, they become one entry.

        Raises:
            IndexError: there is no such entry.
        """

    def forget(self, user: int) -> None:
        """Take out all entries of a user, if there are any."""

    def history(self, user: int) -> tuple[I32, U8]:
        """Return a user's (items, same) in order, (n) each."""

    def postings(self, item: int) -> tuple[I32, I32]:
        """Return (users, places in their histories) of an item, (m) each, oldest first."""

    def count(self) -> I32:
        """Count the users who took each item, (n_items)."""

    def took(self, user: int, items: I32) -> U8:
        """Tell which of some items a user took, (m) 0 or 1; 0 where one of them has no events."""

    def lately(self) -> F32:
        """Sum for each item 1 where it is a user's newest, half for each step before, (n_items).

        More than 16 steps of time before the newest an entry counts nothing.
        """

    def transitions(
        self,
        items: I32,
        weights: F32,
        n_items: int,
        window: int,
        gap_decay: float,
        length_damping: float,
        source_damping: float,
        target_damping: float,
        max_postings: int = 2000,
        reach: int = 500,
    ) -> tuple[F32, F32, F32]:
        """Sum what comes after, near and together with some items in all histories.

        Each of the newest m entries of a query item speaks with s = weight / m^source_damping. With
        g the steps of time between it and another item's entry b of the same history, b gets
        s · gap_decay^(g - 1) in `after` if it comes later and in `near` either way; at the same
        time (g = 0) s/2 and s. In `together` it gets s / length of the history^length_damping.
        All are divided by (1 + entries of b)^target_damping at the end.

        Args:
            items: (q) 0 or more, in any order; those without events say nothing.
            weights: (q) finite; negative ones push down.
            n_items: length of the results; items beyond are left out.
            window: entries on either side that `after` and `near` look at, up to 10,000, ending
                early where the same item comes again.
            gap_decay: 0 to 1.
            length_damping: 0 or more, like the two after it.
            source_damping: how much an item with many entries is held back.
            target_damping: how much the items found are held back by their own entries.
            max_postings: entries of each query item that are walked, 1 or more, the newest.
            reach: entries on either side that `together` looks at; 0 leaves it at zero.

        Returns:
            (after, near, together), (n_items) each.
        """
