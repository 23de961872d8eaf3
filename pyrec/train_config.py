"""How to train: what `Recommender.train` takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pyrec.behavior.config import BehaviorConfig


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        n_users: how many users are asked at most; on the data sets of `bench/quality.py` twice as
            many raise nDCG@10 by less than 1%.
        min_users: with fewer, the weights that come with pyrec stay.
        min_events: what a user must have taken to be asked.
        long: where the middle one of the histories has so many events, they say who somebody is
            rather than where they are going: a random part of each is hidden, where otherwise the
            last event is.
        share: how much of long histories is hidden.
        held_out: share of the users that judge the result.
        pull: how strongly the weights stay near those that come with pyrec, in users: the squared
            distance counts as half so many users' losses, so that few users move little. Ten times
            as much costs up to 2% of nDCG@10 on the data sets of `bench/quality.py`.
        seed: who is asked.
        behavior: how the behavior model is made, where one is asked for.
    """

    n_users: int = 8000
    min_users: int = 50
    min_events: int = 3
    long: int = 20
    share: float = 0.2
    held_out: float = 0.2
    pull: float = 0.3
    seed: int = 0
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)


@dataclass(frozen=True)
class BehaviorAsked:
    """How to train the behavior model.

    Attributes:
        update: continue the one in use with what came since.
        embedding: the embedding model whose vectors are used; empty for none.
        checkpoint: where an interrupted training goes on from; None to keep nothing.
    """

    update: bool = False
    embedding: str = ""
    checkpoint: Path | None = None
