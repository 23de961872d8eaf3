from __future__ import annotations

import subprocess
import sys

import pytest

from pyrec.workspace import workspace

ABANDON = """
import os, sys
from pathlib import Path
from pyrec.workspace import workspace
with workspace(Path(sys.argv[1])) as work:
    (work / "half").write_bytes(b"made")
    print(work, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), 9)
    sys.stdin.read()
"""


def start(folder, how):
    return subprocess.Popen(
        [sys.executable, "-c", ABANDON, str(folder), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_nothing_is_left_after_work_that_succeeds_or_fails(tmp_path):
    with workspace(tmp_path) as work:
        (work / "half").write_bytes(b"made")
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path) as work:
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_folder_of_a_killed_process_is_removed_by_the_next(tmp_path):
    with start(tmp_path, "die") as process:
        process.communicate()
    assert len(list(tmp_path.iterdir())) == 1
    with workspace(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_folder_of_a_living_process_is_left_alone(tmp_path):
    with start(tmp_path, "wait") as process:
        place = process.stdout.readline().strip()
        with workspace(tmp_path):
            assert (tmp_path / place / "half").exists()
        process.communicate()
    assert list(tmp_path.iterdir()) == []
