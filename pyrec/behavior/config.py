"""The one recipe of the behavior model: its size, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BehaviorConfig:
    """Size and training of the behavior model.

    What each choice was worth is told in `bench/behavior.md`.

    Attributes:
        width: of hidden states and rows.
        n_layers: blocks of attention and feed-forward.
        n_heads: of each attention.
        feed_forward: width inside a block.
        length: how many events a model sees at most.
        temperature: what a cosine of hidden state and row is multiplied by, in nats.
        smoothing: share of each answer that goes to what stands near it in other histories.
        n_neighbors: among how many items that share is divided.
        dropout: share of hidden numbers that training leaves out.
        action_weight: weight of "which action" beside "which item" in the loss.
        learning_rate: of AdamW at the start; it falls to 0 along a line.
        batch_events: events of a step.
        epochs: how often all histories are read.
        min_steps: how many steps there are at least: few histories are read more often.
        patience: validations without a better one before training ends early.
        max_full: of more items a step compares with a random part, of so many.
        n_words: words that have a vector of their own.
        seed: of everything random.
    """

    width: int = 256
    n_layers: int = 1
    n_heads: int = 1
    feed_forward: int = 512
    length: int = 50
    temperature: float = 14.0
    smoothing: float = 0.5
    n_neighbors: int = 50
    dropout: float = 0.3
    action_weight: float = 0.2
    learning_rate: float = 1e-3
    batch_events: int = 1024
    epochs: int = 12
    min_steps: int = 400
    patience: int = 3
    max_full: int = 24_000
    n_words: int = 20_000
    seed: int = 0
