"""What goes wrong, one thing at a time while the load goes on. Each fault ends by itself or is ended here."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil

from tests.live.clock import DAY, Clock
from tests.live.service import Service
from tests.torture.ledger import Ledger

PROGRAMS = ("search-worker", "tuning-worker", "beat", "web", "broker")
REPLACED_WITHIN = 45  # seconds: noticed within 15, and started again on a machine under load


@dataclass
class Place:
    """The service under torture and what of its surroundings can be broken."""

    service: Service
    ledger: Ledger
    chance: random.Random
    token: str
    hostile: list[bytes]
    image: bytes
    clock: Clock | None = None  # None where it cannot be moved
    own_disk: bool = False  # the data directory is a file system of its own

    def until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds():
                return
            time.sleep(0.2)
        self.ledger.fail(f"{what} not within {seconds:.0f} s")


def kill(place: Place) -> str:
    role = place.chance.choice(PROGRAMS)
    for process in place.service.processes(role):
        process.kill()
    return role


def freeze(place: Place) -> str:
    """Stopped, not dead: it has to be noticed and replaced."""
    role = place.chance.choice(PROGRAMS)
    frozen = place.service.processes(role)
    for process in frozen:
        process.suspend()
    place.until(lambda: not any(p.is_running() for p in frozen), REPLACED_WITHIN, f"a frozen {role} was replaced")
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    return role


def behead(place: Place) -> str:
    """kill -9 of the process that the others hang on; then somebody starts the service again."""
    service = place.service
    assert service.process
    run = psutil.Process(service.process.pid)
    family = run.children(recursive=True)
    head = run if place.chance.random() < 0.5 else next(p for p in family if "supervisord" in " ".join(p.cmdline()))
    words = "manage.py run" if head is run else "supervisord"
    head.kill()
    place.until(lambda: not any(_lives(p) for p in family), 20, f"after kill -9 of {words} every process was gone")
    with contextlib.suppress(subprocess.TimeoutExpired):
        service.process.wait(20)
    service.start(120)
    return words


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def jump(place: Place) -> str:
    """The wall clock goes elsewhere for some seconds and comes back."""
    assert place.clock
    days = place.chance.choice((40, 1 / 24, -1 / 24, -40))
    place.clock.move(int(days * DAY))
    time.sleep(place.chance.uniform(4, 8))
    place.clock.move(0)
    return f"{days:+.2f} days and back"


def fill_disk(place: Place) -> str:
    """No byte left for some seconds."""
    filler = place.service.data_dir / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
                    file.flush()
    time.sleep(place.chance.uniform(4, 8))
    filler.unlink()
    return "full"


def read_only(place: Place) -> str:
    """Media can be read and not written for some seconds."""
    media = str(place.service.data_dir / "media")
    subprocess.run(["mount", "--bind", media, media], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", media], check=True)
        time.sleep(place.chance.uniform(3, 6))
    finally:
        subprocess.run(["umount", media], check=True)
    return "media"


def damage(place: Place) -> str:
    """One file of the snapshot that serves is changed, cut or lost."""
    snapshots = place.service.data_dir / "snapshots"
    live = snapshots / (snapshots / "CURRENT").read_text().strip()
    if len(list(snapshots.glob("[0-9]*/manifest.json"))) < 2:
        return "left alone: it is the only one"
    victim = place.chance.choice(sorted(p for p in live.rglob("*") if p.is_file()))
    how = place.chance.choice(("flipped", "cut", "deleted"))
    if how == "deleted":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        middle = len(data) // 2
        data = data[:middle] if how == "cut" else data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        victim.unlink()  # what a process has mapped stays as it is: disks decay under nobody's hands
        victim.write_bytes(data)
    return f"{victim.relative_to(live)} {how}"


def silence(place: Place) -> str:
    """Connections that say nothing, and some that drip."""
    with connections(place.service.port, 300) as silent, connections(place.service.port, 60) as dripping:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            for each in dripping:
                with contextlib.suppress(OSError):
                    each.send(b"P" if each.fileno() % 2 else b"\r")
            time.sleep(0.5)
        return f"{len(silent)} silent, {len(dripping)} dripping"


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    found: list[socket.socket] = []
    try:
        for _ in range(count):
            with contextlib.suppress(OSError):
                found.append(socket.create_connection(("127.0.0.1", port), timeout=2))
        yield found
    finally:
        for each in found:
            each.close()


def flood(place: Place) -> str:
    """One account queues all it may."""
    taken = refused = 0
    for _ in range(150):
        status, made = place.service.call("POST", "/api/searches/", token=place.token, image=place.image)
        place.ledger.answered(status, "a flood's upload", made)
        if status == 201:
            place.ledger.searched(str(made["id"]), "flood")
            taken += 1
        else:
            refused += 1
    return f"{taken} taken, {refused} refused"


def poison(place: Place) -> str:
    """Images that mean harm, eight at once."""
    found: list[int] = []

    def send(data: bytes) -> None:
        status, made = place.service.call("POST", "/api/searches/", token=place.token, image=data)
        place.ledger.answered(status, "a hostile image", made)
        if status == 201:
            place.ledger.searched(str(made["id"]), "flood")
        found.append(status)

    threads = [threading.Thread(target=send, args=(data,)) for data in place.chance.sample(place.hostile, k=8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return " ".join(map(str, sorted(found)))


def babble(place: Place) -> str:
    """Bytes that are no HTTP, and HTTP that lies."""
    lies = (
        os.urandom(512),
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/token/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/html; charset=none\r\n"
        b"Content-Length: 3\r\n\r\nabc",
        b"POST /api/token/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n",
    )
    for lie in lies:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", place.service.port), timeout=2) as one,
        ):
            one.sendall(lie)
            answer = one.recv(4096)
            if answer.startswith(b"HTTP/1.1 500"):
                place.ledger.fail(f"{lie[:40]!r} was answered 500")
    return f"{len(lies)} lies"


def interrupt(place: Place) -> str:
    """Ctrl-C and a start, as an administrator would at an update."""
    place.service.stop(60)
    place.service.start(120)
    return "stopped and started"


ALWAYS: tuple[Callable[[Place], str], ...] = (
    kill,
    kill,
    freeze,
    behead,
    damage,
    silence,
    flood,
    poison,
    babble,
    interrupt,
)


def possible(place: Place) -> tuple[Callable[[Place], str], ...]:
    """The faults that can be made here."""
    more: list[Callable[[Place], str]] = []
    if place.clock:
        more.append(jump)
    if place.own_disk:
        more += [fill_disk, read_only]
    return ALWAYS + tuple(more)


def stop_all(service: Service) -> None:
    """Whatever is still suspended goes on."""
    if service.process and psutil.pid_exists(service.process.pid):
        for process in psutil.Process(service.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
