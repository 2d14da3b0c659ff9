"""Images on disk to one vector each, kept in a cache: the rows that need no description of the mark. Pure.

What a source made is kept in segments on disk, keyed by the content's SHA-256 and the source's version: a run that was
stopped goes on where it was, a second run only compares.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.retrieval.durable import whole_file
from search.retrieval.imaging import ImageRefused, Picture, decode_picture
from tuning.evaluation.rows import FIT_MARKS, Source, Vectors

__all__ = ["SegmentCache", "WholeMarks"]

CHUNK, BATCH = 256, 32
"""Marks in one segment of the cache; marks given to the source at a time."""
_BLOCK = 2048
_SHA = "sha"


class SegmentCache:
    """Columns of vectors by content digest: segments on disk below `root`, or in memory where root is None.

    A segment is one .npz, written under a temporary name and renamed, never changed afterwards.
    """

    def __init__(self, root: Path | None, version: str) -> None:
        self._folder = None if root is None else root / hashlib.sha256(version.encode()).hexdigest()[:16]
        self._segments: list[Path | Mapping[str, NDArray[np.generic]]] = []
        self._known: dict[str, tuple[int, int]] = {}
        if self._folder is not None and self._folder.is_dir():
            for path in sorted(self._folder.glob("*.npz")):
                self._take(path)

    def __contains__(self, sha: str) -> bool:
        return sha in self._known

    def append(self, shas: Sequence[str], columns: Mapping[str, Vectors]) -> None:
        """Keep rows of every column; shas: hex digests, one for each row."""
        content: dict[str, NDArray[np.generic]] = {_SHA: np.array(shas, dtype="S64"), **columns}
        if self._folder is None:
            self._take(content)
            return
        path = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.npz"
        with whole_file(path) as hidden, hidden.open("wb") as file:
            np.savez(file, **content)  # type: ignore[arg-type]
        self._take(path)

    def read(self, shas: Sequence[str], column: str, through: Callable[[Vectors], Vectors] | None = None) -> Vectors:
        """float32 (n, d) of these digests in their order, each segment read once and passed `through`.

        Raises KeyError for one that is not there.
        """
        wanted: dict[int, list[tuple[int, int]]] = {}
        for place, sha in enumerate(shas):
            segment, row = self._known[sha]
            wanted.setdefault(segment, []).append((place, row))
        out = np.zeros((len(shas), 0), np.float32)
        for segment, pairs in wanted.items():
            places, rows = np.array(pairs).T
            values = self._column(segment, column)[rows].astype(np.float32)
            made = values if through is None else through(values)
            if not out.shape[1]:
                out = np.zeros((len(shas), made.shape[1]), np.float32)
            out[places] = made
        return out

    def _take(self, segment: Path | Mapping[str, NDArray[np.generic]]) -> None:
        self._segments.append(segment)
        for row, sha in enumerate(self._column(len(self._segments) - 1, _SHA).tolist()):
            self._known[sha.decode()] = (len(self._segments) - 1, row)

    def _column(self, segment: int, name: str) -> NDArray[np.generic]:
        found = self._segments[segment]
        if not isinstance(found, Path):
            return found[name]
        with np.load(found, allow_pickle=False) as stored:
            column: NDArray[np.generic] = stored[name]
            return column


class WholeMarks:
    """Vectors of image files through a source.

    root: where they are kept; None = in memory. done: called with the number of images finished since the last call.
    """

    def __init__(self, source: Source, root: Path | None, *, done: Callable[[int], None] = lambda _: None) -> None:
        self._source, self._done = source, done
        self._cache = SegmentCache(root, source.version)

    def digests(self, paths: Sequence[Path], refused: Callable[[Path, str], None]) -> list[str]:
        """Make sure that the vectors of all readable images are there; their digests in the order of paths.

        refused: called with (path, sentence) for an unreadable image.
        """
        found: list[str] = []
        for start in range(0, len(paths), CHUNK):
            files = [
                (path, sha, data) for path in paths[start : start + CHUNK] for sha, data in self._load(path, refused)
            ]
            fresh = {sha: (path, data) for path, sha, data in files if data is not None}
            self._describe(fresh, refused)
            for path, sha, data in files:  # the same content twice in a chunk is described once
                if data is not None and path != fresh[sha][0]:
                    self._done(1)
                    if sha not in self._cache:
                        refused(path, "It is a copy of an image that cannot be read.")
            found += [sha for _, sha, _ in files if sha in self._cache]
        return found

    def matrix(self, row: str, digests: Sequence[str], sample: Sequence[str]) -> Vectors:
        """Finished vectors float32 (n, d) of a row. sample: digests of the pool marks to fit on, any number."""
        whitening = self._source.finish(lambda: self._cache.read(_spread(sample, FIT_MARKS), row))
        return self._cache.read(digests, row, None if whitening is None else whitening.apply)

    def _load(self, path: Path, refused: Callable[[Path, str], None]) -> Iterator[tuple[str, bytes | None]]:
        """The digest, and the content where it still has to be described; nothing for an unreadable file."""
        try:
            data = path.read_bytes()
        except OSError as error:
            refused(path, f"The file cannot be read ({error.strerror}).")
            self._done(1)
            return
        sha = hashlib.sha256(data).hexdigest()
        known = sha in self._cache
        if known:
            self._done(1)
        yield sha, None if known else data

    def _describe(self, fresh: Mapping[str, tuple[Path, bytes]], refused: Callable[[Path, str], None]) -> None:
        shas: list[str] = []
        parts: dict[str, list[Vectors]] = {}
        entries = list(fresh.items())
        for start in range(0, len(entries), BATCH):
            pictures: list[Picture] = []
            for sha, (path, data) in entries[start : start + BATCH]:
                try:
                    pictures.append(decode_picture(data))
                except ImageRefused as refusal:
                    refused(path, str(refusal))
                else:
                    shas.append(sha)
            for row, vectors in (self._source.vectors(pictures) if pictures else {}).items():
                parts.setdefault(row, []).append(vectors)
            self._done(len(entries[start : start + BATCH]))
        if shas:
            self._cache.append(shas, {row: np.concatenate(found) for row, found in parts.items()})


def cosine_chunks(vectors: Vectors, queries: int) -> Iterator[NDArray[np.float32]]:
    """Similarities (q, m, 1) of the first `queries` rows to all, the queries first; NaN where a mark has no vector."""
    heads = vectors[:queries]
    missing = ~heads.any(axis=1)
    for start, end in [(0, queries), *((at, at + _BLOCK) for at in range(queries, len(vectors), _BLOCK))]:
        block = vectors[start:end]
        sims = np.asarray(heads @ block.T, dtype=np.float32)
        sims[:, ~block.any(axis=1)] = np.nan
        sims[missing] = np.nan
        yield sims[:, :, None]


def _spread(items: Sequence[str], most: int) -> Sequence[str]:
    """At most so many, evenly from the whole."""
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).astype(int)]
