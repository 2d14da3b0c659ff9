"""Damage between two searches and between two starts: the list stays right, or there is none and a sentence."""

from pathlib import Path

import pytest

from search.retrieval import live as live_module
from search.retrieval.live import LiveSearcher
from search.retrieval.snapshot import SnapshotRefused, SnapshotStore
from tests.search.retrieval.test_snapshot import flip, publish


def started(store: SnapshotStore, version: str = "d1") -> LiveSearcher:
    """As a process that has just started."""
    return LiveSearcher(store, descriptors_version=version, gpu=False)


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    store = SnapshotStore(tmp_path)
    for count in (20, 30):
        publish(store, count, k=2)
    return store


def test_a_damaged_snapshot_is_stood_in_for_and_that_is_said(store: SnapshotStore) -> None:
    older, named = store.ids()
    flip(store.root / named / "index.faiss")
    live = started(store)
    assert live.get().snapshot.id == older and live.get().snapshot.count == 20
    assert named in live.note and "index.faiss" in live.note and live.note.endswith(f"Snapshot {older} serves instead.")
    assert store.current() == named
    newest = publish(store, 40, k=2)
    assert live.get().snapshot.id == newest and live.note == ""


def test_a_loaded_snapshot_serves_on_whatever_becomes_of_its_files(store: SnapshotStore) -> None:
    named = store.current()
    live = started(store)
    searcher = live.get()
    (store.root / named / "index.faiss").unlink()
    assert live.get() is searcher and live.note == ""
    (store.root / "CURRENT").unlink()
    assert live.get() is searcher and "pointer" in live.note  # newer than what is still whole on the disk
    store.activate(store.ids()[0])
    assert live.get().snapshot.id == store.ids()[0] and live.note == ""


def test_a_lost_pointer_means_the_newest_whole_snapshot(store: SnapshotStore) -> None:
    older, named = store.ids()
    (store.root / "CURRENT").unlink()
    assert started(store).get().snapshot.id == named
    (store.root / named / "clusters" / "00.feather").write_bytes(b"")
    assert started(store).get().snapshot.id == older


def test_a_damaged_stand_in_is_passed_over_and_without_any_there_is_a_sentence(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, named = store.ids()
    for name in (older, named):
        flip(store.root / name / "clusters.npz")
    live = started(store)
    with pytest.raises(SnapshotRefused, match=rf"{named} is damaged: clusters\.npz has changed.*manage\.py snapshot"):
        live.get()
    flip(store.root / named / "clusters.npz")  # somebody brings the file back
    with pytest.raises(SnapshotRefused):
        live.get()  # a search that waits does not read everything again
    monkeypatch.setattr(live_module, "_REFUSED_SECONDS", 0.0)
    live.again()
    assert live.get().snapshot.id == named


def test_nothing_stands_in_for_a_snapshot_of_other_descriptors(store: SnapshotStore) -> None:
    publish(store, version="d2", k=2)
    live = started(store)
    with pytest.raises(SnapshotRefused, match="cannot be compared"):
        live.get()
    assert live.loaded is None
