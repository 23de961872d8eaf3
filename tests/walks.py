"""Users who walk along a ring of items: what follows is known, so a model can be told right."""

from __future__ import annotations

import pyrec
from pyrec.behavior.config import BehaviorConfig
from pyrec.train_config import TrainConfig
from pyrec.types import Event, Item

N_ITEMS = 30
COLORS = ("red", "green", "blue")
CONFIG = TrainConfig(
    behavior=BehaviorConfig(
        width=32, feed_forward=64, length=10, batch_events=256, min_steps=150, epochs=6
    )
)


def opened(path):
    return pyrec.open(path, text_model=None, embedding_model=None)


def items(n=N_ITEMS):
    """Things whose words say whose turn it is: red, green, blue, red, ..."""
    return [Item(f"i{k}", f"{COLORS[k % 3]} thing of shelf{k // 6}") for k in range(n)]


def walks(users, rng, *, kind="purchase", at=1e6):
    """Users who go along a ring of items, each from somewhere."""
    for n, user in enumerate(users):
        start = int(rng.integers(N_ITEMS))
        for step in range(6):
            item = f"i{(start + step) % N_ITEMS}"
            yield Event(user, item, kind, None, at + 100.0 * n + step)


def by_behavior_alone(rec):
    rec.use_theta({"behavior": [0.0, 1.0]})
    return rec


def ids(slate):
    return [s.item.item_id for s in slate]
