"""Exemplars of clusters as rows of the register. The web process reads them from the files of the snapshot."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from search.engine import engine
from search.models import Mark
from search.retrieval.exemplars import clusters_of, nearest_members
from search.retrieval.snapshot import SnapshotRefused

MOST = 12


@dataclass(frozen=True)
class Clustering:
    """The clusters of the snapshot that serves now. shares: of the register's marks, by cluster."""

    snapshot: str
    version: str
    shares: tuple[float, ...]


def clustering_now() -> Clustering | None:
    """None before the first snapshot, or while it cannot be read."""
    store = engine.snapshots
    live = store.current()
    return _clustering(store.root, live) if live else None


def exemplars_of(clusters: Iterable[int], *, most: int = MOST) -> dict[int, list[Mark]]:
    """Cluster -> marks nearest its centroid; clusters without any are left out. One query for all."""
    now = clustering_now()
    if now is None:
        return {}
    root = engine.snapshots.root
    numbers = {cluster: _numbers(root, now.snapshot, cluster)[:most] for cluster in clusters}
    marks = Mark.objects.in_bulk({n for named in numbers.values() for n in named}, field_name="number")
    found = {cluster: [marks[n] for n in named if n in marks] for cluster, named in numbers.items()}
    return {cluster: named for cluster, named in found.items() if named}


# A snapshot never changes, so what was read once holds; an old one's entries fall out.
@lru_cache(maxsize=4)
def _clustering(root: Path, snapshot: str) -> Clustering | None:
    try:
        clusters = clusters_of(root / snapshot)
    except SnapshotRefused:
        return None
    return Clustering(snapshot, clusters.version, tuple(float(share) for share in clusters.shares))


@lru_cache(maxsize=256)
def _numbers(root: Path, snapshot: str, cluster: int) -> tuple[str, ...]:
    try:
        return tuple(nearest_members(root / snapshot, cluster, most=MOST))
    except SnapshotRefused:
        return ()
