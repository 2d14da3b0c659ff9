"""The marks that stand for a cluster: its members nearest the centroid, read from a snapshot's files alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import feather

from search.retrieval._snapshot_files import check_files, read_clusters, read_manifest
from search.retrieval.clusters import Clusters

MOST_READ = 5_000
"""Members of a cluster that are looked at. Of a larger cluster the first ones stand for all, so that a page of a
register of millions opens at once."""
_VECTOR = "vector_general"


def clusters_of(folder: Path) -> Clusters:
    """The clustering of the snapshot in `folder`. Raises SnapshotRefused when the snapshot is damaged."""
    return read_clusters(folder)[1]


def nearest_members(folder: Path, cluster: int, *, most: int = 12) -> list[str]:
    """Numbers of up to `most` members of a cluster of the snapshot in `folder`, nearest (Euclidean) first.

    Copies of one image would say the same thing twice: of equal vectors only the first is named. Empty for a cluster
    without members. Raises SnapshotRefused when the snapshot is damaged.
    """
    clusters = clusters_of(folder)
    name = f"clusters/{cluster:02d}.feather"
    manifest = read_manifest(folder)
    if not 0 <= cluster < len(clusters) or name not in manifest["files"]:
        return []
    check_files(folder, manifest, only=[name])
    # Not mapped: a file that is cut while it is mapped ends the process (SIGBUS).
    with pa.OSFile(str(folder / name)) as source:
        wanted = feather.read_table(source, columns=["number", _VECTOR])
        stored = wanted.slice(0, MOST_READ).combine_chunks()
        numbers = stored["number"].to_pylist()
        flat = stored[_VECTOR].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = np.array(flat, dtype=np.float32).reshape(len(numbers), -1)
    order = np.argsort(((vectors - clusters.centroids[cluster]) ** 2).sum(axis=1), kind="stable")
    found: list[int] = []
    for place in map(int, order):
        if not found or not np.array_equal(vectors[place], vectors[found[-1]]):  # copies lie equally far
            found.append(place)
        if len(found) == most:
            break
    return [str(numbers[place]) for place in found]
