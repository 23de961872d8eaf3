"""What is held out: by name, so that it is so in every training of a store."""

from __future__ import annotations

from pyrec.asking import is_judge

LEARN, STOP, JUDGE = 0, 1, 2


def part_of(name: str, held_out: float) -> int:
    """Say what the examples of an item, a phrase or a user are for.

    Half of what is held out tells when to stop (`STOP`), the other half judges (`JUDGE`): what
    stopped a training has had a say in it.
    """
    if not is_judge(name, held_out, salt="text "):
        return LEARN
    return STOP if is_judge(name, 0.5, salt="stop ") else JUDGE
