"""Forgetting a user: rows, what was learned from them, and the bytes on the disk.

After it, lists are those of a store that never saw the user, as far as the catalog is what it was
and others were not shown lists meanwhile: what they saw stays as they saw it. What was trained is
trained again, after what single events taught was learned again. What takes longer, the behavior
model and the adapter of the text model, goes away until it is trained again. `Recommender.forget`
calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyrec.adapter.training import alone
from pyrec.errors import StoreBusyError, StoreError
from pyrec.feedback import Feedback
from pyrec.learned import Learned
from pyrec.schema import APPLICATION_ID
from pyrec.steps import Steps
from pyrec.store import MEMORY, Store
from pyrec.training_files import remove_files

_TABLES = ("events", "said", "own_weights", "slates", "event_removals", "paused")


@dataclass(frozen=True)
class Forgotten:
    """What forgetting did.

    Attributes:
        n_events: how many events of the user there were.
        trained: whether what is learned from histories was trained anew, from what is left.
        behavior: whether a behavior model went away, as it knew the user.
        adapter: whether an adapter of the text model went away, as it may have.
        backups: other databases of pyrec's in the same folder, which may still hold the user.
    """

    n_events: int
    trained: bool
    behavior: bool
    adapter: bool
    backups: tuple[Path, ...]


def forget(
    store: Store,
    user: str,
    learned: Learned,
    steps: Steps,
    feedback: Feedback,
    train: Callable[[], object],
) -> Forgotten:
    """Forget a user; the events go in one transaction, with all weights that they taught.

    Args:
        store: whose.
        user: any id; nothing happens where it is not known.
        learned: what training left.
        steps: what single events taught.
        feedback: takes the steps of others again.
        train: trains anew.

    Raises:
        StoreBusyError: another process trains a model of this store, or still reads.
        StoreError: the file could not be written anew. In both cases call it again: what was
            forgotten stays so, and what is left to do is done.
    """
    path = None if store.path == MEMORY else Path(store.path)
    store.db.execute("PRAGMA secure_delete=ON")
    text = Path(f"{path}-text") if path is not None else None
    with alone(text), store.transact() as db:
        (n_events,) = db.execute("SELECT count(*) FROM events WHERE user_id = ?", [user]).fetchone()
        gone = {
            t: db.execute(f"DELETE FROM {t} WHERE user_id = ?", [user]).rowcount for t in _TABLES
        }
        # Only events teach, those that were taken back since included.
        known, trained = gone["events"] + gone["event_removals"] > 0, learned.version > 0
        behavior = adapter = False
        if known:
            if path is not None:
                remove_files(Path(f"{path}-behavior"))
                for rest in ("-text", "-text.new"):
                    Path(f"{path}{rest}").unlink(missing_ok=True)
            # Whoever keeps something computed from the log reads it again (`interactions.py`).
            db.execute("INSERT INTO event_removals (user_id) VALUES ('')")
            others = steps.unlearn(user)
            behavior, adapter = learned.unlearn()
            feedback.again(others)
    trains = trained and (known or learned.waits)
    if trains:
        train()
    if path is not None:
        _scrub(store)
    return Forgotten(n_events, trains, behavior, adapter, _backups(path))


def _scrub(store: Store) -> None:
    """Write the file anew, without the room that was freed, and empty the write-ahead log."""
    left = f"the user is forgotten, but their bytes may still lie in {store.path}"
    try:
        store.db.execute("VACUUM")
    except StoreBusyError:
        raise
    except StoreError as error:
        raise StoreError(f"{left} ({error}); mend that and forget the user again") from error
    busy, _, _ = store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreBusyError(
            f"{left}-wal, as another process is reading it; close that and forget the user again"
        )


def _backups(path: Path | None) -> tuple[Path, ...]:
    """Return other databases of pyrec's beside this one."""
    if path is None:
        return ()
    found = []
    for other in sorted(path.absolute().parent.iterdir()):
        if other.is_file() and not other.samefile(path) and _is_store(other):
            found.append(other)
    return tuple(found)


def _is_store(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head[:15] == b"SQLite format 3" and head[68:72] == APPLICATION_ID.to_bytes(4, "big")
