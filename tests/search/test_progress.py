"""Beats of progress: what waits too long stands still, what computes or steps does not."""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import connection
from django.db.backends.sqlite3.base import DatabaseWrapper

from search import heartbeat
from search.retrieval import integrity, progress
from search.retrieval.describe import Describer
from tests.steps import SteppedClock


@pytest.fixture(autouse=True)
def nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops of other tests' processes do not stand still in these."""
    monkeypatch.setattr(progress, "_chains", {})


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_piece_that_waits_beyond_its_limit_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock(monkeypatch)
    with progress.work("a search", limit=10) as piece:
        clock.now += 9
        assert not progress.standing()
        piece.step()
        clock.now += 9
        assert not progress.standing()
        clock.now += 2
        assert progress.standing().startswith("a search has not moved on for 11 s (")
        assert "test_progress.py" in progress.standing()
    assert not progress.standing()


def test_computing_is_moving_until_the_longest_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock(monkeypatch)
    with progress.work("a tuning run", limit=10, most=60):
        for _ in range(5):
            clock.now += 9
            burn(0.01)
            assert not progress.standing()
        clock.now += 16
        burn(0.01)
        assert "a tuning run" in progress.standing()


def test_only_the_innermost_of_a_thread_is_judged_and_closing_it_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock(monkeypatch)
    with progress.work("a search", limit=10):
        with progress.work("a statement of the database", limit=45):
            clock.now += 30
            assert not progress.standing()
        clock.now += 9
        assert not progress.standing()
        clock.now += 2
        assert "a search" in progress.standing()


def test_a_thread_that_hangs_is_seen_from_another() -> None:
    entered, release = threading.Event(), threading.Event()

    def hang() -> None:
        with progress.work("a hung task", limit=0.2):
            entered.set()
            release.wait(30)

    thread = threading.Thread(target=hang)
    thread.start()
    try:
        entered.wait(5)
        assert not progress.standing()
        time.sleep(0.5)
        assert "a hung task" in progress.standing()
    finally:
        release.set()
        thread.join()
    assert not progress.standing()


def test_a_loop_has_to_turn_and_a_stopped_process_is_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock(monkeypatch)
    monkeypatch.setattr(progress, "_chains", {})
    turns = progress.loop("a loop", limit=10)
    clock.now += 11
    burn(0.01)
    assert "a loop" in progress.standing()
    progress.excuse()
    assert not progress.standing()
    clock.now += 11
    turns.step()
    assert not progress.standing()


