"""Described marks on disk, appended in segments: what makes an ingest resumable.

A segment is one Feather file, written under a temporary name and renamed, never changed afterwards. A mark is
known by its number, the SHA-256 of its image's bytes and the descriptors' version: the same image is never
described twice, a changed image or a changed encoder always is.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.retrieval._feather import read_columns, read_table, write_table
from search.retrieval.description import Description
from search.retrieval.table import MarkTable

Key = tuple[str, str]
"""(mark number, SHA-256 of the image's bytes in hex)."""


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
        self._folder.mkdir(parents=True, exist_ok=True)
        table = MarkTable.of([m.number for m in marks], [m.description for m in marks])
        # Names sort by time, so that of two descriptions of one mark the later one wins.
        path = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.feather"
        hidden = path.with_suffix(f".{os.getpid()}.tmp")
        write_table(hidden, table, {"image_sha256": [m.image_sha256 for m in marks]})
        hidden.replace(path)
        return path

    def known(self) -> set[Key]:
        """Every mark described so far, by any process."""
        self._refresh()
        return set(self._known)

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those of `keys` that still need describing, in their order."""
        self._refresh()
        return [key for key in keys if key not in self._known]

    def read(self, keys: Sequence[Key]) -> MarkTable:
        """The marks of `keys`, in that order. Raises KeyError for one that was never described."""
        self._refresh()
        by_segment: dict[Path, list[tuple[int, int]]] = {}
        for place, key in enumerate(keys):
            path, row = self._known[key]
            by_segment.setdefault(path, []).append((place, row))
        if not by_segment:
            raise KeyError("No marks were asked for.")
        parts = []
        places: list[int] = []
        for path, wanted in by_segment.items():
            table, _ = read_table(path)
            parts.append(table.take(np.array([row for _, row in wanted])))
            places.extend(place for place, _ in wanted)
        return MarkTable.concatenate(parts).take(np.argsort(np.array(places), kind="stable"))

    def _refresh(self) -> None:
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.feather")):
            if path in self._read:
                continue
            columns = read_columns(path, ("number", "image_sha256"))
            for row, key in enumerate(zip(columns["number"], columns["image_sha256"], strict=True)):
                self._known[key] = (path, row)
            self._read.add(path)
