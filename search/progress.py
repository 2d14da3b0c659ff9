"""Beats of progress, not of life: what a process has open, and whether each piece of it still moves.

Whoever works opens a piece with the longest time it may take between two steps:

    with progress.work("search 7", limit=10) as piece:
        decode(...)
        piece.step()
        describe(...)

A piece opened inside another one stands for both: only the innermost of a thread is judged, and closing it is a step of
the one around it. So a wait that may honestly be long (a database that is locked) gets a limit of its own inside a
search that may not. `search.heartbeat` beats only while nothing stands still; what stops beating is killed and started
again. Times are of the monotonic clock: a clock that is set changes nothing here.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Hashable, Iterator

# Longer than any statement waits for a locked database (settings.DATABASES) and than a broker's time-outs.
DATABASE_SECONDS = 45.0


class Work:
    """One open piece of work. `step` may be called from any thread."""

    def __init__(self, what: str, limit: float) -> None:
        self.what = what
        self.limit = limit
        self.moved = time.monotonic()

    def step(self) -> None:
        self.moved = time.monotonic()

    def late(self) -> float:
        """Seconds beyond the limit; negative while it moves."""
        return time.monotonic() - self.moved - self.limit


# Innermost last; each chain belongs to one thread, or to one endless loop.
_chains: dict[Hashable, list[Work]] = {}
_lock = threading.Lock()
_serial = itertools.count()


@contextlib.contextmanager
def work(what: str, *, limit: float) -> Iterator[Work]:
    """A piece of work of this thread that moves on at least every `limit` seconds while it is open."""
    key = threading.get_ident()
    piece = Work(what, limit)
    with _lock:
        _chains.setdefault(key, []).append(piece)
    try:
        yield piece
    finally:
        with _lock:
            chain = _chains[key]
            chain.remove(piece)
            if chain:
                chain[-1].step()
            else:
                del _chains[key]


def loop(what: str, *, limit: float) -> Work:
    """An endless loop that turns at least every `limit` seconds, for as long as the process lives."""
    piece = Work(what, limit)
    with _lock:
        _chains["loop", next(_serial)] = [piece]
    return piece


def step() -> None:
    """The innermost piece of this thread has moved on; nothing where none is open."""
    chain = _chains.get(threading.get_ident())
    if chain:
        chain[-1].step()


def standing() -> str:
    """What stands still, in words; empty while everything moves."""
    with _lock:
        late = [chain[-1] for chain in _chains.values() if chain[-1].late() > 0]
    return "; ".join(f"{piece.what} has not moved on for {piece.limit + piece.late():.0f} s" for piece in late)


def excuse() -> None:
    """The process itself was stopped for a while: nothing in it could move."""
    with _lock:
        for chain in _chains.values():
            chain[-1].step()
