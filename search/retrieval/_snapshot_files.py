"""The files of one snapshot: writing them into a directory, reading them back."""

from __future__ import annotations

import hashlib
import json
import os
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
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.engines import VectorIndex, build_index, load_index
from search.retrieval.engines.hamming import HammingIndex, build_hamming
from search.retrieval.filtering import MetadataColumns
from search.retrieval.hashing.head import HashHead
from search.retrieval.records import MarkRecord
from search.retrieval.table import MarkTable

FORMAT = 1
_HEAD, _CODES = "hash.safetensors", "codes.faiss"
_REBUILD = "Rebuild it with `python manage.py snapshot`."


class SnapshotRefused(RuntimeError):  # noqa: N818  an answer to an operator, with what to do
    """The snapshot cannot serve; str(e) is a sentence that says why and how to rebuild."""


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

    @property
    def count(self) -> int:
        return len(self.table)


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
) -> str:
    """Write every file of a snapshot into `folder`, the manifest last; returns the new snapshot's id.

    hash_head: the first stage of searches is by the Hamming distance of its codes; None = by the linear score.
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
    build_index(side_by_side(table)).save(folder / "index.faiss")
    progress("index", 1, 2)
    if len(table.regions):
        build_index(table.regions.astype(np.float32)).save(folder / "regions.faiss")
    if hash_head is not None:
        # The head lies with its codes: a later release may ship another one of that name.
        hash_head.save(folder / _HEAD)
        build_hamming(hash_head.codes(table.vectors["general"])).save(folder / _CODES)
    progress("index", 2, 2)
    np.savez(folder / "clusters.npz", centroids=clusters.centroids, shares=clusters.shares)
    (folder / "calibration.json").write_text(json.dumps(calibration.to_json(), indent=1), "utf-8")

    now = datetime.now(UTC)
    snapshot_id = f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}"
    files = {str(p.relative_to(folder)): _stamp(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest = {
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
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), "utf-8")
    for path in folder.rglob("*"):
        _sync(path)
    return snapshot_id


def read_clusters(folder: Path) -> tuple[str, Clusters]:
    """The descriptors' version and the clustering, for the snapshot that follows. Raises SnapshotRefused."""
    version = str(_manifest(folder)["descriptors_version"])
    with np.load(folder / "clusters.npz", allow_pickle=False) as stored:
        return version, Clusters(stored["centroids"], stored["shares"])


def read_snapshot(folder: Path, *, descriptors_version: str | None = None, gpu: bool = False) -> Snapshot:
    """Load the snapshot in `folder`. Raises SnapshotRefused."""
    manifest = _manifest(folder)
    version = str(manifest["descriptors_version"])
    if descriptors_version is not None and version != descriptors_version:
        raise SnapshotRefused(
            f"Snapshot {folder.name} was made with descriptors {version}, but this service describes with "
            f"{descriptors_version}; their vectors cannot be compared. {_REBUILD}"
        )
    _, clusters = read_clusters(folder)
    tables, records, assignment = [], [], []
    for path in sorted((folder / "clusters").glob("*.feather"), key=lambda p: int(p.stem)):
        table, extra = read_table(path)
        tables.append(table)
        records += _records(table.numbers, extra)
        assignment.append(np.full(len(table), int(path.stem), dtype=np.int64))
    whole = MarkTable.concatenate(tables)
    has_regions = (folder / "regions.faiss").is_file()
    return Snapshot(
        id=str(manifest["id"]),
        descriptors_version=version,
        clusters=clusters,
        calibration=Calibration.from_json(json.loads((folder / "calibration.json").read_text("utf-8"))),
        table=whole,
        columns=MetadataColumns.of(records),
        assignment=np.concatenate(assignment),
        index=load_index(folder / "index.faiss", gpu=gpu),
        regions=load_index(folder / "regions.faiss", gpu=gpu) if has_regions else None,
        manifest=manifest,
        codes=_codes(folder) if manifest.get("candidates", {}).get("stage") == "hamming" else None,
    )


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


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise SnapshotRefused(f"Snapshot {folder.name} is incomplete. {_REBUILD}") from None
    if manifest.get("format") != FORMAT:
        raise SnapshotRefused(f"Snapshot {folder.name} was written by another release. {_REBUILD}")
    for name, stamp in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != stamp["bytes"]:
            raise SnapshotRefused(f"Snapshot {folder.name} is damaged: {name} is missing or cut. {_REBUILD}")
    return manifest


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


def _stamp(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
