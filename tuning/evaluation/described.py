"""Images on disk to described marks, chunk by chunk, each image described once. Pure.

What was described is kept in a vector store on disk, keyed by the content's SHA-256 and the describer's
version: a run that was stopped goes on where it was, a second run only compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from search.retrieval.description import Description
from search.retrieval.imaging import ImageRefused, Picture, decode_picture
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import DescribedMark, VectorStore

__all__ = ["DescribedFiles", "Describes"]

CHUNK = 256


class Describes(Protocol):
    """What is needed of a describer (search.retrieval.describe.Describer)."""

    version: str

    def describe(self, images: Sequence[Picture]) -> list[Description]:
        """One description per image."""


@dataclass(frozen=True)
class _File:
    path: Path
    sha: str
    data: bytes | None  # only what still has to be described is held


class DescribedFiles:
    """Described marks of image files.

    describer: made on first need, since a complete cache needs none of its work but its version.
    store: None describes everything anew. refused: called with (path, sentence) for an unreadable image.
    done: called with the number of images finished since the last call.
    """

    def __init__(
        self,
        describer: Describes,
        store: VectorStore | None,
        *,
        refused: Callable[[Path, str], None],
        done: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._describer, self._store = describer, store
        self._refused, self._done = refused, done

    def chunks(self, paths: Sequence[Path], size: int = CHUNK) -> Iterator[MarkTable]:
        """Tables of the readable images, in the order of paths, up to `size` at a time."""
        for start in range(0, len(paths), size):
            table = self._table(paths[start : start + size])
            if table is not None:
                yield table

    def _table(self, paths: Sequence[Path]) -> MarkTable | None:
        files = [f for path in paths if (f := self._load(path)) is not None]
        fresh = {f.sha: f for f in files if f.data is not None}
        made = self._describe(list(fresh.values()))
        for file in files:  # the same content twice in a chunk is described once
            if file.data is not None and file is not fresh[file.sha]:
                self._done(1)
                if file.sha not in made:
                    self._refused(file.path, "It is a copy of an image that cannot be read.")
        if self._store is not None:
            self._store.append(list(made.values()))
            keys = [(f.sha, f.sha) for f in files if f.sha in made or f.data is None]
            table = self._store.read(keys) if keys else None
        else:
            marks = [made[f.sha] for f in files if f.sha in made]
            table = MarkTable.of([m.number for m in marks], [m.description for m in marks]) if marks else None
        return table

    def _load(self, path: Path) -> _File | None:
        try:
            data = path.read_bytes()
        except OSError as error:
            self._refused(path, f"The file cannot be read ({error.strerror}).")
            self._done(1)
            return None
        sha = hashlib.sha256(data).hexdigest()
        if self._store is not None and not self._store.missing([(sha, sha)]):
            self._done(1)
            return _File(path, sha, None)
        return _File(path, sha, data)

    def _describe(self, files: Sequence[_File]) -> dict[str, DescribedMark]:
        found: dict[str, DescribedMark] = {}
        for start in range(0, len(files), 32):
            batch: list[tuple[str, Picture]] = []
            for file in files[start : start + 32]:
                try:
                    batch.append((file.sha, decode_picture(file.data or b"")))
                except ImageRefused as refusal:
                    self._refused(file.path, str(refusal))
            descriptions = self._describer.describe([picture for _, picture in batch]) if batch else []
            for (sha, _), description in zip(batch, descriptions, strict=True):
                found[sha] = DescribedMark(sha, sha, description)
            self._done(len(files[start : start + 32]))
        return found
