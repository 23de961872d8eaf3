"""The one recipe of an adapter: how large it is, and how it is fitted."""

from __future__ import annotations

from dataclasses import dataclass

TARGETS = (
    "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down",
)  # fmt: skip


@dataclass(frozen=True)
class AdapterConfig:
    """Size and training of an adapter.

    Attributes:
        rank: of what is learned beside each matrix.
        alpha: what is learned counts alpha / rank times.
        targets: the matrices of a block that it is learned beside.
        learning_rate: of AdamW; it rises for a tenth of all steps and falls to 0 along a line.
        weight_decay: of AdamW.
        batch_tokens: tokens of a step.
        n_compared: a step compares answers with the tokens that the store's texts hold, and so many
            others, drawn at random and counted as often as they are fewer; with all where there
            are not many more. With all of 262,144 a step takes twice as long.
        epochs: how often all examples are read.
        max_steps: how many steps there are at most.
        n_validations: how often training asks whether it still gets better.
        patience: validations without a better one before it ends early.
        n_judged: held-out answers of a kind that tell when to stop, and so many others that tell
            whether the adapter is kept.
        held_out: share of items, phrases and users that are held out.
        minutes: training ends after so many at the next step, and what was best until then stays.
        seed: of everything random.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = TARGETS
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    batch_tokens: int = 256
    n_compared: int = 16_000
    epochs: int = 3
    max_steps: int = 3000
    n_validations: int = 10
    patience: int = 3
    n_judged: int = 150
    held_out: float = 0.1
    minutes: float = 60.0
    seed: int = 0
