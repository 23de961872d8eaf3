"""Starts an importer and a taker of feedback on a store, and kills both after a moment.

`test_kill.py` runs this once and sends a line for each round: the number of the round and the
seconds until the kill. In every other round those begin after the first import, so that on a busy
machine too not all kills hit processes that have done nothing yet. Forking from here saves a
hundred starts of Python.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np

from pyrec.catalog import Catalog
from pyrec.events import EventLog
from pyrec.mixer import Choice
from pyrec.steps import Steps
from pyrec.store import Store
from pyrec.types import Event, Item

N_ITEMS = 200
Acknowledge = Callable[[object], None]


def import_generations(path: str, number: int, acknowledge: Acknowledge) -> None:
    """Replace the whole catalog again and again; an item says which import it came with."""
    with Store.open(path) as store:
        catalog = Catalog(store)
        generation = 1000 * number
        while True:
            generation += 1
            catalog.add(
                Item(f"i{n}", f"Item {n} of {generation}", attributes={"g": float(generation)})
                for n in range(N_ITEMS)
            )
            acknowledge(generation)


def take_feedback(path: str, number: int, acknowledge: Acknowledge) -> None:
    """Log events, each with a step of theta in its transaction."""
    choice = Choice(("after",), np.eye(2, 4, dtype=np.float32), 0, own=True)
    with Store.open(path) as store:
        log, steps = EventLog(store), Steps(store)
        n = 0
        while True:
            n += 1
            with store.transact():
                event = log.append(Event(f"user {number}", f"{number}-{n}", "like"))
                steps.take(event.event_id, event.user_id, 0, None, [choice], {})
            acknowledge([event.event_id, event.item_id])
            time.sleep(0.005)  # else the importer hardly ever finds the store free


def start(
    work: Callable[[str, int, Acknowledge], None], path: str, number: int
) -> tuple[int, TextIO]:
    """Fork a process that works until it is killed; return its id and what it acknowledges."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, os.fdopen(reading)
    try:
        work(path, number, lambda done: os.write(writing, f"{json.dumps(done)}\n".encode()))
    finally:
        os._exit(1)  # not reached alive: the work has no end


def main() -> None:
    path = sys.argv[1]
    for line in sys.stdin:
        number, delay = line.split()
        started = [start(work, path, int(number)) for work in (import_generations, take_feedback)]
        first = started[0][1].readline() if int(number) % 2 else ""
        time.sleep(float(delay))
        acknowledged = []
        for process, _ in started:
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL, "it ended before it was killed"
        for (_, lines), early in zip(started, (first, ""), strict=True):
            with lines:
                acknowledged.append([json.loads(done) for done in [early, *lines] if done])
        print(json.dumps(acknowledged), flush=True)


if __name__ == "__main__":
    main()
