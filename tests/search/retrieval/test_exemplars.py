"""The marks that stand for a cluster, read from a snapshot's files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.retrieval import exemplars
from search.retrieval.exemplars import clusters_of, nearest_members
from search.retrieval.snapshot import SnapshotRefused, SnapshotStore
from tests.search.retrieval.test_snapshot import CALIBRATION, publish, register


def test_members_come_nearest_first_and_are_those_of_the_cluster(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    folder = tmp_path / publish(store)
    opened = store.open()
    assert clusters_of(folder).version == opened.clusters.version
    for cluster in range(len(opened.clusters)):
        own = opened.assignment == cluster
        away = ((opened.table.vectors["general"] - opened.clusters.centroids[cluster]) ** 2).sum(axis=1)
        expected = opened.table.numbers[own][np.argsort(away[own], kind="stable")]
        assert nearest_members(folder, cluster, most=4) == list(expected[:4])
    assert nearest_members(folder, len(opened.clusters)) == nearest_members(folder, -1) == []


def test_copies_of_one_mark_are_named_once(tmp_path: Path) -> None:
    table, rows = register(12)
    general = table.vectors["general"].copy()
    general[:8] = general[0]
    copies = replace(table, vectors={**table.vectors, "general": general})
    store = SnapshotStore(tmp_path)
    folder = tmp_path / store.publish(records=copies, metadata=rows, calibration=CALIBRATION, descriptors_version="d1")
    named = [number for cluster in range(len(clusters_of(folder))) for number in nearest_members(folder, cluster)]
    assert len(set(named) & {str(n) for n in table.numbers[:8]}) == 1
    assert len(named) == len(set(named)) == 5


def test_of_a_large_cluster_the_first_members_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SnapshotStore(tmp_path)
    folder = tmp_path / publish(store)
    monkeypatch.setattr(exemplars, "MOST_READ", 2)
    read = [len(nearest_members(folder, cluster)) for cluster in range(len(clusters_of(folder)))]
    assert read and max(read) == 2


def test_a_damaged_snapshot_is_refused_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / publish(SnapshotStore(tmp_path))
    (folder / "clusters.npz").unlink()
    with pytest.raises(SnapshotRefused, match="damaged"):
        nearest_members(folder, 0)
