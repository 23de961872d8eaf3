"""The C++ kernels told again in NumPy, to be read first: the same results, one idea at a time.

Each function has the name of its kernel in `pyrec._core`; the tests hold the two to agree. Nothing
here is fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

# topk.h


def topk(scores, k, mask=None):
    """Sort all of them, best first and ties by index, and cut."""
    candidates = [
        i for i, score in enumerate(scores) if score == score and (mask is None or mask[i])
    ]
    best = sorted(candidates, key=lambda i: (-scores[i], i))[:k]
    return np.array(best, np.int32), scores[best]


# sparse.h


class InvertedIndex:
    """The rows themselves: item → {term: term frequency}, and item → the terms of its title."""

    def __init__(self, rows=None, n_items=0, titles=None):
        self.rows: dict[int, dict[int, float]] = rows or {}
        self.titles: dict[int, set[int]] = titles or {}
        self.n_items = n_items

    def updated(self, item_idx, ptr, terms, weights, n_items):
        rows, titles = dict(self.rows), dict(self.titles)
        for r, item in enumerate(item_idx):
            row = slice(ptr[r], ptr[r + 1])
            pairs = [(int(t), int(w)) for t, w in zip(terms[row], weights[row], strict=True)]
            rows[int(item)] = {t: w // 2 / 4 for t, w in pairs}
            titles[int(item)] = {t for t, w in pairs if w % 2}
        return InvertedIndex({item: row for item, row in rows.items() if row}, n_items, titles)

    def df(self, terms):
        return np.array([sum(t in row for row in self.rows.values()) for t in terms], np.int32)

    def idf(self, term):
        df = sum(term in row for row in self.rows.values())
        return np.log(1 + (len(self.rows) - df + 0.5) / (df + 0.5))

    def bm25(self, terms, weights, k1, b, mask=None):
        scores = np.zeros(self.n_items)
        mean_length = np.mean([sum(row.values()) for row in self.rows.values()] or [1])
        for item, row in self.rows.items():
            norm = k1 * (1 - b + b * sum(row.values()) / mean_length)
            for term, weight in zip(terms, weights, strict=True):
                if term in row:
                    saturated = row[term] * (k1 + 1) / (row[term] + norm)
                    scores[item] += weight * self.idf(term) * saturated
        return _masked(scores, mask)

    def norms(self):
        squares = np.zeros(self.n_items)
        for item, row in self.rows.items():
            squares[item] = sum((self.idf(t) * tf) ** 2 for t, tf in row.items())
        return np.sqrt(squares)

    def coverage(self, terms, mask=None):
        distinct = set(terms.tolist())
        total = sum(map(self.idf, distinct))
        shares = np.zeros(self.n_items)
        for item, row in self.rows.items():
            shares[item] = sum(self.idf(t) for t in distinct if t in row) / total if total else 0
        return _masked(shares, mask)

    def title_lengths(self):
        lengths = np.zeros(self.n_items)
        for item, title in self.titles.items():
            lengths[item] = sum(map(self.idf, title))
        return lengths

    def title_share(self, terms, mask=None):
        shares, asked = np.zeros(self.n_items), set(terms.tolist())
        for item, title in self.titles.items():
            if asked & title:
                shares[item] = sum(map(self.idf, asked & title)) / sum(map(self.idf, title))
        return _masked(shares, mask)

    def containing(self, terms):
        holders = [item for item, row in self.rows.items() if all(t in row for t in terms)]
        return np.array(sorted(holders) if len(terms) else [], np.int32)


# csr.h


def csr_accumulate(ptr, idx, weights, rows, row_weights, n_items):
    dense = np.zeros((len(ptr) - 1, n_items))
    for r, (start, end) in enumerate(pairwise(ptr)):
        np.add.at(dense[r], idx[start:end], weights[start:end].astype(np.float64))
    return row_weights.astype(np.float64) @ dense[rows]


# dense.h


def inner_f32(matrix, query, mask=None):
    return _masked(matrix.astype(np.float64) @ query.astype(np.float64), mask)


def inner_int8(matrix, scales, query, mask=None):
    """Quantize the query as the rows are: its largest number becomes 127."""
    most = np.abs(query).max(initial=0.0)
    if most == 0:
        return np.zeros(len(matrix))
    steps = query / np.float32(most) * np.float32(127)
    quantized = np.sign(steps) * np.floor(np.abs(steps) + np.float32(0.5))  # halves away from 0
    return _masked(scales * (most / 127) * (matrix.astype(np.int64) @ quantized), mask)


# trie.h


class Trie:
    """Every prefix of an answer is a node; nodes are numbered by depth, then by their tokens."""

    def __init__(self, answers: Sequence[Sequence[int]]):
        prefixes = {tuple(a[:n]) for a in answers for n in range(len(a) + 1)} | {()}
        self.prefix = sorted(prefixes, key=lambda p: (len(p), p))
        self.node = {p: n for n, p in enumerate(self.prefix)}
        self.answers = [tuple(a) for a in answers]

    def children(self, node):
        return [n for n, p in enumerate(self.prefix) if p and self.node[p[:-1]] == node]

    def answers_at(self, node):
        return [i for i, a in enumerate(self.answers) if a == self.prefix[node]]

    def best_below(self, node, scores):
        """What `bonus` is after set_bonus_from_answers."""
        prefix = self.prefix[node]
        below = [s for a, s in zip(self.answers, scores, strict=True) if a[: len(prefix)] == prefix]
        return max(below)

    def ahead(self, node, scores):
        """What `ahead` is then: tokens to the nearest of the best answers."""
        prefix, best = self.prefix[node], self.best_below(node, scores)
        return min(
            len(a) - len(prefix)
            for a, s in zip(self.answers, scores, strict=True)
            if a[: len(prefix)] == prefix and s == best
        )

    def with_gain(self, node, scores, gain):
        """What `bonus` is when every node on the way adds its gain."""
        return max(s + sum(gain[way]) for s, way in self._ways(node, scores))

    def ahead_by(self, node, scores, gain, length):
        """What `ahead` is when every node on the way counts its length."""
        ways = self._ways(node, scores)
        return sum(length[max(ways, key=lambda way: way[0] + sum(gain[way[1]]))[1]])

    def _ways(self, node, scores):
        """List the answers at or below a node: their scores and the nodes on the way to them."""
        depth = len(self.prefix[node])
        return [
            (s, [self.node[a[:n]] for n in range(depth + 1, len(a) + 1)])
            for a, s in zip(self.answers, scores, strict=True)
            if a[:depth] == self.prefix[node]
        ]


# beam.h


def log_softmax_row(logits):
    logits = logits.astype(np.float64)
    return logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())


def token_logprobs(logits, tokens):
    return np.array([log_softmax_row(row)[of] for row, of in zip(logits, tokens, strict=True)])


def beam_step(trie, logits, nodes, logprobs, priors, alpha, theta, width):
    """`trie` is the real one; a list of (score, row, node, logprob, prior), best first."""
    found = []
    for row, node in enumerate(nodes):
        log_p = log_softmax_row(logits[row])
        first = trie.first_child[node]
        for child in range(first, first + trie.n_children[node]):
            logprob = logprobs[row] + log_p[trie.token[child]]
            prior = priors[row] + trie.prior[child]
            score = theta * (logprob - alpha * prior) + trie.bonus[child]
            found.append((score, row, child, logprob, prior))
    return sorted(found, key=lambda f: (-f[0], f[1], f[2]))[:width]


# mixer.h


def pools(groups) -> Iterator[slice]:
    return (slice(a, b) for a, b in pairwise(groups))


def features(values, groups, context):
    phi = np.zeros((*values.shape, 4))
    for pool, deep in zip(pools(groups), context, strict=True):
        v = np.clip(values[pool].astype(np.float64), 0, None)
        m = np.max(np.nan_to_num(v), axis=0, initial=1)
        share = np.nan_to_num(v / m)
        phi[pool, :, 0] = share
        phi[pool, :, 1] = np.log(share + 0.01) - np.log(0.01)
        phi[pool, :, 2:] = deep * phi[pool, :, :2]
    return phi.reshape(len(values), -1)


def log_softmax(x, theta, groups):
    scores = x.astype(np.float64) @ theta.astype(np.float64)
    for pool in pools(groups):
        if pool.start < pool.stop:
            scores[pool] = log_softmax_row(scores[pool])
    return scores


def contributions(x, theta, groups):
    """Return what each signal adds to each row, less its mean over the pool."""
    parts = (x * theta).reshape(len(x), x.shape[1] // 4, 4).sum(axis=2)
    for pool in pools(groups):
        if pool.start < pool.stop:
            parts[pool] -= parts[pool].mean(axis=0)
    return parts


def loss_grad(x, theta, target, groups):
    x = x.astype(np.float64)
    log_p = log_softmax(x, theta, groups)
    losses, gradients = [], []
    for pool in pools(groups):
        if target[pool].sum() > 0:
            losses.append(-target[pool] @ log_p[pool])
            gradients.append((np.exp(log_p[pool]) - target[pool]) @ x[pool])
    if not losses:
        return 0.0, np.zeros(len(theta))
    return np.mean(losses), np.mean(gradients, axis=0)


def objective(x, theta, prior, l2, target, groups):
    """What `fit` minimizes."""
    return loss_grad(x, theta, target, groups)[0] + l2 / 2 * np.sum((theta - prior) ** 2)


def step(
    x, theta, g2, own, own_g2, chosen,
    *, rate, weight, calm, own_rate, own_pull, own_most, most, max_norm,
):  # fmt: skip
    """Return the new (theta, g2, own, own_g2)."""
    target = np.eye(len(x))[chosen]
    _, mine = loss_grad(x, theta + (own if len(own) else 0.0), target, [0, len(x)])
    mine = mine * min(1.0, max_norm / max(np.linalg.norm(mine), 1e-300))
    g2 = g2 + (weight * mine) ** 2
    theta = np.clip(theta - rate * weight * mine / np.sqrt(calm + g2), -most, most)
    if len(own):
        own_g2 = own_g2 + mine**2
        own = own * (1.0 - own_pull) - own_rate * mine / np.sqrt(calm + own_g2)
        own = np.clip(own, -own_most, own_most)
    return theta, g2, own, own_g2


# unigram.h


def unigram(pieces, scores, unknown, text):
    """Try every piece at every place; a piece is None for a token that stands for no text."""
    line = "".join("\u2581" + word for word in text.split(" ") if word)
    tokens = {piece: token for token, piece in enumerate(pieces) if piece is not None}
    unknown_score = np.float32(min(scores[token] for token in tokens.values())) - np.float32(10)
    best: list[tuple[float, list[int]]] = [(0.0, [])] + [(-np.inf, [])] * len(line)
    for start in range(len(line)):
        so_far, way = best[start]
        for end in range(start + 1, len(line) + 1):
            token = tokens.get(line[start:end])
            if token is not None:
                score = so_far + float(np.float32(scores[token]))
            elif end == start + 1:
                token, score = unknown, so_far + float(unknown_score)
            else:
                continue
            if score > best[end][0]:
                best[end] = score, [*way, token]
    way = best[-1][1]
    return [t for i, t in enumerate(way) if t != unknown or i == 0 or way[i - 1] != unknown]


# histories.h


class Histories:
    """The log of events and nothing else: everything is read off it anew."""

    def __init__(self):
        self.log: list[list[int]] = []  # [user, item, same], oldest first

    def extend(self, users, items, same):
        for user, item, flag in zip(users.tolist(), items.tolist(), same.tolist(), strict=True):
            held = self.entries(user)
            if not held or held[-1][1] != item:
                self.log.append([user, item, flag if held else 0])

    def entries(self, user):
        return [event for event in self.log if event[0] == user]

    def remove(self, user, pos):
        entries = self.entries(user)
        self._erase(entries, pos)
        left = self.entries(user)
        if 0 < pos < len(left) and left[pos - 1][1] == left[pos][1]:
            self._erase(left, pos)

    def _erase(self, entries, pos):
        gone = entries[pos]
        if not gone[2] and pos + 1 < len(entries):
            entries[pos + 1][2] = 0
        self.log = [event for event in self.log if event is not gone]

    def forget(self, user):
        self.log = [event for event in self.log if event[0] != user]

    def history(self, user):
        entries = self.entries(user)
        return [item for _, item, _ in entries], [same for _, _, same in entries]

    def postings(self, item):
        found, length = [], dict.fromkeys((user for user, _, _ in self.log), 0)
        for user, held, _ in self.log:
            if held == item:
                found.append((user, length[user]))
            length[user] += 1
        return [user for user, _ in found], [pos for _, pos in found]

    def lately(self):
        sums = np.zeros(max((item + 1 for _, item, _ in self.log), default=0))
        for user in {user for user, _, _ in self.log}:
            items, same = self.history(user)
            time = np.cumsum(np.logical_not(same))
            for item, step in zip(items, time[-1] - time, strict=True):
                sums[item] += 0.5**step if step <= 16 else 0.0
        return sums

    # transitions.h

    def transitions(
        self, items, weights, n_items, window, gap_decay,
        length_damping, source_damping, target_damping, max_postings, reach,
    ):  # fmt: skip
        after, near, together = sums = np.zeros((3, max([n_items, *(e[1] + 1 for e in self.log)])))
        for a, weight in zip(items.tolist(), weights.tolist(), strict=True):
            newest = list(zip(*self.postings(a), strict=True))[-max_postings:]
            for user, p in newest:
                share = weight / len(newest) ** source_damping
                history, same = self.history(user)
                time = np.cumsum(np.logical_not(same))
                for way in (range(p + 1, len(history)), range(p - 1, -1, -1)):
                    for i in way[:window]:
                        if history[i] == a:
                            break
                        gap = abs(time[i] - time[p])
                        value = share * gap_decay ** (gap - 1) if gap else share
                        near[history[i]] += value
                        after[history[i]] += value / 2 if gap == 0 else value if i > p else 0
                for b in history[max(0, p - reach) : p + reach + 1] if reach else []:
                    if b != a:
                        together[b] += share / len(history) ** length_damping
        counts = np.bincount([item for _, item, _ in self.log], minlength=sums.shape[1])
        return (sums / (1 + counts) ** target_damping)[:, :n_items]


def _masked(scores, mask):
    return scores if mask is None else np.where(mask, scores, 0)
