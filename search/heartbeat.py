"""What shows that a process gets on: a counter in a file for the watchdog beside it, and in the broker for everyone.

It counts on only while nothing in the process stands still (search.retrieval.progress). Nobody compares clocks: whoever
watches looks for how long, by its own monotonic clock, a counter has not changed. So a clock that is set neither kills
the living nor keeps the dead alive, although the broker forgets keys by the clock of its machine.
"""

import atexit
import contextlib
import json
import logging
import mmap
import os
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db.backends.signals import connection_created

from search.broker import connect
from search.retrieval import progress

log = logging.getLogger(__name__)

SEARCH_WORKER = "search-worker"
_PREFIX = "tmportal:alive:"
_TTL_SECONDS = 10  # only sweeps up after processes that never come back; the counter says who lives
_SILENCE_SECONDS = 8.0
_INTERVAL_SECONDS = 1.0
_PAUSE_SECONDS = 5.0  # between two beats: the process itself was stopped
# Not the pid alone: a new container may well get the pid of the one that died.
WORKER = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"

_BEAT = struct.Struct("<QQQ")  # pid, beats, 1 where something stands still


@dataclass(frozen=True)
class Beat:
    pid: int
    count: int
    stands: bool


def role() -> str:
    """Which program of the service this process is; empty for a command."""
    return os.environ.get("TM_ROLE", "")


def beat_file(name: str) -> Path:
    return Path(settings.TM_DATA_DIR) / "run" / f"{name}.beat"


def read(name: str) -> Beat | None:
    """The last beat of a program on this machine; None when it never had one."""
    try:
        pid, count, stands = _BEAT.unpack(beat_file(name).read_bytes()[: _BEAT.size])
    except (OSError, struct.error):
        return None
    return Beat(pid, count, bool(stands))


class Watch:
    """For how long, by this process's own clock, values have not changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Hashable, tuple[Any, float]] = {}

    def still(self, key: Hashable, value: Any) -> float:
        """Seconds since this value was first seen; 0 for a new one."""
        now = time.monotonic()
        with self._lock:
            known = self._seen.get(key)
            if known is None or known[0] != value:
                self._seen[key] = (value, now)
                return 0.0
            return now - known[1]

    def values(self) -> dict[Hashable, tuple[Any, float]]:
        """Every value, and the seconds since it was first seen."""
        now = time.monotonic()
        with self._lock:
            return {key: (value, now - since) for key, (value, since) in self._seen.items()}

    def forget(self, keys: Iterable[Hashable]) -> None:
        with self._lock:
            for key in keys:
                self._seen.pop(key, None)


_beats = Watch()
_told: dict[str, dict[str, Any]] = {}


def alive(role: str = SEARCH_WORKER) -> dict[str, dict[str, Any]]:
    """Live processes of a role, on any machine, and what they say of themselves.

    Roles are the names of the programs that beat: "search-worker", "tuning-worker", "beat", "web".
    Raises redis.RedisError when the broker does not answer.
    """
    with connect() as client:
        keys = [key.decode() for key in client.scan_iter(f"{_PREFIX}*", count=1000)]
        values = client.mget(keys) if keys else []
    for key, value in zip(keys, values, strict=True):
        if value:
            _told[key] = json.loads(value)
            _beats.still(key, _told[key].pop("beats"))
    # One that is seen for the first time counts as alive, and so does a key that the broker has just forgotten.
    living = {str(key) for key, (_, seconds) in _beats.values().items() if seconds < _SILENCE_SECONDS}
    gone = set(_told) - living - set(keys)
    _beats.forget(gone)
    for key in gone:
        _told.pop(key, None)
    prefix = f"{_PREFIX}{role}:"
    return {key.removeprefix(prefix): dict(_told[key]) for key in living if key.startswith(prefix) and key in _told}


class _File:
    """The counter in a mapped file: a beat needs no room on the disk and cannot wait for it."""

    def __init__(self, name: str) -> None:
        path = beat_file(name)
        if not path.is_file() or path.stat().st_size < _BEAT.size:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(_BEAT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _BEAT.size)

    def write(self, count: int, *, stands: bool) -> None:
        self._map[:] = _BEAT.pack(os.getpid(), count, stands)


def _leave() -> None:
    """Only the libraries are left; taking them down object by object can take seconds that a stop does not have."""
    logging.shutdown()
    os._exit(0)


def _let_statements_wait(connection: Any, **_: Any) -> None:
    """A statement may honestly wait for a locked database, and a commit for the disk, whatever they are part of."""
    commit = connection._commit
    if getattr(commit, "waits", False):
        return  # the connection was opened again

    def statement(execute: Any, *arguments: Any) -> Any:
        with progress.work("a statement of the database", limit=progress.DATABASE_SECONDS):
            return execute(*arguments)

    def waiting_commit() -> Any:
        with progress.work("a commit of the database", limit=progress.DATABASE_SECONDS):
            return commit()

    waiting_commit.waits = True  # type: ignore[attr-defined]
    connection.execute_wrappers.append(statement)
    connection._commit = waiting_commit


class _Heart:
    """The beats of this process. One broken beat (no disk, no broker) does not end the next."""

    def __init__(self, status: Callable[[], dict[str, Any]], away: Callable[[], None]) -> None:
        self.key = f"{_PREFIX}{role()}:{WORKER}"
        self._status, self._away = status, away
        self._client = connect()
        self._file: _File | None = None
        self._count = 0

    def beat(self) -> None:
        standing = progress.standing()
        if standing:
            log.error("%s stands still: %s", role(), standing)
        self._count += not standing
        try:
            self._file = self._file or _File(role())
            self._file.write(self._count, stands=bool(standing))
        except OSError as error:
            log.warning("no beat in a file: %s", error)
        if standing:
            return
        try:
            self._client.set(self.key, json.dumps({**self._say(), "beats": self._count}), ex=_TTL_SECONDS)
        except (redis.RedisError, OSError):
            self._away()

    def _say(self) -> dict[str, Any]:
        try:
            return self._status()
        except Exception:
            log.exception("%s cannot say how it is", role())
            return {}

    def end(self) -> None:
        with contextlib.suppress(redis.RedisError):
            self._client.delete(self.key)


def start(status: Callable[[], dict[str, Any]] = dict, *, away: Callable[[], None] = lambda: None) -> threading.Event:
    """Beat for this process's role in a daemon thread until the returned event is set.

    `status` is what `alive` tells of it; `away` is called at each beat at which the broker does not answer.
    """
    connection_created.connect(_let_statements_wait, dispatch_uid="heartbeat")
    atexit.register(_leave)
    stop = threading.Event()
    heart = _Heart(status, away)

    def run() -> None:
        last = time.monotonic()
        while True:
            if time.monotonic() - last > _PAUSE_SECONDS:
                progress.excuse()
            last = time.monotonic()
            heart.beat()
            if stop.wait(_INTERVAL_SECONDS):
                break
        heart.end()

    threading.Thread(target=run, name="heartbeat", daemon=True).start()
    return stop
