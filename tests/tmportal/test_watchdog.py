"""What the watchdog kills, and what it lets be. The processes are real, the seconds are not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from search import heartbeat
from tests.steps import SteppedClock
from tmportal.supervision import PROGRAM
from tmportal.watchdog import SILENCE_SECONDS, STARTING_SECONDS, Watchdog

SLEEPING = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: sum(range(4_000_000)))
print(1, flush=True)
time.sleep(60)
"""


class Watched:
    """A program of a supervisor that is this process; it beats when the test says so."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "run"
        self.folder.mkdir()
        sleeping = [sys.executable, "-c", SLEEPING]
        command = [sys.executable, "-I", "-S", str(PROGRAM), "web", str(self.folder), *sleeping]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert self.process.stdout and self.process.stdout.readline() == b"1\n"
        self.clock = SteppedClock(monkeypatch)
        self.said: list[str] = []
        self.dog = Watchdog(self.folder, os.getpid(), ["web"], self.said.append)
        self.beats = 0

    def beat(self, *, stands: bool = False) -> None:
        self.beats += not stands
        data = heartbeat._BEAT.pack(self.process.pid, self.beats, stands)
        (self.folder / "web.beat").write_bytes(data)

    def compute(self) -> None:
        """Have it use the processor for a moment."""
        process = psutil.Process(self.process.pid)
        before = sum(process.cpu_times()[:2])
        self.process.send_signal(signal.SIGUSR1)
        while sum(process.cpu_times()[:2]) == before:
            time.sleep(0.01)

    def look(self, after: float = 1.0) -> bool:
        """Whether the program lives on after a look."""
        self.clock.now += after
        self.dog.look()
        if not self.said:
            return self.process.poll() is None
        self.process.wait()
        return False


@pytest.fixture
def web(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    settings.TM_DATA_DIR = tmp_path
    watched = Watched(tmp_path, monkeypatch)
    yield watched
    watched.process.kill()
    watched.process.wait()


def test_what_beats_lives_and_what_stops_beating_is_killed(web: Watched) -> None:
    for _ in range(60):
        web.beat()
        assert web.look()
    looks = 0
    while web.look():
        looks += 1
    assert SILENCE_SECONDS - 1 <= looks <= SILENCE_SECONDS + 1
    assert web.process.returncode == -signal.SIGKILL
    assert f"web (process {web.process.pid})" in web.said[0]


def test_what_says_that_it_stands_still_is_killed_at_once(web: Watched) -> None:
    web.beat()
    assert web.look()
    web.beat(stands=True)
    assert not web.look()


def test_a_start_may_take_minutes_and_not_for_ever(web: Watched) -> None:
    for _ in range(int(STARTING_SECONDS) - 1):
        assert web.look()
    assert not all(web.look() for _ in range(3))


def test_a_start_that_computes_is_let_be_however_long_it_takes(web: Watched) -> None:
    """On a machine whose processors are taken it would be killed again and again, and never get up."""
    for _ in range(3):
        assert all(web.look() for _ in range(int(STARTING_SECONDS) - 10))
        web.compute()


def test_a_watchdog_that_was_held_up_blames_nobody(web: Watched) -> None:
    web.beat()
    assert web.look()
    assert web.look(after=3600)
    web.beat()
    assert web.look()


def test_a_process_of_somebody_else_is_left_alone(web: Watched) -> None:
    web.dog = Watchdog(web.folder, 1, ["web"], web.said.append)
    for _ in range(300):
        assert web.look()
