"""The files of one snapshot: writing them into a directory, reading them back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search.retrieval._feather import read_table, write_table
from search.retrieval.calibration import Calibration
from search.retrieval.clusters import Clusters
from search.retrieval.descriptors import VECTOR_DESCRIPTORS
from search.retrieval.durable import sync_tree
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.engines import VectorIndex, build_index, load_index
from search.retrieval.engines.hamming import HammingIndex, build_hamming
from search.retrieval.filtering import MetadataColumns
from search.retrieval.hashing.head import HashHead
from search.retrieval.integrity import FileDamaged, Pace, check, check_sizes, seal, stamp
from search.retrieval.probe import Probe
from search.retrieval.records import MarkRecord
from search.retrieval.table import MarkTable

FORMAT = 2
"""1 had neither a seal on the manifest nor a probe; it is still read."""
_READABLE = (1, 2)
_HEAD, _CODES = "hash.safetensors", "codes.faiss"
_REBUILD = "The running service will build it again, as `python manage.py snapshot` does."


class SnapshotRefused(RuntimeError):  # noqa: N818  an answer to an operator, with what to do
    """The snapshot cannot serve; str(e) is a sentence that says why and how to rebuild."""


class OtherDescriptors(SnapshotRefused):
    """It is whole, but its vectors cannot be compared with those of this service."""


@dataclass(frozen=True)
class HashCodes:
    """Codes of the marks, in the order of the table, and the head that made them and makes those of queries."""

    head: HashHead
    index: HammingIndex


@dataclass(frozen=True)
class Snapshot:
    """A loaded snapshot. Row i of table, columns, assignment and index is one and the same mark."""

    id: str
    descriptors_version: str
    clusters: Clusters
    calibration: Calibration
    table: MarkTable
    columns: MetadataColumns
    assignment: NDArray[np.int64]
    index: VectorIndex
    regions: VectorIndex | None
    manifest: dict[str, Any]
    codes: HashCodes | None = None
    """Where the first stage is by Hamming distance."""
    probe: Probe | None = None

    @property
    def count(self) -> int:
        return len(self.table)


MakeProbe = Callable[[Snapshot], Probe]


def write_snapshot(
    folder: Path,
    *,
    table: MarkTable,
    metadata: Sequence[MarkRecord],
    clusters: Clusters,
    calibration: Calibration,
    descriptors_version: str,
    left_out: int,
    progress: Callable[[str, int, int], None],
    hash_head: HashHead | None = None,
    probe: MakeProbe | None = None,
) -> str:
    """Write every file of a snapshot into `folder`, the manifest last; returns the new snapshot's id.

    hash_head: the first stage of searches is by the Hamming distance of its codes; None = by the linear score.
    probe: asks the snapshot, as it was built in memory, the search that is kept with it.
    """
    assignment = clusters.assign(table.vectors["general"])
    clusters = clusters.with_members(assignment)
    order = np.argsort(assignment, kind="stable")
    table, assignment = table.take(order), assignment[order]
    rows = [metadata[int(place)] for place in order]

    (folder / "clusters").mkdir(parents=True)
    for done, cluster in enumerate(np.unique(assignment)):
        members = np.flatnonzero(assignment == cluster)
        extra = _metadata_columns([rows[int(m)] for m in members])
        write_table(folder / "clusters" / f"{cluster:02d}.feather", table.take(members), extra)
        progress("cluster files", done + 1, len(clusters))
    progress("index", 0, 2)
    index = build_index(side_by_side(table))
    index.save(folder / "index.faiss")
    progress("index", 1, 2)
    regions = build_index(table.regions.astype(np.float32)) if len(table.regions) else None
    if regions is not None:
        regions.save(folder / "regions.faiss")
    codes = None
    if hash_head is not None:
        # The head lies with its codes: a later release may ship another one of that name.
        codes = HashCodes(hash_head, build_hamming(hash_head.codes(table.vectors["general"])))
        hash_head.save(folder / _HEAD)
        codes.index.save(folder / _CODES)
    progress("index", 2, 2)
    np.savez(folder / "clusters.npz", centroids=clusters.centroids, shares=clusters.shares)
    (folder / "calibration.json").write_text(json.dumps(calibration.to_json(), indent=1), "utf-8")

    now = datetime.now(UTC)
    snapshot_id = f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}"
    if probe is not None:
        columns = MetadataColumns.of(rows)
        # fmt: off
        built = Snapshot(
            snapshot_id, descriptors_version, clusters, calibration, table, columns, assignment, index, regions, {},
            codes,
        )
        # fmt: on
        probe(built).save(folder)
    files = {str(p.relative_to(folder)): stamp(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "id": snapshot_id,
        "created": now.isoformat(timespec="seconds"),
        "descriptors_version": descriptors_version,
        "clusters_version": clusters.version,
        "calibration_version": calibration.version,
        "marks": len(table),
        "left_out": left_out,
        "regions": len(table.regions),
        "clusters": len(clusters),
        "candidates": _stage(hash_head),
        "files": files,
    }
    manifest["seal"] = seal(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), "utf-8")
    sync_tree(folder)
    return snapshot_id


def read_clusters(folder: Path) -> tuple[str, Clusters]:
    """The descriptors' version and the clustering, for the snapshot that follows. Raises SnapshotRefused."""
    manifest = read_manifest(folder)
    check_files(folder, manifest, only=["clusters.npz"])
    return str(manifest["descriptors_version"]), _clusters(folder)


