from __future__ import annotations

import pytest

from pyrec.cli import progress
from pyrec.cli.progress import Progress, duration, megabytes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_step_is_told_when_it_begins_and_then_now_and_then(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as meter:
        for second in range(25):
            clock[0] = 100.0 + second
            meter.update("vectors", 10.0 * second, 1000.0)
        meter.update("phrases", 0, 0)
    assert capsys.readouterr().err.splitlines() == [
        "vectors    0%  0 of 1,000",
        "vectors   10%  2 min left  100 of 1,000",
        "vectors   20%  1 min left  200 of 1,000",
        "phrases ...",
    ]


def test_a_terminal_shows_one_line_that_is_taken_away(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with Progress(megabytes) as meter:
        meter.update("copying", 0, 2e6)
        clock[0] += 1
        meter.update("copying", 1e6, 2e6)
        meter.say("row 3 is bad")
    said = capsys.readouterr().err
    assert "copying  [########        ]   50%  1.0 MB of 2.0 MB" in said
    assert said.endswith("\r\x1b[Krow 3 is bad\n")


def test_time_left_counts_from_where_the_step_began(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as meter:
        meter.update("vectors", 900, 1000)
        clock[0] += 20
        meter.update("vectors", 950, 1000)
    assert "20 s left" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "told"), [(5, "5 s"), (90, "2 min"), (5400, "1.5 h")])
def test_durations_are_written_as_people_say_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told
