"""What does not die but stands still, crowds, or lives on: the service gets over it by itself."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.live.clock import DAY, Clock
from tests.live.service import Service
from tests.live.test_kills import QUERY, evidence_write, live_pointer, query, run_queue
from tmportal.data_dir import pid_in

pytestmark = [pytest.mark.kill]
PROGRAMS = ("search-worker", "tuning-worker", "beat", "web", "broker")


def pid(service: Service, program: str) -> int:
    """0 for an instant while it is being started."""
    return pid_in(service.data_dir / "run" / f"{program}.lock") or 0


def replaced(service: Service, program: str, stopped: int, seconds: float) -> float:
    """Seconds until another process runs in place of the stopped one."""
    began = time.monotonic()
    new = service.until(lambda: (found := pid(service, program)) != stopped and found, seconds, f"another {program}")
    assert psutil.pid_exists(new) and not psutil.pid_exists(stopped)
    return time.monotonic() - began


def timed(times: int, call: Any) -> float:
    """The median of so many calls, seconds."""
    taken = []
    for _ in range(times):
        began = time.monotonic()
        call()
        taken.append(time.monotonic() - began)
    return sorted(taken)[times // 2]


@contextmanager
def crowd(port: int, *, silent: int, dripping: int) -> Iterator[None]:
    """So many connections that say nothing, and so many that send an upload byte by byte."""
    address = ("127.0.0.1", port)
    connections = [socket.create_connection(address, timeout=30) for _ in range(silent + dripping)]
    head = b"POST /api/searches/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n"
    stop = threading.Event()

    def drip() -> None:
        for connection in connections[:dripping]:
            connection.sendall(head)
        while not stop.wait(0.2):
            for connection in connections[:dripping]:
                with suppress(OSError):  # it was closed, as it should be
                    connection.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for connection in connections:
            connection.close()


def test_silent_and_dripping_clients_hold_up_nobody(service: Service) -> None:
    token, image = service.token(), QUERY.read_bytes()

    def health() -> None:
        assert service.healthy()

    def search() -> None:
        assert service.search(token, image)["status"] == "done"

    def look() -> tuple[float, float]:
        return timed(9, health), timed(5, search)

    before = look()
    with crowd(service.port, silent=500, dripping=100):
        amid = look()
    # Within what two busy cores make of the same calls; a server that is held up answers after its time-out or never.
    assert amid[0] < 3 * before[0] + 0.2 and amid[1] < 3 * before[1] + 0.5, (before, amid)


def test_all_parts_that_freeze_at_once_are_replaced_and_the_work_goes_on(service: Service) -> None:
    token, image = service.token(), QUERY.read_bytes()
    stopped = {name: pid(service, name) for name in PROGRAMS}
    os.kill(stopped["search-worker"], signal.SIGSTOP)
    made = [service.call("POST", "/api/searches/", token=token, image=image)[1]["id"] for _ in range(3)]
    for process in stopped.values():
        os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    for name in PROGRAMS:
        replaced(service, name, stopped[name], 25 - (time.monotonic() - began))
    assert time.monotonic() - began < 20  # 15 where nothing else has the processor
    assert [service.finished(token, search, 90)["status"] for search in made] == ["done"] * 3
    service.until(service.healthy, 60, "health to return")
    said = service.output.read_text()
    assert all(f"{name} (process {process})" in said for name, process in stopped.items())


def test_a_jump_of_the_clock_ahead_and_back_stops_no_recovery(service: Service, clock: Clock | None) -> None:
    if clock is None:
        pytest.skip("there is no C compiler to make a clock that can be moved")
    image = QUERY.read_bytes()
    try:
        clock.move(40 * DAY)
        token = service.token()
        beat = pid(service, "beat")
        made = [service.call("POST", "/api/searches/", token=token, image=image)[1]["id"] for _ in range(4)]
        assert all(made)
        service.kill("search-worker")
        replaced(service, "beat", beat, 40)  # it begins anew, with times of the day that it now is
    finally:
        clock.move(0)
    token = service.token()  # one made while the clock was ahead is not valid now
    assert [service.finished(token, search, 60)["status"] for search in made] == ["done"] * 4
    service.kill("search-worker")  # dead keys of the broker and stamps of rows now lie forty days ahead
    assert service.search(token, image, 60)["status"] == "done"


def test_nothing_outlives_a_killed_supervisor(service: Service) -> None:
    assert service.process
    family = psutil.Process(service.process.pid).children(recursive=True)
    assert len(family) > len(PROGRAMS)
    os.kill(int((service.data_dir / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    assert service.process.wait(10) != 0
    service.start(120)
    assert service.search(service.token(), QUERY.read_bytes())["status"] == "done"


def test_a_supervisor_that_is_stopped_is_named_with_what_to_do(service: Service) -> None:
    def told() -> str:
        status, health = service.call("GET", "/api/health/")
        return str(health["parts"]["supervisor"]) if status == 200 else ""

    assert service.process
    service.until(lambda: told() == "ok", 60, "health")
    for process in (int((service.data_dir / "run" / "supervisord.pid").read_text()), service.process.pid):
        os.kill(process, signal.SIGSTOP)
        try:
            service.until(lambda pid=process: f"`kill -CONT {pid}`" in told(), 10, "the stopped process to be named")
        finally:
            os.kill(process, signal.SIGCONT)
        service.until(lambda: told() == "ok", 10, "the supervisor to go on")


def test_nobody_else_can_read_what_is_kept(service: Service) -> None:
    entries = [service.data_dir, *service.data_dir.rglob("*")]
    names = {path.name for path in entries}
    assert {
        "tmportal.sqlite3",
        "tmportal.sqlite3-wal",
        "broker.sock",
        "web.log",
        "secret-key",
        "portal.css",
    } <= names
    open_ones = []
    for path in entries:
        with suppress(FileNotFoundError):
            if not path.is_symlink() and path.lstat().st_mode & 0o077:
                open_ones.append(path)
    assert open_ones == []


@pytest.mark.slow
def test_nothing_outlives_a_killed_run(service: Service) -> None:
    assert service.process
    family = psutil.Process(service.process.pid).children(recursive=True)
    service.process.kill()
    _, alive = psutil.wait_procs(family, timeout=20)  # in good order, unlike with a killed supervisor
    assert not alive
    service.start(180)
    assert service.search(service.token(), QUERY.read_bytes())["status"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_part_that_freezes_is_replaced_alone(service: Service, program: str) -> None:
    service.until(service.healthy, 60, "health")
    before = {name: pid(service, name) for name in PROGRAMS}
    os.kill(before[program], signal.SIGSTOP)
    assert replaced(service, program, before[program], 25) < 15
    service.until(service.healthy, 60, "health to return")
    assert service.search(service.token(), QUERY.read_bytes())["status"] == "done"
    after = {name: pid(service, name) for name in PROGRAMS}
    assert [name for name in PROGRAMS if before[name] != after[name]] == [program]


@pytest.mark.slow
def test_a_task_that_hangs_for_ever_costs_its_worker_and_nothing_else(service: Service) -> None:
    """Its image becomes a pipe that nobody writes to: reading it never ends."""
    token, image = service.token(), QUERY.read_bytes()
    worker = pid(service, "search-worker")
    os.kill(worker, signal.SIGSTOP)
    made = service.call("POST", "/api/searches/", token=token, image=image)[1]["id"]
    name = made.replace("-", "")
    path = Path(service.data_dir / "media" / "searches" / name[:2] / name)
    kept = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    os.kill(worker, signal.SIGCONT)
    assert replaced(service, "search-worker", worker, 40) < 15
    path.unlink()
    path.write_bytes(kept)
    assert service.finished(token, made, 90)["status"] == "done"


@pytest.mark.slow
def test_a_tuning_worker_that_freezes_in_the_middle_of_a_run_is_replaced_and_the_run_promotes_once(
    service: Service,
) -> None:
    evidence_write(service, seed=300)
    before = live_pointer(service)
    run = run_queue(service)

    def row(what: str) -> Any:
        return query(service, f"SELECT {what} FROM tuning_tuningrun WHERE id = ?", run)[0][0]

    service.until(lambda: row("state") == "running" and row("progress") > 0, 90, "the run to be at work")
    stopped = pid(service, "tuning-worker")
    os.kill(stopped, signal.SIGSTOP)
    assert replaced(service, "tuning-worker", stopped, 25) < 15
    assert row("state") == "running" and live_pointer(service) == before
    service.until(lambda: row("state") not in ("running", "queued"), 150, "another worker to carry out the run")
    assert (row("state"), row("attempts")) == ("live", 2), row("reason")
    after = live_pointer(service)
    assert after[0][0] == row("proposed_id") != before[0][0] == row("base_id")
    promoted = query(service, "SELECT kind FROM search_parametersetevent WHERE parameter_set_id = ?", after[0][0])
    assert promoted.count(("live",)) == 1
