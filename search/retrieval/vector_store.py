"""Described marks on disk, appended in segments: what makes an ingest resumable.

A segment is one Feather file, written under a temporary name and renamed, never changed afterwards; its name ends with
the SHA-256 of its bytes. A mark is known by its number, the SHA-256 of its image's bytes and the descriptors' version:
the same image is never described twice, a changed image or a changed encoder always is. A segment that is no longer
what was written is set aside, so that its marks are missing and are described again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.retrieval._feather import read_columns, read_table, write_table
from search.retrieval.description import Description
from search.retrieval.durable import TEMPORARY, make_folder, put
from search.retrieval.integrity import file_digest
from search.retrieval.table import MarkTable

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""(mark number, SHA-256 of the image's bytes in hex)."""
_SEALED = re.compile(r"\d{20}-([0-9a-f]{64})")
"""Releases before named a segment by chance: eight hex digits, which say nothing of its bytes."""
_NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM)
"""Errors of this process or of the machine, which say nothing of the file."""


class SegmentsDamaged(RuntimeError):  # noqa: N818  an answer to whoever reads: describe the marks again
    """Segments were no longer what was written; they are set aside, and their marks are missing now."""


@dataclass(frozen=True)
class DescribedMark:
    """A mark's number, the SHA-256 (hex) of its image's bytes, and what the describer made of it."""

    number: str
    image_sha256: str
    description: Description


class VectorStore:
    """Described marks of one descriptors' version under `root`; others lie beside it, untouched.

    Several processes may append at a time; each sees the others' segments on its next call.
    """

    def __init__(self, root: Path, descriptors_version: str) -> None:
        self.descriptors_version = descriptors_version
        self._folder = Path(root) / descriptors_version
        self._known: dict[Key, tuple[Path, int]] = {}
        self._read: set[Path] = set()

    def append(self, marks: Sequence[DescribedMark]) -> Path | None:
        """Write one segment, durably; None when there is nothing to write."""
        if not marks:
            return None
        table = MarkTable.of([m.number for m in marks], [m.description for m in marks])
        # Names sort by time, so that of two descriptions of one mark the later one wins.
        make_folder(self._folder)
        time_ns = f"{time.time_ns():020d}"
        hidden = self._folder / f".{time_ns}.{os.getpid()}{TEMPORARY}"
        try:
            write_table(hidden, table, {"image_sha256": [m.image_sha256 for m in marks]})
            path = self._folder / f"{time_ns}-{file_digest(hidden)}.feather"
            put(hidden, path)
        finally:
            hidden.unlink(missing_ok=True)
        return path

    def seal(self) -> int:
        """Give segments of releases before their digest, as they are now; returns how many. Nobody else may run."""
        sealed = 0
        for path in sorted(self._folder.glob("*.feather")):
            if _SEALED.fullmatch(path.stem):
                continue
            try:
                read_table(path)
            except (OSError, ValueError, KeyError) as damage:
                self._set_aside(path, damage)
                continue
            path.replace(path.with_name(f"{path.stem[:20]}-{file_digest(path)}.feather"))
            sealed += 1
        return sealed

    def known(self) -> set[Key]:
        """Every mark described so far, by any process."""
        self._refresh()
        return set(self._known)

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those of `keys` that still need describing, in their order."""
        self._refresh()
        return [key for key in keys if key not in self._known]

    def read(self, keys: Sequence[Key]) -> MarkTable:
        """The marks of `keys`, in that order, from segments that are whole.

        Raises KeyError for one that was never described, SegmentsDamaged where a segment is no longer what was written.
        """
        self._refresh()
        by_segment: dict[Path, list[tuple[int, int]]] = {}
        for place, key in enumerate(keys):
            path, row = self._known[key]
            by_segment.setdefault(path, []).append((place, row))
        if not by_segment:
            raise KeyError("No marks were asked for.")
        parts = []
        places: list[int] = []
        lost = 0
        for path, wanted in by_segment.items():
            try:
                table = self._table(path)
            except (OSError, ValueError, KeyError) as damage:
                self._set_aside(path, damage)
                lost += 1
                continue
            parts.append(table.take(np.array([row for _, row in wanted])))
            places.extend(place for place, _ in wanted)
        if lost:
            raise SegmentsDamaged(
                f"{lost} of {len(by_segment)} files of described marks were damaged and are set aside: "
                "describe their marks again with `python manage.py snapshot`."
            )
        return MarkTable.concatenate(parts).take(np.argsort(np.array(places), kind="stable"))

    @staticmethod
    def _table(path: Path) -> MarkTable:
        sealed = _SEALED.fullmatch(path.stem)
        if sealed and file_digest(path) != sealed[1]:
            raise ValueError("it has changed since it was written")
        return read_table(path)[0]

    @staticmethod
    def _set_aside(path: Path, damage: Exception) -> None:
        """Out of everybody's sight, but kept: who looks for the cause of the damage wants to see it."""
        if isinstance(damage, OSError) and damage.errno in _NOT_THE_FILE:
            raise damage
        log.error("the described marks of %s cannot be used and are set aside: %s", path, damage)
        with contextlib.suppress(FileNotFoundError):  # another process has done it, or somebody deleted it
            path.replace(path.with_suffix(".damaged"))

    def _refresh(self) -> None:
        there = set(self._folder.glob("*.feather"))
        if self._read - there:
            # An earlier description of a mark of a segment that is gone counts again: look through all of them.
            self._read.clear()
            self._known.clear()
        for path in sorted(there - self._read):
            try:
                columns = read_columns(path, ("number", "image_sha256"))
            except (OSError, ValueError, KeyError) as damage:
                self._set_aside(path, damage)
                continue
            for row, key in enumerate(zip(columns["number"], columns["image_sha256"], strict=True)):
                self._known[key] = (path, row)
            self._read.add(path)
