"""Held-out queries with their calibrated similarities, in the splits that tuning may see: fit and validate.

The directory is in METU layout (settings.TM_HELD_OUT). Images that the register has described already are not
described again; others are kept in a store of their own.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings

from search.engine import engine
from search.errors import Refused
from search.retrieval.calibration import Calibration
from search.retrieval.clusters import Clusters
from search.retrieval.crowding import cut_shift
from search.retrieval.decoding import decode_apart
from search.retrieval.describe import Describer
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.imaging import ImageRefused
from search.retrieval.similarity import table_similarities
from search.retrieval.snapshot import Snapshot
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import DescribedMark, SegmentsDamaged, VectorStore
from tuning.evaluation.metu import LayoutError, MetuLayout, images_in, load
from tuning.evaluation.splits import split_groups
from tuning.objective import HeldOut, HeldOutQuery

Progress = Callable[[int, int, str], None]
_CHUNK = 64
# Beyond this a query keeps only the marks that some weight vector could bring near the top (see _kept).
_FULL_ROWS = 20_000
_NEAREST = 2_000


def held_out_load(snapshot: Snapshot, *, progress: Progress = lambda *_: None) -> tuple[HeldOut, HeldOut]:
    """(fit, validate) for the clusters and calibration of a snapshot. The test split is never loaded.

    Raises Refused with a sentence when the directory is missing or not in METU layout.
    """
    marks = HeldOutMarks.described(engine.describer, progress=progress)
    return (
        marks.queries("fit", snapshot.calibration, snapshot.clusters),
        marks.queries("validate", snapshot.calibration, snapshot.clusters),
    )


def held_out_layout() -> MetuLayout:
    """The directory of the held-out queries; raises Refused with a sentence."""
    root = Path(settings.TM_HELD_OUT)
    try:
        return load(root / "queries", root / "pool")
    except LayoutError as error:
        raise Refused(f"The held-out queries cannot be read: {error}") from None


def held_out_digests() -> frozenset[str]:
    """SHA-256 of the pictures of all held-out queries; none where there is no directory. The pool is not looked at.

    Who searches for one of them teaches what the gate judges by, so such a search is no evidence.
    """
    paths = images_in(Path(settings.TM_HELD_OUT) / "queries")
    return frozenset(_digest(path, path.stat().st_mtime_ns) for path in paths)


@functools.lru_cache(maxsize=16_384)
def _digest(path: Path, changed: int) -> str:
    """changed: tells a file from one that took its name later."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class HeldOutMarks:
    """All readable held-out images as one describer sees them. place: path -> row of the table."""

    layout: MetuLayout
    names: tuple[str, ...]
    table: MarkTable
    place: dict[Path, int]

    @classmethod
    def described(cls, describer: Describer, *, progress: Progress = lambda *_: None) -> "HeldOutMarks":
        """Describe what has not been described before. Raises Refused as `held_out_layout` does."""
        layout = held_out_layout()
        table, used = _described([*layout.query_paths, *layout.pool_paths], describer, progress)
        # A descriptor that is off has no similarities and no weight.
        return cls(layout, tuple(describer.names), table, {path: row for row, path in enumerate(used)})

    def queries(self, split: str, calibration: Calibration, clusters: Clusters | None) -> HeldOut:
        """The queries of a split. clusters: None leaves open which cluster each is routed to."""
        axes = np.array([DESCRIPTORS.index(name) for name in self.names])
        members = self._members()
        queries = []
        for path, group in self._of(split):
            if len(members[group]) < 2:
                continue
            own = self.place[path]
            description = self.table.description(own)
            relevant = np.zeros(len(self.table), dtype=bool)
            relevant[members[group]] = True
            relevant[own] = False
            similarities = calibration.apply(table_similarities([description], self.table)[0])
            rows = _kept(similarities, relevant, own)
            others = np.arange(len(similarities)) != own
            queries.append(
                HeldOutQuery(
                    name=path.name,
                    group=group,
                    cluster=int(clusters.assign(description.vectors["general"])[0]) if clusters else None,
                    similarities=similarities[np.ix_(rows, axes)],
                    relevant=relevant[rows],
                    own=int(np.flatnonzero(rows == own)[0]),
                    cut_shift=cut_shift(similarities[others]),
                )
            )
        return HeldOut(self.names, tuple(queries))

    def raw(self, split: str, *, pool: int, most: int) -> tuple[np.ndarray, list[str]]:
        """Raw similarities (q, q + pool, descriptors) of up to `most` queries of a split to one another and to the
        first `pool` marks of the pool, and the queries' groups: what a calibration is fitted on."""
        found = self._of(split)[:most]
        near = [self.place[path] for path in self.layout.pool_paths if path in self.place][:pool]
        table = self.table.take(np.array([self.place[path] for path, _ in found] + near, dtype=np.intp))
        asked = [table.description(row) for row in range(len(found))]
        return table_similarities(asked, table), [group for _, group in found]

    def _of(self, split: str) -> list[tuple[Path, str]]:
        """Readable queries of a split, in the order of the layout."""
        groups = split_groups(self.layout)[split]
        both = zip(self.layout.query_paths, self.layout.groups, strict=True)
        return [(path, group) for path, group in both if group in groups and path in self.place]

    def _members(self) -> dict[str, list[int]]:
        members: dict[str, list[int]] = {}
        for path, group in zip(self.layout.query_paths, self.layout.groups, strict=True):
            if path in self.place:
                members.setdefault(group, []).append(self.place[path])
        return members


