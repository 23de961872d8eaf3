"""Writes `store_v1.db.gz`: a store of today, kept so that later code must still open it.

Run from the root of the repository when a migration has been added, with the next number; files of
earlier versions are never written again.
"""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.schema import MIGRATIONS
from pyrec.store import Store
from pyrec.types import Event, Item

ITEMS = (
    Item("a", "Trail Shoes", "Grip.", 89.5, 12.0, {"color": ("red", "black"), "year": 2023.0}),
    Item("b", "运动鞋", "", 299.0, None, {"brand": "疾岚"}),
    Item("c", "Removed Later"),
)
EVENTS = (
    Event("u", "a", "click", None, 1.5, "morning"),
    Event("u", "b", "rating", 4.0, 2.5),
    Event("v", "gone", "dislike", None, 3.5),
)


def main() -> None:
    folder = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "shop.db"
        with Store.open(path) as store:
            Catalog(store).add(ITEMS)
            Catalog(store).remove(["c"])
            EventLog(store).append_many(EVENTS)
            store.keep_derived("index", 2, b"\x01\x02")
        target = folder / f"store_v{len(MIGRATIONS)}.db.gz"
        target.write_bytes(gzip.compress(path.read_bytes(), mtime=0))


if __name__ == "__main__":
    main()
