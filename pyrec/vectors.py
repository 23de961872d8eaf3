"""Item vectors in the store: one int8 row an item and model, computed once per text.

Those of an embedding model say what an item means, those of a text model what it would write of it
(`indexing.py`).

`pyrec index` fills them in batches that commit as they go, so it can be stopped and resumed.
A vector is stale when its item changed since; it is computed again only if its text did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrec.catalog import Catalog
from pyrec.rows import digest_text
from pyrec.store import Store
from pyrec.text import term_hash
from pyrec.types import Item

F32 = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], F32]

BATCH = 64


@dataclass(frozen=True)
class VectorRows:
    """Vectors of some items: item_idx (n,) int32, rows (n, dim) int8, scales (n,) float32."""

    item_idx: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int8]
    scales: F32


def quantize(vectors: F32) -> tuple[npt.NDArray[np.int8], F32]:
    """Turn (n, dim) float32 rows into int8 rows and a scale each, so that row * scale ~ vector."""
    scales = np.abs(vectors).max(axis=1) / 127.0
    safe = np.maximum(scales, 1e-12)[:, None]
    return np.rint(vectors / safe).astype(np.int8), scales.astype(np.float32)


NOTHING = VectorRows(np.empty(0, np.int32), np.empty((0, 0), np.int8), np.empty(0, np.float32))


class Vectors:
    """The vectors of one model in a store.

    Args:
        store: where they are kept.
        catalog: the items.
        model: the name that they are kept by.
        text_of: what the model is to read of an item.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        model: str,
        text_of: Callable[[Item], str] = digest_text,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._text_of = text_of
        self.model = model
        self._fact = f"vectors_version:{model}"

    @property
    def version(self) -> int:
        """A number that grows whenever vectors are stored; counting them would take longer."""
        sql = "select value from facts where name = ?"
        row = self._store.db.execute(sql, [self._fact]).fetchone()
        return int(row[0]) if row else 0

    def count(self) -> int:
        """Count the vectors stored, stale ones included."""
        sql = "select count(*) from vectors where model = ?"
        return int(self._store.db.execute(sql, [self.model]).fetchone()[0])

    def n_missing(self) -> int:
        """Count the items without a current vector."""
        row = self._store.db.execute(f"select count(*) {_MISSING}", [self.model]).fetchone()
        return int(row[0])

    def load(self) -> VectorRows:
        """Read all vectors, stale ones included: an old vector beats none."""
        rows = self._store.db.execute(
            "select item_idx, vector, scale from vectors where model = ? order by item_idx",
            [self.model],
        ).fetchall()
        if not rows:
            return NOTHING
        data = np.frombuffer(b"".join(r[1] for r in rows), np.int8).reshape(len(rows), -1)
        idx = np.array([r[0] for r in rows], np.int32)
        return VectorRows(idx, data, np.array([r[2] for r in rows], np.float32))

    def compute(self, embed: Embed) -> Iterator[int]:
        """Compute what is missing, in batches; each is stored before its number is yielded.

        Args:
            embed: texts to (n, dim) float32 vectors.

        Yields:
            The number of items done with each batch.
        """
        while True:
            rows = self._store.db.execute(
                f"select i.item_idx, v.digest {_MISSING} order by i.item_idx limit {BATCH}",
                [self.model],
            ).fetchall()
            if not rows:
                return
            version = self._catalog.version
            items = self._catalog.items(np.array([r[0] for r in rows], np.int32))
            texts = [self._text_of(item) for item in items]
            digests = [str(term_hash(text)) for text in texts]
            new = [n for n, row in enumerate(rows) if row[1] != digests[n]]
            vectors, scales = quantize(embed([texts[n] for n in new])) if new else (None, None)
            with self._store.transact() as db:
                db.execute(
                    "insert into facts values (?, 1)"
                    " on conflict (name) do update set value = value + 1",
                    [self._fact],
                )
                for place, n in enumerate(new):
                    assert vectors is not None
                    assert scales is not None
                    db.execute(
                        "insert or replace into vectors"
                        " (item_idx, model, digest, version, vector, scale)"
                        " values (?, ?, ?, ?, ?, ?)",
                        [
                            rows[n][0],
                            self.model,
                            digests[n],
                            version,
                            vectors[place].tobytes(),
                            float(scales[place]),
                        ],
                    )
                db.conn.executemany(
                    "update vectors set version = ? where item_idx = ? and model = ?",
                    [(version, row[0], self.model) for row in rows],
                )
            yield len(rows)


_MISSING = (
    "from items i left join vectors v on v.item_idx = i.item_idx and v.model = ?"
    " where v.item_idx is null or v.version < i.version"
)
