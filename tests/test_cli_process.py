"""What only a real process shows: a terminal, pipes that close, Ctrl-C, odd encodings."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TOY_ITEMS
from model_samples import real_model

import pyrec
from pyrec.cli.width import width

PYREC = [sys.executable, "-m", "pyrec"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal or signals")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the toy catalog in the default database."""
    with pyrec.open(tmp_path / "pyrec.db") as rec:
        rec.add_items(TOY_ITEMS)
    return tmp_path


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment without models and settings of the developer's own."""
    own = ("PYREC_", "NO_COLOR", "PYTHONUNBUFFERED")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(own)}
    return clean | {"PYREC_MODELS": str(tmp_path / "models"), "PYTHONIOENCODING": "utf-8"}


class Terminal:
    """A command that runs on a terminal of 80 columns."""

    def __init__(self, arguments: list[str], folder: Path, env: dict[str, str]) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._end, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        env = {k: v for k, v in env.items() if k not in ("COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            [*PYREC, *arguments], cwd=folder, env=env | {"TERM": "xterm"},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""
        self._bytes = b""

    def wait(self, until: Callable[[str], bool] = lambda _: False, limit_s: float = 60.0) -> str:
        """Read what is shown until that holds, or until the command ends."""
        began = time.monotonic()
        while not until(self.shown) and time.monotonic() - began < limit_s:
            if not select.select([self._end], [], [], 0.1)[0]:
                continue
            try:
                read = os.read(self._end, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not read:
                break
            self._bytes += read
            self.shown = self._bytes.decode("utf-8", "ignore").replace("\r\n", "\n")
        return self.shown

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the command's end and return its exit code."""
        self.wait()
        code = self._process.wait(10)
        os.close(self._end)
        return code


def plain(shown: str) -> str:
    """Take colors away, and of each line what was overwritten."""
    return re.sub(r"\x1b\[[\d;]*m", "", re.sub(r"[^\n]*\r\x1b\[K", "", shown))


def run(
    folder: Path, env: dict[str, str], *arguments: str, **options: object
) -> subprocess.CompletedProcess[bytes]:
    command = [*PYREC, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, **options)


@posix
def test_a_terminal_shows_a_list_for_people_that_fits_it(shop: Path, env: dict[str, str]) -> None:
    terminal = Terminal(["recommend", "运动鞋", "running", "shoes", "-k", "4"], shop, env)
    assert terminal.end() == 0
    lines = plain(terminal.shown).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(" 1  "))
    assert "s3" in lines[first + 1]
    assert "score -" in lines[first + 1]
    assert "运动鞋" in lines[first + 2]
    assert all(width(line) <= 80 for line in lines)
    # Prices and scores end in the last column, whatever the script of the title.
    assert {width(line) for line in lines if "score" in line} == {80}
    assert {width(line) for line in lines if re.match(r" [1-4]  ", line)} == {80}
    assert lines[-1].endswith(" ms")


@posix
def test_a_terminal_is_told_what_to_do_next(shop: Path, env: dict[str, str]) -> None:
    terminal = Terminal(["recommend", "mouse", "--user", "anna"], shop, env)
    assert terminal.end() == 0
    assert "Say what is good: pyrec feedback anna t1 like" in plain(terminal.shown)


@posix
def test_a_table_is_cut_to_the_terminal(shop: Path, env: dict[str, str]) -> None:
    terminal = Terminal(["recommend", "鞋", "-t"], shop, env)
    assert terminal.end() == 0
    assert all(width(line) <= 80 for line in plain(terminal.shown).splitlines())


@posix
@pytest.mark.parametrize("no_color", ["", "1"])
def test_colors_go_where_no_color_says_so(shop: Path, env: dict[str, str], no_color: str) -> None:
    terminal = Terminal(["recommend", "mouse"], shop, env | {"NO_COLOR": no_color})
    assert terminal.end() == 0
    assert ("\x1b[" in terminal.shown) is not bool(no_color)


@posix
def test_ctrl_c_during_an_import_leaves_the_catalog_as_it_was(
    shop: Path, env: dict[str, str]
) -> None:
    rows = (json.dumps({"id": f"new{n}", "title": f"New Shoe {n}"}) for n in range(200_000))
    (shop / "many.jsonl").write_text("\n".join(rows))
    terminal = Terminal(["import", "many.jsonl"], shop, env)
    terminal.wait(lambda shown: "rows" in shown)
    terminal.interrupt()
    assert terminal.end() == 130
    assert "reading many.jsonl  [" in terminal.shown
    assert plain(terminal.shown).endswith("stopped; nothing was imported\n")
    with pyrec.open(shop / "pyrec.db") as rec:
        assert rec.catalog.count == len(TOY_ITEMS)


@posix
def test_ctrl_c_elsewhere_is_no_traceback(shop: Path, env: dict[str, str]) -> None:
    terminal = Terminal(["recommend", "-"], shop, env)
    terminal.wait(lambda shown: "reading the question" in shown)
    terminal.interrupt()
    assert terminal.end() == 130
    assert terminal.shown.strip().endswith("stopped")
    assert "Traceback" not in terminal.shown


@posix
def test_a_reader_that_goes_away_is_no_error_to_talk_of(shop: Path, env: dict[str, str]) -> None:
    command = [*PYREC, "recommend", "shoes", "-k", "1000"]
    with subprocess.Popen(
        command, cwd=shop, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        told = process.stderr.read().decode()
    assert process.returncode == 141
    assert "Error" not in told
    assert "Exception" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_output_is_an_error(shop: Path, env: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        command = [*PYREC, "recommend", "shoes"]
        done = subprocess.run(command, cwd=shop, env=env, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_pipe_gets_json_in_any_encoding(shop: Path, env: dict[str, str]) -> None:
    question = ["recommend", "运动鞋", "-k", "1"]
    expected = json.loads(run(shop, env, *question).stdout)
    assert expected[0]["title"].startswith("运动鞋")
    latin = run(shop, env | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "1"}, *question)
    assert json.loads(latin.stdout) == expected


def test_progress_into_a_file_is_plain_lines(tmp_path: Path, env: dict[str, str]) -> None:
    rows = "".join(f"{n},Shoe {n}\n" for n in range(1000))
    done = run(tmp_path, env, "import", "-", input=f"id,title\n{rows}".encode())
    told = done.stderr.decode().splitlines()
    assert told[0] == "reading stdin  200 rows"
    assert told[-1].startswith("imported 1,000 new")
    assert b"\x1b" not in done.stderr


def test_python_m_pyrec_is_the_same_program(tmp_path: Path, env: dict[str, str]) -> None:
    assert run(tmp_path, env, "--help").stdout.startswith(b"Usage: pyrec [OPTIONS]")


@pytest.mark.model
def test_real_models_index_a_catalog_and_answer_from_it(shop: Path, env: dict[str, str]) -> None:
    for name in ("gemma3-270m", "multilingual-e5-small"):
        real_model(name)
    env = {k: v for k, v in env.items() if k != "PYREC_MODELS"}
    if "PYREC_MODELS" in os.environ:
        env["PYREC_MODELS"] = os.environ["PYREC_MODELS"]
    told = run(shop, env, "index").stderr.decode()
    assert "ready: 12 items for multilingual-e5-small and gemma3-270m" in told
    checks = json.loads(run(shop, env, "doctor").stdout)
    found = {check["name"]: check["state"] for check in checks}
    assert (found["vectors"], found["states"]) == ("ok", "ok")
    answer = run(shop, env, "recommend", "something to cook with", "-k", "2")
    assert "k1" in [row["item_id"] for row in json.loads(answer.stdout)]
    assert b"phrases by gemma3-270m" in answer.stderr
