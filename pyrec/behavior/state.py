"""What the store keeps of a behavior model: the body, the rows, and how to make rows of new items.

Everything is in one piece, so that body and rows can never be of two trainings. Rows are int8 with
a scale each, as `dense.h` reads them.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec.behavior.config import BehaviorConfig
from pyrec.behavior.content import ContentTable
from pyrec.errors import ModelFileError
from pyrec.vectors import quantize

F32 = npt.NDArray[np.float32]
I8 = npt.NDArray[np.int8]
I64 = npt.NDArray[np.int64]

FORMAT = 1


@dataclass(frozen=True)
class BehaviorState:
    """A trained behavior model.

    Attributes:
        body: the GGUF.
        item_ids: the items it knows, tokens 0 to n_items - 1.
        actions: the tokens after them.
        rows: (n_tokens, width) int8, with `scales` (n_tokens,) float32: rows before they get
            length 1.
        bias: (n_tokens,) float32.
        table: makes rows of items that it does not know.
        embedding: the model whose vectors the table reads; empty for none.
        config: the recipe.
        reached: the newest event of the log that it was trained on, by `event_id`.
        kept_back: (n,) int64, ascending, the events up to that one that training did not see.
        steps: how many steps it was trained.
    """

    body: bytes
    item_ids: tuple[str, ...]
    actions: tuple[str, ...]
    rows: I8
    scales: F32
    bias: F32
    table: ContentTable
    embedding: str
    config: BehaviorConfig
    reached: int
    kept_back: I64
    steps: int

    @property
    def has_actions(self) -> bool:
        """Whether an action follows each item."""
        return len(self.actions) > 1

    def pack(self) -> bytes:
        """Return the whole as bytes."""
        words, scales = quantize(self.table.rows)
        facts = {
            "format": FORMAT,
            "item_ids": self.item_ids,
            "actions": self.actions,
            "table_bias": self.table.bias,
            "embedding": self.embedding,
            "config": vars(self.config),
            "reached": self.reached,
            "steps": self.steps,
        }
        packed = io.BytesIO()
        np.savez(
            packed,
            facts=np.frombuffer(json.dumps(facts).encode("utf-8"), np.uint8),
            body=np.frombuffer(self.body, np.uint8),
            rows=self.rows,
            scales=self.scales,
            bias=self.bias,
            kept_back=self.kept_back,
            word_hashes=self.table.words,
            words=words,
            word_scales=scales,
            center=self.table.center,
            projection=self.table.projection.astype(np.float16),
        )
        data = packed.getvalue()
        return hashlib.sha256(data).digest() + data

    @classmethod
    def unpack(cls, packed: bytes) -> BehaviorState:
        """Read what `pack` wrote.

        Raises:
            ModelFileError: the bytes are damaged, or of a newer pyrec.
        """
        if hashlib.sha256(packed[32:]).digest() != packed[:32]:
            raise ModelFileError(
                "the behavior model of this store is damaged; train it again with "
                "`pyrec train --behavior`"
            )
        with np.load(io.BytesIO(packed[32:]), allow_pickle=False) as data:
            facts = json.loads(bytes(data["facts"]))
            same = facts["config"].keys() == vars(BehaviorConfig()).keys()
            if facts["format"] != FORMAT or not same:
                raise ModelFileError(
                    "the behavior model of this store was trained by another version of pyrec; "
                    "update pyrec, or train it again with `pyrec train --behavior`"
                )
            table = ContentTable(
                data["word_hashes"],
                data["words"].astype(np.float32) * data["word_scales"][:, None],
                data["center"],
                data["projection"].astype(np.float32),
                facts["table_bias"],
            )
            return cls(
                data["body"].tobytes(),
                tuple(facts["item_ids"]),
                tuple(facts["actions"]),
                data["rows"],
                data["scales"],
                data["bias"],
                table,
                facts["embedding"],
                BehaviorConfig(**facts["config"]),
                facts["reached"],
                data["kept_back"],
                facts["steps"],
            )
