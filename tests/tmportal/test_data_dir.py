"""The data directory: held by one service, named when something survives, readable by nobody else."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tmportal import data_dir as held
from tmportal.data_dir import CannotStart, keep_private, must_be_free, only_one, survivors
from tmportal.supervision import PROGRAM

SLEEP = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0)
    os.umask(before)
    yield
    os.umask(before)


def begin(folder: Path, name: str = "web") -> subprocess.Popen[bytes]:
    """A program as the supervisor starts it; this process is its supervisor."""
    (folder / "run" / "supervisord.pid").write_text(str(os.getpid()))
    command = [sys.executable, "-I", "-S", str(PROGRAM), name, str(folder / "run"), *SLEEP]
    program = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert program.stdout and program.stdout.readline() == b"1\n"
    return program


def test_a_start_beside_a_survivor_is_refused_and_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_STOPPING_SECONDS", 0.3)
    program = begin(folder)
    try:
        assert survivors(folder) == {"web": program.pid}
        with pytest.raises(CannotStart) as refusal, only_one(folder):
            pass
        assert f"web (process {program.pid})" in str(refusal.value) and "PORT" not in str(refusal.value)
    finally:
        program.kill()
        program.wait()
    with only_one(folder):
        assert survivors(folder) == {}


def test_a_start_waits_for_what_a_killed_one_is_still_stopping(folder: Path) -> None:
    program = begin(folder)
    stopper = subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {program.pid}"])
    began = time.monotonic()
    try:
        with only_one(folder):
            assert 0.5 < time.monotonic() - began < 15
    finally:
        stopper.wait()
        program.wait()


def test_a_second_start_names_the_first_and_offers_no_other_port(folder: Path) -> None:
    with only_one(folder), pytest.raises(CannotStart) as refusal, only_one(folder):
        pass
    assert f"process {os.getpid()}" in str(refusal.value) and "PORT" not in str(refusal.value)


def test_a_program_dies_with_its_supervisor(folder: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux kills children with their parent")
    command = [sys.executable, "-I", "-S", str(PROGRAM), "web", str(folder / "run"), *SLEEP]
    supervisor = (
        "import os, subprocess, sys, time; from pathlib import Path\n"
        f"Path({str(folder / 'run' / 'supervisord.pid')!r}).write_text(str(os.getpid()))\n"
        f"subprocess.Popen({command!r}).wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", supervisor], stdout=subprocess.PIPE)
    assert parent.stdout and parent.stdout.readline() == b"1\n"
    assert survivors(folder)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 5
    while survivors(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert survivors(folder) == {}


def test_a_program_whose_supervisor_is_gone_already_does_not_begin(folder: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux kills children with their parent")
    (folder / "run" / "supervisord.pid").write_text("1")
    command = [sys.executable, "-I", "-S", str(PROGRAM), "web", str(folder / "run"), *SLEEP]
    assert subprocess.run(command, timeout=20, check=False).returncode == 1


def test_what_others_can_read_is_shut_and_what_follows_is_shut_from_the_start(folder: Path) -> None:
    (folder / "media").mkdir(mode=0o755)
    picture, link = folder / "media" / "a.webp", folder / "media" / "link"
    picture.write_bytes(b"x")
    picture.chmod(0o644)
    link.symlink_to("/etc/hostname")
    folder.chmod(0o755)
    outside = Path("/etc/hostname").stat().st_mode
    keep_private(folder)
    (folder / "later").write_text("x")
    (folder / "deep").mkdir()
    for path in (folder, *folder.rglob("*")):
        assert path.is_symlink() or not path.stat().st_mode & 0o077, path
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    assert Path("/etc/hostname").stat().st_mode == outside


def test_what_cannot_be_shut_stops_the_start_with_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "media").mkdir(mode=0o755)
    (folder / "media").chmod(0o755)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # a file system that keeps no permissions
    with pytest.raises(CannotStart, match=r"can be read by other users.*chmod -R go-rwx"):
        keep_private(folder)


def test_a_taken_port_is_named_with_its_address() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CannotStart, match=f"port {taken.getsockname()[1]}"):
            must_be_free("127.0.0.1", taken.getsockname()[1])


def test_the_lock_is_not_blocked_by_a_second_look(folder: Path) -> None:
    (folder / "run" / "beat.lock").write_text("1")
    with (folder / "run" / "beat.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert survivors(folder) == {"beat": 1}
    assert survivors(folder) == {}
