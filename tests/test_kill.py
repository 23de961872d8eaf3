from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kill_worker import N_ITEMS

from pyrec.catalog import Catalog
from pyrec.store import Store

N_KILLS = 100
LONGEST_S = 0.15


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_nothing_acknowledged_is_lost_and_nothing_half_imported_when_killed(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "shop.db"
    acknowledged: dict[int, str] = {}
    n_imports = 0
    generation = 0.0
    worker = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("kill_worker.py"), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        for number, delay in enumerate(rng.uniform(0, LONGEST_S, N_KILLS)):
            worker.stdin.write(f"{number} {delay}\n")
            worker.stdin.flush()
            imports, events = json.loads(worker.stdout.readline())
            n_imports += len(imports)
            acknowledged.update(events)
            left = set(os.listdir(tmp_path))
            assert left <= {"shop.db", "shop.db-wal", "shop.db-shm"}
            with Store.open(path) as store:
                assert store.check() == []
                found = Catalog(store).values("g") if Catalog(store).count else {}
                assert len(found) <= 1, "half of an import"
                if found:
                    assert [*found.values()] == [N_ITEMS]
                    assert Catalog(store).n_items == N_ITEMS
                    (newest,) = map(float, found)
                    assert newest >= max([generation, *imports])
                    generation = newest
                else:
                    assert imports == []
                rows = store.db.execute(
                    "SELECT event_id, item_id FROM events WHERE user_id = ?", [f"user {number}"]
                )
                kept = dict(rows.fetchall())
                assert dict(events).items() <= kept.items()
                # An event and what it taught are there together, or neither is.
                steps = store.db.execute(
                    "SELECT event_id, nth FROM steps WHERE user_id = ? ORDER BY event_id",
                    [f"user {number}"],
                ).fetchall()
                assert [event_id for event_id, _ in steps] == sorted(kept)
                assert [nth for _, nth in steps] == list(range(len(kept)))
        worker.stdin.close()
    assert worker.returncode == 0
    with Store.open(path) as store:
        kept = dict(store.db.execute("SELECT event_id, item_id FROM events").fetchall())
    assert acknowledged.items() <= kept.items()
    # The kills hit something: both were at work.
    assert n_imports >= N_KILLS / 2
    assert len(acknowledged) > N_KILLS / 2
