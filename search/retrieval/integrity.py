"""Whether files on disk are still what was written: their SHA-256, read at full speed or at a bounded one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from search.retrieval import progress

_BLOCK = 1 << 20
_THREADS = 2
"""Hashing leaves the interpreter alone, so that two files are read at once: 1 GB takes half a second on two cores."""

Pace = Callable[[int], None]
"""Called with the number of bytes just read; it may wait, and ends the reading by raising."""


class FileDamaged(RuntimeError):  # noqa: N818  a finding, not a fault
    """A file is missing, cut or altered; str(e) is a clause that names it."""


def file_digest(path: Path, pace: Pace | None = None) -> str:
    """SHA-256 of the file's bytes, in hex. Raises OSError."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
            if pace is not None:
                pace(count)
    return digest.hexdigest()


def stamp(path: Path) -> dict[str, Any]:
    """What `check` compares a file with."""
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def check_sizes(folder: Path, stamps: Mapping[str, Mapping[str, Any]]) -> None:
    """Whether the files are there and whole in length; costs no reading. Raises FileDamaged."""
    for name, expected in stamps.items():
        try:
            size = (folder / name).stat().st_size
        except OSError:
            raise FileDamaged(f"{name} is missing") from None
        if size != expected["bytes"]:
            raise FileDamaged(f"{name} is cut")


def check(folder: Path, stamps: Mapping[str, Mapping[str, Any]], *, pace: Pace | None = None) -> None:
    """Whether every byte of the files is as written. Raises FileDamaged.

    stamps: name -> what `stamp` said. pace: reads one file after the other and calls this for each block.
    """
    check_sizes(folder, stamps)

    def one(name: str, pace: Pace | None) -> None:
        try:
            found = file_digest(folder / name, pace)
        except OSError as error:
            raise FileDamaged(f"{name} cannot be read ({error.strerror})") from None
        if found != stamps[name]["sha256"]:
            raise FileDamaged(f"{name} has changed since it was written")

    if pace is not None:
        for name in stamps:
            one(name, pace)
        return
    largest_first = sorted(stamps, key=lambda name: -int(stamps[name]["bytes"]))
    with progress.work("comparing files with their digests") as reading, ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(lambda name: one(name, lambda _: reading.step()), largest_first):
            pass


def seal(content: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object but for its member `seal`."""
    rest = {key: value for key, value in content.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
