"""What a power cut may leave: file-system states made from the system calls that a real process was seen to make.

The model is the strict one of POSIX. An fsync keeps the bytes of that file, or the names in that folder, and nothing
else; what was not synced since may be there or not, each write by itself, cut anywhere, and of the names in a folder
the first so many. Memory that is mapped is not seen (SQLite's -shm, which a new start makes again).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CALLS = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,fsync,fdatasync,sync,syncfs,copy_file_range,"
    "sendfile,lseek"
)
_LINE = re.compile(r"(\d+) +(?:(\w+)\(|<\.\.\. (\w+) resumed>)(.*)", re.DOTALL)
_DONE = re.compile(r"(.*)\) += (-?\d+)(?:<([^>]*)>)?[^)]*$", re.DOTALL)
_WORD = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>|AT_FDCWD')


def strace_works() -> str:
    """Empty, or why no system calls can be watched here."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-f", "--seccomp-bpf", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else f"strace cannot watch here: {tried.stderr.decode()[-200:]}"


def watched(command: Sequence[str], log: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command; every call that writes, names or syncs goes to `log`."""
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000000", "-e", "signal=none"]
    return subprocess.run(
        [*strace, "-e", f"trace={_CALLS}", "-o", str(log), *command],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One system call that succeeded, from line `begun` of the log to line `ended`.

    words: its strings and the paths of its descriptors, in order.
    """

    begun: int
    ended: int
    name: str
    text: str
    words: list[bytes]
    result: int

    def paths(self) -> list[bytes]:
        """The paths it names; those below a descriptor's folder in full."""
        words = self.words
        if self.name in {"rename", "open", "creat", "mkdir", "rmdir", "unlink"}:
            return words
        return [os.path.join(folder, name) for folder, name in zip(words[::2], words[1::2], strict=True)]  # noqa: PTH118


def calls_in(log: Path) -> Iterator[Call]:
    """Calls in the order in which they ended."""
    open_calls: dict[str, tuple[int, str, str]] = {}
    with log.open("r", encoding="ascii") as lines:
        for number, line in enumerate(lines):
            found = _LINE.match(line)
            if not found:
                continue
            process, name, resumed, rest = found.groups()
            begun = number
            if resumed:
                begun, name, first = open_calls.pop(process)
                rest = first + rest
            elif rest.rstrip().endswith("<unfinished ...>"):
                open_calls[process] = (number, name, rest.rstrip().removesuffix("<unfinished ...>"))
                continue
            done = _DONE.match(rest)
            if done and int(done[2]) >= 0:
                words = [_bytes(match[1] or match[2] or "") for match in _WORD.finditer(done[1])]
                yield Call(begun, number, name, done[1], words, int(done[2]))


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


@dataclass
class Node:
    """A file (changes are writes) or a folder (changes are names). synced: (when, which changes) of every fsync."""

    folder: bool
    changes: list[tuple[int, Any]] = field(default_factory=list)
    synced: list[tuple[int, int]] = field(default_factory=list)

    def kept(self, at: int) -> int:
        """Changes up to this instant are on disk at that instant."""
        return max((covers for done, covers in self.synced if done <= at), default=-1)


class Disk:
    """All that happened below one folder, which was there and empty before."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root = str(root).encode()
        self.top = Node(folder=True)
        self.now = 0
        self.said: list[tuple[int, str]] = []
        """(instant, line) of what the process printed."""
        self._names: dict[bytes, Node] = {self.root: self.top}
        self._places: dict[int, int] = {}
        for call in calls_in(log):
            self.now = call.ended
            handle: Callable[[Call], None] | None = getattr(self, f"_{call.name}", None)
            if handle is not None:
                handle(call)
            else:
                assert not any(map(self._ours, call.words)), f"the model does not know {call.name}"

    # -- what the calls do ----------------------------------------------------------------------------------

    def _ours(self, path: bytes) -> bool:
        return path.startswith(self.root + b"/")

    def _set(self, path: bytes, node: Node | None) -> list[tuple[bytes, Node | None]]:
        if node is None:
            self._names.pop(path, None)
        else:
            self._names[path] = node
        return [(path.rsplit(b"/", 1)[1], node)]

    def _named(self, path: bytes, names: list[tuple[bytes, Node | None]]) -> None:
        self._names[path.rsplit(b"/", 1)[0]].changes.append((self.now, names))

    def _openat(self, call: Call) -> None:
        path = call.paths()[0]
        self._places[call.result] = 0
        if not self._ours(path) or not re.search(r"O_WRONLY|O_RDWR", call.text):
            return
        node = self._names.get(path)
        if node is None:
            assert "O_CREAT" in call.text, path
            node = Node(folder=False)
            self._named(path, self._set(path, node))
        elif "O_TRUNC" in call.text:
            node.changes.append((self.now, ("cut", 0)))
        if "O_APPEND" in call.text:
            self._places[call.result] = len(content(node.changes))

    _open = _openat

    def _lseek(self, call: Call) -> None:
        self._places[_descriptor(call)] = call.result

    def _write(self, call: Call) -> None:
        handle = _descriptor(call)
        node = self._names.get(call.words[0])
        if node is not None:
            place = self._places[handle]
            node.changes.append((self.now, (place, call.words[1][: call.result])))
            self._places[handle] = place + call.result
        elif handle == 1:
            self.said += [(self.now, line) for line in call.words[1].decode().splitlines()]

    def _pwrite64(self, call: Call) -> None:
        node = self._names.get(call.words[0])
        if node is not None:
            place = int(call.text.rsplit(",", 1)[1])
            node.changes.append((self.now, (place, call.words[1][: call.result])))

    def _ftruncate(self, call: Call) -> None:
        node = self._names.get(call.words[0])
        if node is not None:
            node.changes.append((self.now, ("cut", int(call.text.rsplit(",", 1)[1]))))

    def _rename(self, call: Call) -> None:
        old, new = call.paths()
        if not self._ours(old) and not self._ours(new):
            return
        assert old.rsplit(b"/", 1)[0] == new.rsplit(b"/", 1)[0], "a rename between folders"
        node = self._names[old]
        below = [path for path in self._names if path.startswith(old + b"/")]
        self._named(old, self._set(old, None) + self._set(new, node))
        for path in below:
            self._names[new + path[len(old) :]] = self._names.pop(path)

    _renameat = _renameat2 = _rename

    def _unlink(self, call: Call) -> None:
        (path,) = call.paths()
        if self._ours(path):
            self._named(path, self._set(path, None))

    _unlinkat = _rmdir = _unlink

    def _mkdir(self, call: Call) -> None:
        (path,) = call.paths()
        if self._ours(path):
            self._named(path, self._set(path, Node(folder=True)))

    _mkdirat = _mkdir

    def _fsync(self, call: Call) -> None:
        node = self._names.get(call.words[0])
        if node is not None:
            # What another thread wrote while this was under way may have come too late.
            node.synced.append((call.ended, call.begun))

    _fdatasync = _fsync

    # -- what was said, what is not on disk -----------------------------------------------------------------

    def unsynced(self, at: int) -> Iterator[str]:
        """Paths below the root, of files and of names, that a power cut at this instant could take or cut."""

        def look(node: Node, path: bytes) -> Iterator[str]:
            names: dict[bytes, Node | None] = {}
            for when, change in node.changes:
                if when > at:
                    break
                if node.folder:
                    names |= dict(change)
                loose = when > node.kept(at)
                if loose and node.folder:
                    yield from (f"name {(path + b'/' + name).decode()}" for name, _ in change)
                elif loose:
                    yield f"bytes {path.decode()}"
            for name, below in names.items():
                if below is not None:
                    yield from look(below, path + b"/" + name)

        return look(self.top, b"")

    def leave(self, target: Path, at: int, chance: random.Random | None, *, everything: bool = False) -> None:
        """Write what may be on disk after a power cut at this instant.

        chance: keeps some of what was not synced; without it nothing of it. everything: all of it.
        """

        def write(node: Node, path: Path) -> None:
            safe = at if everything else node.kept(at)
            kept = [change for change in node.changes if change[0] <= safe]
            loose = [change for change in node.changes if safe < change[0] <= at]
            if node.folder:
                if chance is not None:
                    kept += loose[: chance.randint(0, len(loose))]
                path.mkdir()
                names: dict[bytes, Node | None] = {}
                for _, change in kept:
                    names |= dict(change)
                for name, below in names.items():
                    if below is not None:
                        write(below, path / name.decode())
                return
            if chance is not None:
                kept += [_torn(change, chance) for change in loose if chance.random() < 0.6]
            path.write_bytes(content(kept))

        write(self.top, target)


def content(changes: Sequence[tuple[int, Any]]) -> bytes:
    """The bytes of a file after these writes."""
    data = bytearray()
    for _, (place, what) in changes:
        if place == "cut":
            del data[what:]
            data.extend(bytes(what - len(data)))
        else:
            data.extend(bytes(max(0, place - len(data))))
            data[place : place + len(what)] = what
    return bytes(data)


def _torn(change: tuple[int, Any], chance: random.Random) -> tuple[int, Any]:
    when, (place, what) = change
    if place == "cut" or chance.random() < 0.7:
        return change
    return when, (place, what[: chance.randint(0, len(what))])


def _descriptor(call: Call) -> int:
    return int(call.text.split("<", 1)[0])
