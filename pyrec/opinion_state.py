"""What is known of everybody's opinions: the fitted model, the scale, and how often people say yes.

`train.py` makes one and `learned.py` keeps it; the click and rating tasks read it. Before the first
training it is the state of a store without opinions, in which only what a user said counts.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pyrec import opinion_model
from pyrec.opinion_model import ItemFeatures, OpinionModel
from pyrec.opinions import YES, Opinions, Scale

I32 = npt.NDArray[np.int32]

MAX_UNRATED = 100_000
"""In larger catalogs items that nobody spoke of are not in the model: each takes 500 bytes."""


@dataclass(frozen=True)
class OpinionState:
    """One state.

    Attributes:
        model: by its own numbers of items.
        scale: of the ratings.
        yes: how often anyone says yes, above 0 and below 1.
        number_of: (n,) int32, the model's number of each row of the catalog, -1 for none.
    """

    model: OpinionModel
    scale: Scale
    yes: float
    number_of: I32

    @property
    def trained(self) -> bool:
        """Whether the model was fitted to anything."""
        return len(self.number_of) > 0

    def numbers(self, rows: I32) -> I32:
        """Return the model's numbers of rows, (n,) int32, -1 for those that it does not know."""
        inside = (rows >= 0) & (rows < len(self.number_of))
        numbers = np.full(len(rows), -1, np.int32)
        numbers[inside] = self.number_of[rows[inside]]
        return numbers

    def pack(self) -> bytes:
        """Write it for `unpack`."""
        packed = io.BytesIO()
        model = {f"model_{f.name}": getattr(self.model, f.name) for f in fields(self.model)}
        scale = np.array([self.scale.levels, self.scale.shares])
        np.savez(packed, scale=scale, yes=np.array(self.yes), number_of=self.number_of, **model)
        return packed.getvalue()

    @classmethod
    def unpack(cls, packed: bytes) -> OpinionState:
        """Read what `pack` wrote."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as data:
            model = OpinionModel(*(data[f"model_{f.name}"] for f in fields(OpinionModel)))
            levels, shares = data["scale"].tolist()
            scale = Scale(tuple(levels), tuple(shares))
            return cls(model, scale, float(data["yes"]), data["number_of"])


def fit_state(opinions: Opinions, features: ItemFeatures) -> OpinionState:
    """Fit the model to opinions."""
    n_items = len(features.ptr) - 1
    rated = np.zeros(n_items, bool)
    rated[opinions.row] = True
    kept = np.ones(n_items, bool) if n_items <= MAX_UNRATED else rated
    number_of = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    if not kept.all():
        features = _some(features, kept)
    n_users = len(opinions.user_ids)
    item = number_of[opinions.row]
    model = opinion_model.fit(
        opinions.user, item, opinions.value, n_users, int(kept.sum()), features
    )
    said_yes = float((opinions.value > YES).sum())
    yes = (said_yes + 1.0) / (len(opinions.value) + 2.0)
    return OpinionState(model, opinions.scale, yes, number_of)


@lru_cache(maxsize=1)
def empty_state() -> OpinionState:
    """Return the state of a store without opinions."""
    nothing = np.empty(0, np.int32)
    features = ItemFeatures(np.zeros(1, np.int64), nothing, np.empty(0, np.float32), 0)
    model = opinion_model.fit(nothing, nothing, np.empty(0, np.float32), 0, 0, features)
    return OpinionState(model, Scale(), 0.5, nothing)


def _some(features: ItemFeatures, kept: npt.NDArray[np.bool_]) -> ItemFeatures:
    sizes = np.diff(features.ptr)
    held = np.repeat(kept, sizes)
    ptr = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.int64)
    return ItemFeatures(ptr, features.idx[held], features.weight[held], features.n_features)
