"""The data directory: who holds it, and that nobody else on the machine can read it."""

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

# As long as a supervisor whose `run` was killed takes to stop everything in good order.
_STOPPING_SECONDS = 20.0
_OTHERS = 0o077


STATIC_POINTER = "CURRENT"
"""Names the folder of static files that is served."""


def static_folder(root: Path) -> Path:
    """The folder of static files that is served; `root` itself where nothing was collected yet (static_files.py)."""
    pointer = root / STATIC_POINTER
    return root / pointer.read_text().strip() if pointer.is_file() else root


class CannotStart(SystemExit):
    """The service cannot start; the message says why and what to do."""


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[int]:
    """Hold the data directory; yields the lock's descriptor. The lock lives as long as a process that inherited it.

    Waits a while for what a killed predecessor is still stopping. CannotStart names what goes on running.
    """
    end = time.monotonic() + _STOPPING_SECONDS
    with (data_dir / "run" / "lock").open("a+") as file:
        while not _take(file.fileno()):
            holder = pid_in(data_dir / "run" / "lock")
            if holder is not None and _lives(holder):
                raise CannotStart(
                    f"tmportal already runs on {data_dir} (process {holder}). Stop it first (kill {holder}), or set "
                    "TM_DATA_DIR to another directory."
                )
            _wait(end, data_dir)
        while survivors(data_dir):
            _wait(end, data_dir)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def survivors(data_dir: Path) -> dict[str, int | None]:
    """Programs of an earlier start that still run on this directory, and their processes."""
    found = {}
    for path in sorted((data_dir / "run").glob("*.lock")):
        with path.open("a") as file:
            if not _take(file.fileno()):
                found[path.stem] = pid_in(path)
    return found


def must_be_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on port {port} of {host} ({error.strerror}): set PORT to a free one, for example "
                "`PORT=8123 make run`."
            ) from None


def keep_private(data_dir: Path) -> None:
    """What is written from now on, and what there is, can be read by this user only. CannotStart where it cannot."""
    os.umask(_OTHERS)
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        _shut(data_dir, data_dir.lstat())
        for folder, folders, files in os.walk(data_dir):
            for name in (*folders, *files):
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):  # another process has just removed it
                    _shut(path, path.lstat())
    except OSError as error:
        raise CannotStart(
            f"{error.filename} can be read by other users of this machine, and that cannot be changed "
            f"({error.strerror}): run `chmod -R go-rwx {data_dir}` as its owner, or choose another TM_DATA_DIR."
        ) from None


def _shut(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode) or not found.st_mode & _OTHERS:
        return
    path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    if path.lstat().st_mode & _OTHERS:  # a file system that knows no permissions
        raise PermissionError(1, "its file system keeps no permissions", str(path))


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(end: float, data_dir: Path) -> None:
    if time.monotonic() < end:
        time.sleep(0.2)
        return
    running = survivors(data_dir)
    names = ", ".join(f"{name} (process {pid or 'unknown'})" for name, pid in running.items()) or "its supervisor"
    pids = " ".join(str(pid) for pid in running.values() if pid)
    raise CannotStart(
        f"Parts of an earlier start still run on {data_dir}: {names}. "
        f"{f'Stop them (kill -9 {pids})' if pids else 'Stop them'} and start again."
    )


def pid_in(path: Path) -> int | None:
    """The process that a lock file names."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
