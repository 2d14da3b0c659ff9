"""Becomes one program of the service: python -I -S program.py NAME RUN_FOLDER COMMAND...

A file of its own that imports nothing of the project, since it stands in front of every start. The program it becomes
is killed with its parent (Linux), holds the lock of its name for as long as it or a child of it lives, and keeps what
it writes to itself.
"""

import ctypes
import fcntl
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None, how: int) -> None:
    """Have the kernel send `how` when the parent ends; end at once if it has ended already. `parent`: its pid."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, how)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


def hold(path: str) -> None:
    """Take a share in the lock of a program, and leave the pid; the last process that inherited it lets it go."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    os.set_inheritable(lock, True)
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except OSError:
        pass  # a full disk costs the name of the process in a message


def main(name: str, folder: str, *command: str) -> None:
    os.umask(0o077)
    try:
        with open(f"{folder}/supervisord.pid") as file:  # noqa: PTH123  pathlib would double the time this takes
            parent = int(file.read())
    except (OSError, ValueError):
        parent = None
    die_with_parent(parent, signal.SIGKILL)
    hold(f"{folder}/{name}.lock")
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
