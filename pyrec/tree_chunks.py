"""A tree of continuations, cut into runs that a model can read at once; called by `lm.py`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pyrec.errors import ContextLengthError


def tree_chunks(
    parents: npt.NDArray[np.int32], n_sequences: int, n_tokens: int
) -> Iterator[tuple[list[int], list[tuple[list[int], int, bool]]]]:
    """Cut a tree into runs of whole paths that fit into sequences and tokens.

    A node shared by two runs is read in both, but counts as new only in the first.
    Yields nodes, and for each (paths through it, counted from 0, depth, is new).
    """
    has_child = np.zeros(len(parents), bool)
    has_child[parents[parents >= 0]] = True
    seen: set[int] = set()
    run: dict[int, tuple[list[int], int, bool]] = {}
    n_paths = 0
    for leaf in np.flatnonzero(~has_child):
        path = [int(leaf)]
        while parents[path[-1]] >= 0:
            path.append(int(parents[path[-1]]))
        if len(path) > n_tokens:
            raise ContextLengthError(f"an answer of {len(path)} tokens does not fit the context")
        added = sum(node not in run for node in path)
        if n_paths == n_sequences or len(run) + added > n_tokens:
            yield _in_order(run)
            run, n_paths = {}, 0
        for depth, node in enumerate(reversed(path)):
            if node in run:
                run[node][0].append(n_paths)
            else:
                run[node] = ([n_paths], depth, node not in seen)
                seen.add(node)
        n_paths += 1
    if run:
        yield _in_order(run)


def _in_order(
    run: dict[int, tuple[list[int], int, bool]],
) -> tuple[list[int], list[tuple[list[int], int, bool]]]:
    nodes = sorted(run)
    return nodes, [run[node] for node in nodes]
