"""Published figures on the data sets of `histories_data.py`, and where they stand.

They are quoted, not measured here; the protocol of each is part of its line, because seen items
kept or removed moves a figure by more than most models differ.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One row of somebody's table.

    Attributes:
        data: the data set's name in `histories_data.EVERY`.
        figures: by metric, "Recall@10", "nDCG@10" and the like.
        source: paper or repository.
        protocol: what is known of how it was measured.
    """

    data: str
    model: str
    figures: dict[str, float]
    source: str
    protocol: str


def _top(*figures: float, at: tuple[int, ...] = (10,)) -> dict[str, float]:
    names = [f"{metric}@{k}" for k in at for metric in ("Recall", "nDCG")]
    return dict(zip(names, figures, strict=True))


_TIGER = "TIGER's table (Rajput et al., NeurIPS 2023)"
_RECSYS = "blondered/transformer_benchmark (RecSys 2025)"
_FADE = "an unpublished draft of August 2026, one GPU"
_GRAM = "GRAM (ACL 2025), by a secondary source"
_MINI = "AkaliKong/MiniOneRec, 4 to 8 A100/H100"
_KEPT = "leave one out, strict, seen kept"
_REMOVED = "leave one out, strict, seen removed"
_UNKNOWN = "leave one out"
_ROWS = "rows of the test part, strict, with a fuller training part than ours"
_BOTH = (5, 10)

PUBLISHED = (
    Published("beauty", "SASRec", _top(0.0605, 0.0318), _TIGER, _KEPT),
    Published("beauty", "TIGER", _top(0.0648, 0.0384), _TIGER, _KEPT),
    Published("beauty", "SASRec, sampled softmax", _top(0.0921, 0.0531), _RECSYS, _REMOVED),
    Published("beauty", "eSASRec", _top(0.0928, 0.0523), _RECSYS, _REMOVED),
    Published("beauty", "FADE-0.6B", _top(0.1088, 0.0616), _FADE, _REMOVED),
    Published("beauty", "GRAM", _top(0.0641, 0.0451, at=(5,)), _GRAM, _UNKNOWN),
    Published("toys", "SASRec", _top(0.0675, 0.0374), _TIGER, _KEPT),
    Published("toys", "TIGER", _top(0.0712, 0.0432), _TIGER, _KEPT),
    Published("toys", "SASRec, sampled softmax", _top(0.0970, 0.0580), _RECSYS, _REMOVED),
    Published("toys", "eSASRec", _top(0.0939, 0.0538), _RECSYS, _REMOVED),
    Published("toys", "FADE-0.6B", _top(0.1273, 0.0722), _FADE, _REMOVED),
    Published("toys", "GRAM", _top(0.0718, 0.0516, at=(5,)), _GRAM, _UNKNOWN),
    Published("office", "SASRec", _top(0.0949, 0.0805, 0.1120, 0.0858, at=_BOTH), _MINI, _ROWS),
    Published("office", "TIGER", _top(0.1163, 0.0960, 0.1408, 0.1002, at=_BOTH), _MINI, _ROWS),
    Published("office", "BIGRec", _top(0.1204, 0.1017, 0.1434, 0.1091, at=_BOTH), _MINI, _ROWS),
    Published("office", "S-DPO", {"nDCG@10": 0.1255}, _MINI, _ROWS),
    Published("office", "MiniOneRec", _top(0.1420, 0.1172, 0.1634, 0.1242, at=_BOTH), _MINI, _ROWS),
    Published(
        "office",
        "MiniOneRec, reproduced in JAX",
        _top(0.1646, 0.1271),
        "a reproduction with the released weights",
        _ROWS,
    ),
)
"""Office's figures are hit rates in the source; with one answer a row that is recall."""


def published(data: str) -> list[Published]:
    """Return the rows of one data set, in the order of their nDCG@10 where they have one."""
    rows = [row for row in PUBLISHED if row.data == data]
    return sorted(rows, key=lambda row: row.figures.get("nDCG@10", 0.0))
