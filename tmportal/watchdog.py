"""Kills what stands still, so that the supervisor starts it again.

Time is counted in looks, each at most as long as it should be: while this process is itself held up, nobody ages.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from search import heartbeat
from search.broker import connect
from tmportal.data_dir import pid_in

SILENCE_SECONDS = 8.0
# From the start of a process to its first beat, while it computes nothing. Loading all modules takes minutes where
# others have the processors, and who is killed for that never gets up.
STARTING_SECONDS = 180.0
_LOOK_SECONDS = 1.0
_LONGEST_LOOK = 3.0


@dataclass
class _Watched:
    pid: int
    count: int = -1
    silent: float = 0.0
    used: float = 0.0


class Watchdog:
    """Watches the programs of one supervisor by their beats, and the embedded broker by whether it answers."""

    def __init__(self, run_folder: Path, supervisor: int, names: list[str], say: Callable[[str], None]) -> None:
        self._folder, self._supervisor, self._names, self._say = run_folder, supervisor, names, say
        self._watched: dict[str, _Watched] = {}
        self._looked = time.monotonic()

    def start(self) -> threading.Event:
        """Watch in a daemon thread until the returned event is set."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(_LOOK_SECONDS):
                try:
                    self.look()
                except Exception as error:  # noqa: BLE001  the next look may be better; without any nothing is watched
                    self._say(f"The watchdog could not look: {error!r}.")

        threading.Thread(target=run, name="watchdog", daemon=True).start()
        return stop

    def look(self) -> None:
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LONGEST_LOOK), now
        for name in self._names:
            pid = pid_in(self._folder / f"{name}.lock")
            if pid is None or not self._is_child(pid):
                self._watched.pop(name, None)  # it is being started
                continue
            watched = self._watched.get(name)
            if watched is None or watched.pid != pid:
                watched = self._watched[name] = _Watched(pid)
            why = self._broker(watched, passed) if name == "broker" else self._program(name, watched, passed)
            if why:
                self._say(f"{name} (process {pid}) {why}: it is killed and starts again.")
                self._watched.pop(name)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # the supervisor gives each program a group of its own

    def _is_child(self, pid: int) -> bool:
        try:
            return psutil.Process(pid).ppid() == self._supervisor
        except psutil.Error:
            return False

    def _program(self, name: str, watched: _Watched, passed: float) -> str:
        beat = heartbeat.read(name)
        if beat is None or beat.pid != watched.pid:
            used = _processor_seconds(watched.pid)
            watched.silent = watched.silent + passed if used <= watched.used else 0.0
            watched.used = used
            return "does not get through its start" if watched.silent > STARTING_SECONDS else ""
        if beat.stands:
            return "says that it stands still"
        watched.silent = watched.silent + passed if beat.count == watched.count else 0.0
        watched.count = beat.count
        return f"stood still for {watched.silent:.0f} s" if watched.silent > SILENCE_SECONDS else ""

    def _broker(self, watched: _Watched, passed: float) -> str:
        try:
            with connect() as client:
                client.ping()
            watched.silent = 0.0
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            watched.silent += passed
        except redis.RedisError:
            watched.silent = 0.0  # it answers, though it is busy loading
        return f"did not answer for {watched.silent:.0f} s" if watched.silent > SILENCE_SECONDS else ""


def _processor_seconds(pid: int) -> float:
    """That a process has used so far; 0 where it has just ended."""
    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.Error:
        return 0.0