def read_snapshot(folder: Path, *, descriptors_version: str | None = None, gpu: bool = False) -> Snapshot:
    """Load the snapshot in `folder`, every byte of it checked. Raises SnapshotRefused."""
    manifest = read_manifest(folder)
    version = str(manifest["descriptors_version"])
    if descriptors_version is not None and version != descriptors_version:
        raise OtherDescriptors(
            f"Snapshot {folder.name} was made with descriptors {version}, but this service describes with "
            f"{descriptors_version}; their vectors cannot be compared. {_REBUILD}"
        )
    check_files(folder, manifest)
    tables, records, assignment = [], [], []
    names = [name for name in manifest["files"] if name.startswith("clusters/")]
    for path in sorted((folder / name for name in names), key=lambda p: int(p.stem)):
        table, extra = read_table(path)
        tables.append(table)
        records += _records(table.numbers, extra)
        assignment.append(np.full(len(table), int(path.stem), dtype=np.int64))
    whole = MarkTable.concatenate(tables)
    return Snapshot(
        id=str(manifest["id"]),
        descriptors_version=version,
        clusters=_clusters(folder),
        calibration=Calibration.from_json(json.loads((folder / "calibration.json").read_text("utf-8"))),
        table=whole,
        columns=MetadataColumns.of(records),
        assignment=np.concatenate(assignment),
        index=load_index(folder / "index.faiss", gpu=gpu),
        regions=load_index(folder / "regions.faiss", gpu=gpu) if "regions.faiss" in manifest["files"] else None,
        manifest=manifest,
        codes=_codes(folder) if manifest.get("candidates", {}).get("stage") == "hamming" else None,
        probe=Probe.load(folder),
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, itself unaltered, of files that are all there in full length. Raises SnapshotRefused."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
        written, sealed, files = manifest["format"], manifest.get("seal"), manifest["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise SnapshotRefused(f"Snapshot {folder.name} is incomplete. {_REBUILD}") from None
    if written not in _READABLE:
        raise SnapshotRefused(f"Snapshot {folder.name} was written by another release. {_REBUILD}")
    if sealed != seal(manifest) and not (sealed is None and written == 1):
        raise SnapshotRefused(f"Snapshot {folder.name} is damaged: its manifest has changed. {_REBUILD}")
    try:
        check_sizes(folder, files)
    except FileDamaged as damage:
        raise _damaged(folder, damage) from None
    return manifest


def check_files(
    folder: Path, manifest: dict[str, Any], *, only: Sequence[str] | None = None, pace: Pace | None = None
) -> None:
    """Whether these files of the snapshot, by default all, are unaltered. Raises SnapshotRefused."""
    files = manifest["files"]
    try:
        check(folder, files if only is None else {name: files[name] for name in only if name in files}, pace=pace)
    except FileDamaged as damage:
        raise _damaged(folder, damage) from None


def _damaged(folder: Path, damage: FileDamaged) -> SnapshotRefused:
    return SnapshotRefused(f"Snapshot {folder.name} is damaged: {damage}. {_REBUILD}")


def _clusters(folder: Path) -> Clusters:
    with np.load(folder / "clusters.npz", allow_pickle=False) as stored:
        return Clusters(stored["centroids"], stored["shares"])


def side_by_side(table: MarkTable) -> NDArray[np.float32]:
    """[x_1 | ... | x_n], the row of each mark in the candidate index; a missing descriptor is zeros."""
    return np.concatenate([table.vectors[name] for name in VECTOR_DESCRIPTORS], axis=1)


def _stage(head: HashHead | None) -> dict[str, str]:
    """How the first stage finds candidates, for the manifest."""
    return {"stage": "linear"} if head is None else {"stage": "hamming", "hash": head.name, "version": head.version}


def _codes(folder: Path) -> HashCodes:
    try:
        return HashCodes(HashHead.load(folder / _HEAD), HammingIndex.load(folder / _CODES))
    except WeightsUnusable as reason:
        raise SnapshotRefused(f"Snapshot {folder.name} is damaged: {reason} {_REBUILD}") from None


def _metadata_columns(records: Sequence[MarkRecord]) -> dict[str, Any]:
    return {
        "nice": pa.array([list(r.nice) for r in records], pa.list_(pa.int8())),
        "jurisdiction": pa.array([r.jurisdiction for r in records], pa.string()),
        "status": pa.array([r.status for r in records], pa.string()),
        "filing_date": pa.array([r.filing_date for r in records], pa.date32()),
        "image_sha256": pa.array([r.image_sha256 for r in records], pa.string()),
    }


def _records(numbers: NDArray[np.object_], extra: dict[str, list[Any]]) -> list[MarkRecord]:
    rows = zip(
        numbers, extra["nice"], extra["jurisdiction"], extra["status"], extra["filing_date"],
        extra["image_sha256"], strict=True,
    )  # fmt: skip
    return [MarkRecord(str(n), tuple(nice), j, s, filed, sha) for n, nice, j, s, filed, sha in rows]
