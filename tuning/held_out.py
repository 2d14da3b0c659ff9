"""Held-out queries with their calibrated similarities, in the splits that tuning may see: fit and validate.

The directory is in METU layout (settings.TM_HELD_OUT). Images that the register has described already are not
described again; others are kept in a store of their own.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from django.conf import settings

from search.engine import engine
from search.errors import Refused
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.imaging import ImageRefused, decode_picture
from search.retrieval.similarity import table_similarities
from search.retrieval.snapshot import Snapshot
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import DescribedMark, VectorStore
from tuning.evaluation.metu import LayoutError, MetuLayout, load
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
    root = Path(settings.TM_HELD_OUT)
    try:
        layout = load(root / "queries", root / "pool")
    except LayoutError as error:
        raise Refused(f"The held-out queries cannot be read: {error}") from None
    splits = split_groups(layout)
    paths = [*layout.query_paths, *layout.pool_paths]
    table, used = _described(paths, progress)
    place = {path: row for row, path in enumerate(used)}
    return (
        _queries(layout, splits["fit"], table, place, snapshot),
        _queries(layout, splits["validate"], table, place, snapshot),
    )


def _described(paths: list[Path], progress: Progress) -> tuple[MarkTable, list[Path]]:
    """All readable images as one table, in the order of the returned paths."""
    register = {sha: number for number, sha in engine.vectors.known()}
    own = VectorStore(Path(settings.TM_DATA_DIR) / "held-out-vectors", engine.describer.version)
    mine = {sha for _, sha in own.known()}
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    fresh = list(
        {digests[path]: path for path in paths if digests[path] not in register and digests[path] not in mine}.values()
    )
    for start in range(0, len(fresh), _CHUNK):
        progress(start, len(fresh), "describing the held-out marks")
        chunk = []
        for path in fresh[start : start + _CHUNK]:
            try:
                chunk.append((digests[path], decode_picture(path.read_bytes())))
            except ImageRefused:
                continue  # a broken file in an office's pool must not stop the week's run
        descriptions = engine.describer.describe([picture for _, picture in chunk])
        own.append([DescribedMark(sha, sha, d) for (sha, _), d in zip(chunk, descriptions, strict=True)])
    mine = {sha for _, sha in own.known()}
    from_register = [p for p in paths if digests[p] in register]
    from_own = [p for p in paths if digests[p] not in register and digests[p] in mine]
    parts = []
    if from_register:
        parts.append(engine.vectors.read([(register[digests[p]], digests[p]) for p in from_register]))
    if from_own:
        parts.append(own.read([(digests[p], digests[p]) for p in from_own]))
    return MarkTable.concatenate(parts), from_register + from_own


def _queries(
    layout: MetuLayout, groups: frozenset[str] | set[str], table: MarkTable, place: dict[Path, int], snapshot: Snapshot
) -> HeldOut:
    names = engine.describer.names  # a descriptor that is off has no similarities and no weight
    axes = np.array([DESCRIPTORS.index(name) for name in names])
    members: dict[str, list[int]] = {}
    for path, group in zip(layout.query_paths, layout.groups, strict=True):
        if path in place:
            members.setdefault(group, []).append(place[path])
    queries = []
    for path, group in zip(layout.query_paths, layout.groups, strict=True):
        if group not in groups or path not in place or len(members[group]) < 2:
            continue
        own = place[path]
        description = table.description(own)
        relevant = np.zeros(len(table), dtype=bool)
        relevant[members[group]] = True
        relevant[own] = False
        similarities = snapshot.calibration.apply(table_similarities([description], table)[0])
        rows = _kept(similarities, relevant, own)
        queries.append(
            HeldOutQuery(
                name=path.name,
                group=group,
                cluster=int(snapshot.clusters.assign(description.vectors["general"])[0]),
                similarities=similarities[np.ix_(rows, axes)],
                relevant=relevant[rows],
                own=int(np.flatnonzero(rows == own)[0]),
            )
        )
    return HeldOut(names, tuple(queries))


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