def _described(paths: list[Path], describer: Describer, progress: Progress) -> tuple[MarkTable, list[Path]]:
    """All readable images as one table, in the order of the returned paths."""
    vectors = engine.vectors_of(describer)
    register = {sha: number for number, sha in vectors.known()}
    own = VectorStore(Path(settings.TM_DATA_DIR) / "held-out-vectors", describer.version)
    mine = {sha for _, sha in own.known()}
    digests = {path: _digest(path, path.stat().st_mtime_ns) for path in paths}
    fresh = list(
        {digests[path]: path for path in paths if digests[path] not in register and digests[path] not in mine}.values()
    )
    for start in range(0, len(fresh), _CHUNK):
        progress(start, len(fresh), "describing the held-out marks")
        chunk = []
        for path in fresh[start : start + _CHUNK]:
            try:
                chunk.append((digests[path], decode_apart(path.read_bytes())))
            except ImageRefused:
                continue  # a broken file in an office's pool must not stop the week's run
        descriptions = describer.describe([picture for _, picture in chunk])
        own.append([DescribedMark(sha, sha, d) for (sha, _), d in zip(chunk, descriptions, strict=True)])
    mine = {sha for _, sha in own.known()}
    from_register = [p for p in paths if digests[p] in register]
    from_own = [p for p in paths if digests[p] not in register and digests[p] in mine]
    parts = []
    try:
        if from_register:
            parts.append(vectors.read([(register[digests[p]], digests[p]) for p in from_register]))
        if from_own:
            parts.append(own.read([(digests[p], digests[p]) for p in from_own]))
    except SegmentsDamaged:
        return _described(paths, describer, progress)  # what was damaged is set aside and missing now
    return MarkTable.concatenate(parts), from_register + from_own


def _kept(similarities: np.ndarray, relevant: np.ndarray, own: int) -> np.ndarray:
    """Rows of a query that matter for its first 100 places: all of a small pool; of a large one the relevant
    marks and the nearest by each descriptor alone (a mark far down in all of them is far down in any mix)."""
    count = len(relevant)
    if count <= _FULL_ROWS:
        return np.arange(count)
    keep = relevant.copy()
    keep[own] = True
    for column in np.nan_to_num(similarities, nan=-1.0).T:
        keep[np.argpartition(-column, _NEAREST)[:_NEAREST]] = True
    return np.flatnonzero(keep)
