"""Beats of progress, not of life: what a process has open, and whether each piece of it still moves.

    with progress.work("search 7") as piece:
        ...
        piece.step()

A piece moves while it says so, and while its thread uses the processor: computing may take long, waiting may not. What
neither steps nor computes for `limit` seconds stands still, and so does what has not stepped for `most`. A piece opened
inside another one stands for both: only the innermost of a thread is judged, and closing it is a step of the one around
it. So a wait that may honestly be long and ends by itself (a locked database, a disk, another process) has a piece and
a limit of its own: a restart too many is worse than one that comes late.

`search.heartbeat` beats only while nothing stands still; what stops beating is killed and started again. Times are of
the monotonic clock: a clock that is set changes nothing here.
"""

import contextlib
import fcntl
import itertools
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import IO, Any

WAITING_SECONDS = 10.0
"""Of a wait that nothing excuses. The heart and the watchdog look once a second: another process runs within 15 s."""
MOST_SECONDS = 3600.0
DATABASE_SECONDS = 45.0
"""Longer than any statement waits for a locked database (settings.DATABASES)."""
DISK_SECONDS = 60.0
"""Until a busy disk has kept a file; a restart would not speed it up."""
BROKER_SECONDS = 20.0
"""Longer than the attempts to tell the broker something (settings.CELERY_BROKER_TRANSPORT_OPTIONS)."""
_HELD_SECONDS = 0.2
_COMPUTES = 0.002  # seconds of processor time between two looks (one a second) that are not idleness


def _processor_clock() -> Callable[[], float]:
    """The processor time of this thread, readable from any other; of the process where a system has no such clock."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    clock = time.pthread_getcpuclockid(threading.get_ident())

    def read() -> float:
        try:
            return time.clock_gettime(clock)
        except OSError:  # the thread has ended
            return 0.0

    return read


class Work:
    """One open piece of work. `step` may be called from any thread."""

    def __init__(self, what: str, *, limit: float, most: float, used: Callable[[], float] | None) -> None:
        self.what, self.limit, self.most = what, limit, most
        self._used = used
        self.step()

    def step(self) -> None:
        self._stepped = self._moved = time.monotonic()
        # Read by whoever looks, and not here: a step is taken at every statement of the database.
        self._last: float | None = None

    def stands(self) -> float:
        """Seconds that it has stood still beyond what it may; 0 while it moves."""
        now = time.monotonic()
        if self._used is not None:
            used, last = self._used(), self._last
            if last is None:
                self._last = used
            elif used - last >= _COMPUTES:
                self._moved, self._last = now, used
        if now - self._moved > self.limit:
            return now - self._moved
        return now - self._stepped if now - self._stepped > self.most else 0.0


# Innermost last; each chain belongs to one thread, or to one endless loop.
_chains: dict[Hashable, list[Work]] = {}
_serial = itertools.count()


@contextlib.contextmanager
def work(what: str, *, limit: float = WAITING_SECONDS, most: float = MOST_SECONDS) -> Iterator[Work]:
    """A piece of work of this thread for as long as the block lasts; limits in seconds."""
    key = threading.get_ident()
    piece = Work(what, limit=limit, most=most, used=_processor_clock())
    chain = _chains.setdefault(key, [])
    chain.append(piece)
    try:
        yield piece
    finally:
        chain.remove(piece)
        if chain:
            chain[-1].step()
        elif _chains.get(key) is chain:
            del _chains[key]


def loop(what: str, *, limit: float = WAITING_SECONDS) -> Work:
    """An endless loop that turns at least every `limit` seconds for as long as the process lives."""
    piece = Work(what, limit=limit, most=limit, used=None)
    _chains["loop", next(_serial)] = [piece]
    return piece


def step() -> None:
    """The innermost piece of this thread has moved on; nothing where none is open."""
    chain = _chains.get(threading.get_ident())
    if chain:
        chain[-1].step()


def hold(file: IO[Any]) -> None:
    """Lock the file for as long as it is open; waiting for a process that has it is moving, however long it takes."""
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            step()
            time.sleep(_HELD_SECONDS)


def standing() -> str:
    """What stands still, in words; empty while everything moves."""
    found = [(thread, piece.what, piece.stands()) for thread, piece in _innermost()]
    return "; ".join(
        f"{what} has not moved on for {seconds:.0f} s{_place(thread)}" for thread, what, seconds in found if seconds
    )


def _place(thread: Hashable) -> str:
    """Where a thread is, innermost last; nothing of a loop."""
    frame = sys._current_frames().get(thread) if isinstance(thread, int) else None
    calls = [f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in traceback.extract_stack(frame, 8)]
    return f" ({', '.join(calls)})" if frame else ""


def excuse() -> None:
    """The process itself was stopped for a while: nothing in it could move."""
    for _, piece in _innermost():
        piece.step()


def _innermost() -> list[tuple[Hashable, Work]]:
    """Of every chain, with its thread. Without a lock, for which all threads would queue at every statement of the
    database: a chain is changed by its own thread alone, and the interpreter copies the list of them in one go."""
    return [(thread, piece) for thread in list(_chains) for piece in _chains.get(thread, [])[-1:]]