class Keys:
    """A broker's keys, and none of its clocks."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def __enter__(self) -> "Keys":
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def scan_iter(self, pattern: str, count: int) -> list[bytes]:
        return list(self.kept)

    def mget(self, keys: list[str]) -> list[bytes | None]:
        return [self.kept.get(key.encode()) for key in keys]

    def beat(self, who: str, beats: int) -> None:
        self.kept[f"tmportal:alive:search-worker:{who}".encode()] = b'{"snapshot": "s1", "beats": %d}' % beats


def test_who_is_alive_is_told_by_counters_that_move_and_by_no_clock_of_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, keys = SteppedClock(monkeypatch), Keys()
    monkeypatch.setattr(heartbeat, "connect", lambda: keys)
    monkeypatch.setattr(heartbeat, "_beats", heartbeat.Watch())
    monkeypatch.setattr(heartbeat, "_told", {})
    keys.beat("dead", 7)  # its key never expires: the clock was set back
    for beats in range(1, 11):
        keys.beat("busy", beats)
        living = heartbeat.alive()
        clock.now += 1
    assert living["busy"] == {"snapshot": "s1"}
    assert set(heartbeat.alive()) == {"busy"}
    assert heartbeat.alive("tuning-worker") == {}
    keys.kept.clear()  # all keys expire at once: the clock was set ahead
    assert set(heartbeat.alive()) == {"busy"}
    clock.now += 9
    assert heartbeat.alive() == {}


def test_a_process_beats_in_its_file_while_nothing_stands_and_says_when_something_does(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any
) -> None:
    settings.TM_DATA_DIR = tmp_path
    monkeypatch.setenv("TM_ROLE", "search-worker")
    monkeypatch.setattr(progress, "_chains", {})

    def away() -> redis.Redis:
        return redis.Redis(unix_socket_path=str(tmp_path / "none.sock"))

    monkeypatch.setattr(heartbeat, "connect", away)
    calls: list[int] = []
    heart = heartbeat._Heart(dict, lambda: calls.append(1))
    heart.beat()
    heart.beat()
    first = heartbeat.read("search-worker")
    assert first and first.count == 2 and not first.stands and len(calls) == 2
    with progress.work("a hung task", limit=0.05):
        time.sleep(0.2)
        heart.beat()
    assert heartbeat.read("search-worker") == heartbeat.Beat(first.pid, 2, stands=True)
    heart.beat()
    assert heartbeat.read("search-worker") == heartbeat.Beat(first.pid, 3, stands=False)


@pytest.mark.django_db(transaction=True)
def test_a_statement_may_wait_for_a_locked_database_longer_than_its_task(tmp_path: Any) -> None:
    path = tmp_path / "a.sqlite3"
    options = {**connection.settings_dict, "NAME": path, "OPTIONS": {"timeout": 20}}
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("CREATE TABLE t (x)")
    busy.execute("BEGIN IMMEDIATE")
    failed: list[Exception] = []

    def task() -> None:
        mine = DatabaseWrapper(options)
        heartbeat._let_statements_wait(mine)
        heartbeat._let_statements_wait(mine)  # opened again
        try:
            with progress.work("a task", limit=0.2), mine.cursor() as cursor:
                assert len(mine.execute_wrappers) == 1
                cursor.execute("INSERT INTO t VALUES (1)")
        except Exception as error:  # noqa: BLE001  the thread's errors are the test's
            failed.append(error)
        finally:
            mine.close()

    thread = threading.Thread(target=task)
    thread.start()
    try:
        for _ in range(8):
            time.sleep(0.1)
            assert not progress.standing()
        assert thread.is_alive(), failed
    finally:
        busy.execute("COMMIT")
        thread.join()
        busy.close()
    assert failed == []


def test_every_task_is_a_piece_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from search import worker
    from search.tasks import publish_snapshot

    clock = SteppedClock(monkeypatch)
    monkeypatch.setenv("TM_ROLE", "search-worker")
    worker._open(task_id="1", task=publish_snapshot)
    clock.now += 11
    assert "publish_snapshot" in progress.standing()
    worker._shut(task_id="1")
    assert not progress.standing()


def test_who_waits_for_another_process_moves_and_gets_its_turn(tmp_path: Path) -> None:
    """However long the other one builds."""
    path = tmp_path / "lock"
    with path.open("w") as theirs:
        progress.hold(theirs)
        gone: list[float] = []

        def wait() -> None:
            with progress.work("a builder", limit=0.5), path.open("w") as ours:
                progress.hold(ours)
                gone.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        for _ in range(12):
            time.sleep(0.1)
            assert not progress.standing()
        assert not gone
    thread.join(10)
    assert gone


@pytest.mark.parametrize("what", ["a batch", "the digests of files"])
def test_a_wait_for_threads_of_ones_own_moves_with_them(
    what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """This thread computes nothing meanwhile; each part of the whole stays under the limit, their sum does not."""
    clock = SteppedClock(monkeypatch)
    stood: list[str] = []

    def part() -> None:
        clock.now += 6
        stood.append(progress.standing())

    with progress.work(what):
        if what == "a batch":
            describer = object.__new__(Describer)
            describer._threads, describer._pool = 2, ThreadPoolExecutor(1)
            describer.components = {}
            whole = SimpleNamespace(general=SimpleNamespace(name="general"), companions=())
            whole.describe = lambda chunk: (part(), {"general": list(chunk)})[1]
            describer._whole_pass = whole
            for _ in range(4):
                assert describer._columns([1])["general"] == [1]
        else:
            monkeypatch.setattr(integrity, "_THREADS", 1)
            path = tmp_path / "file"
            path.write_bytes(bytes(4 * integrity._BLOCK))
            stamps = {"file": integrity.stamp(path)}
            update = hashlib.sha256
            monkeypatch.setattr(integrity.hashlib, "sha256", lambda: Slow(update(), part))
            integrity.check(tmp_path, stamps)
    assert len(stood) == 4 and not any(stood)


class Slow:
    """A digest of which each block takes its time."""

    def __init__(self, digest: Any, part: Callable[[], None]) -> None:
        self.digest, self.part = digest, part

    def update(self, block: Any) -> None:
        self.part()
        self.digest.update(block)

    def hexdigest(self) -> str:
        return str(self.digest.hexdigest())
