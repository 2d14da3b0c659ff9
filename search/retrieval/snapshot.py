"""Index snapshots: directories that are complete or invisible, and a pointer that is switched at once.

root/
  CURRENT                 the id of the live snapshot, replaced atomically
  20260101T120000-ab12cd/
    manifest.json         versions, counts, size and SHA-256 of every file, and a seal of its own; written last
    clusters/00.feather   the marks of each cluster: metadata, vectors, parts
    index.faiss           [general | edges | colour] side by side, in the order of the cluster files
    regions.faiss         one row per part, in the same order (absent when no mark has parts)
    calibration.json  clusters.npz
    codes.faiss           binary codes, hash.safetensors and .json the head that made them: where the first stage is by
                          Hamming distance (manifest: "candidates")
    probe.webp  .json     a search and its answer, which whatever serves the snapshot must give again
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from search.retrieval import progress
from search.retrieval._snapshot_files import (
    FORMAT,
    MakeProbe,
    OtherDescriptors,
    Snapshot,
    SnapshotRefused,
    check_files,
    read_clusters,
    read_manifest,
    read_snapshot,
    write_snapshot,
)
from search.retrieval.calibration import Calibration
from search.retrieval.clusters import Clusters, fit_clusters
from search.retrieval.durable import make_folder, sync, write_whole
from search.retrieval.hashing.head import HashHead
from search.retrieval.integrity import Pace
from search.retrieval.records import Filters, MarkRecord
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import VectorStore

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""

_POINTER = "CURRENT"
_BUILDING = ".building-"
_ID = re.compile(r"[0-9][0-9A-Za-z-]*")


class SnapshotStore:
    """All snapshots of one register under `root`. Any number of readers; publishers take turns."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def current(self) -> str | None:
        """The id of the live snapshot; None before the first, or where the pointer is lost or names none.

        Cheap enough to ask at every search.
        """
        try:
            named = (self.root / _POINTER).read_text("utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        return named if _ID.fullmatch(named) else None

    def ids(self) -> list[str]:
        """Every complete snapshot, oldest first."""
        return sorted(path.parent.name for path in self.root.glob("[0-9]*/manifest.json"))

    def manifest(self, snapshot_id: str) -> dict[str, Any]:
        """What a snapshot says of itself. Raises SnapshotRefused when it is incomplete; reads no other file."""
        return read_manifest(self.root / snapshot_id)

    def verify(self, snapshot_id: str, *, pace: Pace | None = None) -> None:
        """Read every file and compare it with the manifest. Raises SnapshotRefused; pace as in `integrity.check`."""
        check_files(self.root / snapshot_id, self.manifest(snapshot_id), pace=pace)

    def stand_ins(self, descriptors_version: str) -> Iterator[str]:
        """Snapshots that may serve where the live one cannot, newest first, of the same descriptors and calibration.

        Their bytes are not checked yet: `open` does that.
        """
        live = self.current()
        calibration = None
        for name in [*([live] if live else []), *reversed(self.ids())]:
            try:
                manifest = self.manifest(name)
            except SnapshotRefused:
                continue
            if name == live:
                calibration = manifest["calibration_version"]
            elif manifest["descriptors_version"] == descriptors_version and calibration in (
                None,
                manifest["calibration_version"],
            ):
                yield name

    def open(
        self, snapshot_id: str | None = None, *, descriptors_version: str | None = None, gpu: bool = False
    ) -> Snapshot:
        """Load a snapshot, the live one by default.

        descriptors_version: of the describer whose queries will be asked. Raises SnapshotRefused, with a
        sentence that says how to rebuild, when there is none, when it is damaged or of another version.
        """
        wanted = snapshot_id or self.current()
        if wanted is None:
            raise SnapshotRefused("There is no index snapshot yet; build one with `python manage.py snapshot`.")
        return read_snapshot(self.root / wanted, descriptors_version=descriptors_version, gpu=gpu)

    def publish(
        self,
        *,
        records: MarkTable | VectorStore,
        metadata: Sequence[MarkRecord],
        calibration: Calibration,
        descriptors_version: str,
        clusters: Clusters | None = None,
        hash_head: HashHead | None = None,
        probe: MakeProbe | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Build a snapshot aside, then make it the live one; returns its id.

        records: the described marks, joined to `metadata` by number (a VectorStore also by the image's
        SHA-256). A mark that lacks either is left out and counted in the manifest.
        clusters: None keeps the live snapshot's centroids, so cluster ids stay what ParameterSets refer to,
        or lets the silhouette choose when there is none for these descriptors. Pass `fit_clusters(...)` to
        recluster on purpose. hash_head: makes codes, by whose Hamming distance searches then find their candidates.
        probe: makes the search that is kept with the snapshot. progress: called with (stage, done, total).
        A process killed at any instant leaves CURRENT on a complete snapshot. ValueError without marks.
        """
        make_folder(self.root)
        with self._turn():
            self._sweep()
            table, rows, left_out = _join(records, metadata)
            if clusters is None:
                clusters = self._kept_clusters(descriptors_version)
            if clusters is None:
                if progress is not None:
                    progress("clusters", 0, 1)
                clusters = fit_clusters(table.vectors["general"])
            hidden = self.root / f"{_BUILDING}{os.getpid()}"
            try:
                snapshot_id = write_snapshot(
                    hidden,
                    table=table,
                    metadata=rows,
                    clusters=clusters,
                    calibration=calibration,
                    descriptors_version=descriptors_version,
                    left_out=left_out,
                    hash_head=hash_head,
                    probe=probe,
                    progress=progress or (lambda *_: None),
                )
                hidden.replace(self.root / snapshot_id)
            except BaseException:
                shutil.rmtree(hidden, ignore_errors=True)
                raise
            sync(self.root)
            self.activate(snapshot_id)
        return snapshot_id

    def activate(self, snapshot_id: str) -> None:
        """Make a complete snapshot the live one (also the way back to an older one)."""
        if not (self.root / snapshot_id / "manifest.json").is_file():
            raise SnapshotRefused(f"There is no complete snapshot {snapshot_id!r}.")
        write_whole(self.root / _POINTER, snapshot_id + "\n")

    def prune(self, keep: int = 3) -> list[str]:
        """Delete all but the `keep` newest snapshots and the live one; returns what was deleted.

        The others stand in where the live one is damaged. A directory without a manifest is no snapshot any more.
        """
        with self._turn():
            live = self.current()
            kept = {*self.ids()[-keep:], live} if keep else {live}
            old = sorted(p.name for p in self.root.glob("[0-9]*") if p.is_dir() and p.name not in kept)
            for name in old:
                # Under a hidden name first: a directory half deleted is not a snapshot any more.
                doomed = self.root / f"{_BUILDING}{name}"
                (self.root / name).replace(doomed)
                sync(self.root)
                shutil.rmtree(doomed)
        return old

    def _kept_clusters(self, descriptors_version: str) -> Clusters | None:
        """Of the live snapshot, or where that is damaged of the newest whole one: parameters refer to them."""
        for name in [self.current() or "-", *self.stand_ins(descriptors_version)]:
            try:
                version, clusters = read_clusters(self.root / name)
            except SnapshotRefused:
                continue
            return clusters if version == descriptors_version else None
        return None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One publisher at a time, across processes; the lock goes with the process that holds it."""
        with (self.root / ".lock").open("w") as file:
            progress.hold(file)
            yield

    def _sweep(self) -> None:
        """Remove what a killed publisher left; the lock guarantees that nobody is still writing it."""
        for path in self.root.glob(f"{_BUILDING}*"):
            shutil.rmtree(path, ignore_errors=True)


def _join(records: MarkTable | VectorStore, metadata: Sequence[MarkRecord]) -> tuple[MarkTable, list[MarkRecord], int]:
    """Described marks and their metadata row by row, and how many of `metadata` have no description."""
    if isinstance(records, VectorStore):
        known = records.known()
        rows = [m for m in metadata if (m.number, m.image_sha256) in known]
        if not rows:
            raise ValueError("None of the marks has been described yet; there is nothing to publish.")
        return records.read([(m.number, m.image_sha256) for m in rows]), rows, len(metadata) - len(rows)
    places = {str(number): place for place, number in enumerate(records.numbers)}
    rows = [m for m in metadata if m.number in places]
    if not rows:
        raise ValueError("None of the marks has been described yet; there is nothing to publish.")
    table = records.take(np.array([places[m.number] for m in rows]))
    return table, rows, len(metadata) - len(rows)


__all__ = [
    "FORMAT",
    "Filters",
    "MakeProbe",
    "MarkRecord",
    "OtherDescriptors",
    "Progress",
    "Snapshot",
    "SnapshotRefused",
    "SnapshotStore",
]
