"""What can go wrong with the behavior model: few users, a full disk, a kill, damage, no PyTorch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from walks import CONFIG, N_ITEMS, ids, items, opened, walks

from pyrec import linear_model
from pyrec.doctor import examine
from pyrec.errors import StoreBusyError
from pyrec.types import Event, Item
from pyrec.workspace import lock

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # with two, small steps wait for each other on a busy machine
pytestmark = pytest.mark.model


@pytest.fixture
def path(trained_path):
    return trained_path


@pytest.fixture
def rec(path):
    with opened(path) as rec:
        yield rec


@pytest.mark.parametrize(("n_users", "n_items"), [(1, N_ITEMS), (10, N_ITEMS), (10, 3)])
def test_few_users_or_items_train_nothing_and_say_why(tmp_path, n_users, n_items):
    with opened(tmp_path / "few.db") as rec:
        rec.add_items(items(n_items))
        rng = np.random.default_rng(0)
        for n in range(n_users):
            for k in rng.integers(n_items, size=5):
                rec.feedback(f"u{n}", f"i{k}", "click")
        report = rec.train(behavior=True, config=CONFIG)
        assert report.behavior.why == "too few users"
        assert not report.behavior.used
        assert ids(rec.recommend(user="u0", include_seen=True))


def test_three_items_and_many_users_train(tmp_path):
    with opened(tmp_path / "three.db") as rec:
        rec.add_items(items(3))
        rec.add_events(
            Event(f"u{n}", f"i{k}", "click", None, 1e6 + 10 * n + k)
            for n in range(100)
            for k in range(3)
        )
        report = rec.train(behavior=True, config=CONFIG)
        assert report.behavior.used
        assert report.behavior.after == 1.0
        assert set(ids(rec.recommend(history=["i0"]))) == {"i1", "i2"}


def test_without_torch_it_says_what_to_install_and_the_model_before_answers(path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import pyrec\n"
        f"rec = pyrec.open({str(path)!r}, text_model=None, embedding_model=None)\n"
        "try: rec.train(behavior=True)\n"
        "except pyrec.errors.ModelError as error: print(error)\n"
        "rec.use_theta({'behavior': [0.0, 1.0]})\n"
        "print(rec.recommend(history=['i0', 'i1'])[0].reasons[0].signal)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'pyrec[train]'" in done.stdout
    assert done.stdout.splitlines()[-1] == "behavior"


def test_a_damaged_model_is_told_and_the_others_answer(rec):
    packed = rec.store.derived("behavior")[1]
    with rec.store.transact() as db:
        db.execute("UPDATE derived SET data = ? WHERE name = 'behavior'", [packed[:-10]])
    with opened(rec.store.path) as again:
        slate = again.recommend(history=["i0", "i1"])
        assert ids(slate)
        assert any("damaged" in step and "train it again" in step for step in slate.path)
        assert "damaged" in again.evaluate().settings["behavior model"]
        found = {finding.name: finding for finding in examine(Path(again.store.path))}
        assert found["behavior model"].state == "broken"
        report = again.train(config=CONFIG)  # the others are trained, without it
        assert report.used
        assert "damaged" in report.behavior.why
        assert again.train(behavior=True, config=CONFIG).behavior.used
        assert not any("damaged" in s for s in again.recommend(history=["i0"]).path)


def test_two_trainings_at_once_do_not_meet(rec, path):
    with open(path.with_name("shop.db-behavior"), "a+b") as held:
        assert lock(held)
        with pytest.raises(StoreBusyError, match="another process trains"):
            rec.train(behavior=True, config=CONFIG)
    assert rec.train(behavior="update", config=CONFIG).behavior.why


def test_a_kill_after_all_was_kept_trains_what_came_since(rec, path, monkeypatch):
    with rec.store.transact() as db:
        db.execute("DELETE FROM derived WHERE name = 'behavior'")  # or the new one may be no better
    rec.add_events(walks([f"v{n}" for n in range(30)], np.random.default_rng(5), at=3e6))
    monkeypatch.setattr("pyrec.training_files.TrainingFiles.done", lambda self: None)
    before = rec.train(behavior=True, config=CONFIG).behavior
    monkeypatch.undo()
    assert path.with_name("shop.db-behavior-first").exists()
    rec.add_events(walks([f"w{n}" for n in range(10)], np.random.default_rng(5), at=3e6))
    after = rec.train(behavior=True, config=CONFIG).behavior
    assert not path.with_name("shop.db-behavior-first").exists()
    assert 50 <= after.n_events - before.n_events <= 60  # less the answers of who judges


def test_a_model_of_another_database_says_nothing_of_items_it_does_not_know(rec, tmp_path):
    packed = rec.store.derived("behavior")[1]
    with opened(tmp_path / "other.db") as other:
        other.add_items(Item(f"o{n}", f"other {n}") for n in range(20))
        other.add_events(
            Event(f"u{n}", f"o{k}", "click", None, 1e6 + n + k / 10)
            for n in range(30)
            for k in (1, 2)
        )
        nothing = linear_model.fit(np.zeros(1, np.int64), np.empty(0, np.int32), 0)
        other.learned.keep({}, nothing, [])
        with other.store.transact() as db:
            db.execute("INSERT INTO derived VALUES ('behavior', 1, ?)", [packed])
        other.use_theta({**other.theta, "behavior": [0.0, 5.0]})
        slate = other.recommend(history=["o1"])
        assert "o2" in ids(slate)
        assert not any(r.signal == "behavior" for s in slate for r in s.reasons)


TRAIN = """
import sys, torch, pyrec
torch.set_num_threads(1)
import pyrec.behavior.fit
pyrec.behavior.fit.CHECKPOINT_S = 0.2
from tests.walks import CONFIG, opened
rec = opened(sys.argv[1])
rec.train(behavior=True, config=CONFIG, progress=lambda what, share: print(what, share, flush=True))
"""


def test_a_training_that_was_killed_leaves_all_as_it_was_and_goes_on(rec, path):
    rec.add_events(walks([f"v{n}" for n in range(100)], np.random.default_rng(5), at=3e6))
    before, theta = rec.learned.behavior(), rec.theta
    root = Path(__file__).parents[1]
    worker = subprocess.Popen(
        [sys.executable, "-c", TRAIN, path], stdout=subprocess.PIPE, text=True, cwd=root
    )
    kept = path.with_name("shop.db-behavior-first")
    deadline = time.monotonic() + 60
    while not kept.exists() and time.monotonic() < deadline:
        worker.stdout.readline()
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert kept.exists()
    with opened(path) as again:
        assert again.learned.behavior().body == before.body
        assert again.theta == theta
        shares = []
        again.feedback("somebody", "i1", "click")  # life goes on meanwhile
        report = again.train(
            behavior=True,
            config=CONFIG,
            progress=lambda what, share: shares.append(share) if "from histories" in what else None,
        )
        assert shares[0] > 0.02  # not from the beginning
        assert report.behavior.used
        assert again.learned.behavior().reached == 1800
    assert not kept.exists()


FULL = """
import resource, signal, sys, torch, pyrec
torch.set_num_threads(1)
import pyrec.behavior.fit
pyrec.behavior.fit.CHECKPOINT_S = 0.0
from tests.walks import CONFIG, opened
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
rec = opened(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    rec.train(behavior=True, config=CONFIG)
except pyrec.errors.StoreError as error:
    print(error)
"""


def test_a_full_disk_is_told_and_the_model_before_answers(rec, path):
    before = rec.learned.behavior()
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, cwd=root, check=True
    )
    assert "make room" in done.stdout
    assert not path.with_name("shop.db-behavior-first").exists()
    with opened(path) as again:
        assert again.learned.behavior().body == before.body


def test_a_wrong_wish_is_refused(rec):
    with pytest.raises(ValueError, match="behavior is 'yes'"):
        rec.train(behavior="yes")
