import datetime
import json
from pathlib import Path

import numpy as np
import pytest

from search.retrieval import _snapshot_files, snapshot
from search.retrieval.calibration import Calibration
from search.retrieval.clusters import fit_clusters
from search.retrieval.descriptors import VECTOR_DESCRIPTORS
from search.retrieval.hashing.itq import fit_itq
from search.retrieval.snapshot import MarkRecord, SnapshotRefused, SnapshotStore
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import DescribedMark, VectorStore
from tests.search.retrieval.pictures import random_description

CALIBRATION = Calibration({"general": 6.0}, {"general": -3.0})


def register(count: int, seed: int = 0) -> tuple[MarkTable, list[MarkRecord]]:
    rng = np.random.default_rng(seed)
    numbers = [f"M{seed}-{i:03}" for i in range(count)]
    table = MarkTable.of(numbers, [random_description(rng, regions=i % 3) for i in range(count)])
    rows = [
        MarkRecord(n, (1 + i % 45,), "EM", "registered", datetime.date(2020, 1, 1 + i % 28), f"sha-{n}")
        for i, n in enumerate(numbers)
    ]
    return table, rows


def publish(store: SnapshotStore, count: int = 60, *, version: str = "d1", seed: int = 0) -> str:
    table, rows = register(count, seed)
    return store.publish(records=table, metadata=rows, calibration=CALIBRATION, descriptors_version=version)


def test_before_the_first_there_is_none(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "none")
    assert store.current() is None
    with pytest.raises(SnapshotRefused, match=r"manage\.py snapshot"):
        store.open()


def test_everything_survives_the_disk(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    table, rows = register(60)
    seen: list[tuple[str, int, int]] = []
    made = store.publish(
        records=table,
        metadata=rows,
        calibration=CALIBRATION,
        descriptors_version="d1",
        progress=lambda *step: seen.append(step),
    )
    opened = store.open(descriptors_version="d1")
    assert opened.id == made == store.current()
    assert opened.count == 60 and opened.calibration == CALIBRATION
    assert opened.manifest["regions"] == len(table.regions)
    assert {stage for stage, _, _ in seen} == {"clusters", "cluster files", "index"}
    where = {n: i for i, n in enumerate(table.numbers)}
    for row in range(60):
        a, b = opened.table.description(row), table.description(where[opened.table.numbers[row]])
        np.testing.assert_array_equal(a.vectors["general"], b.vectors["general"])
        np.testing.assert_array_equal(a.vectors["edges"], b.vectors["edges"])
        np.testing.assert_array_equal(a.regions, b.regions)
        # The row of the index is the row of the table.
        query = np.concatenate([a.vectors[name] for name in VECTOR_DESCRIPTORS])
        assert opened.index.search(query, 1)[1][0, 0] == row
    np.testing.assert_array_equal(opened.assignment, opened.clusters.assign(opened.table.vectors["general"]))


def test_a_mark_without_description_is_left_out_and_counted(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    table, rows = register(20)
    rows.append(MarkRecord("not described"))
    store.publish(records=table, metadata=rows, calibration=CALIBRATION, descriptors_version="d1")
    assert store.open().manifest["left_out"] == 1 and store.open().count == 20
    with pytest.raises(ValueError, match="nothing to publish"):
        store.publish(records=table, metadata=rows[-1:], calibration=CALIBRATION, descriptors_version="d1")


def test_publishing_from_the_vector_store_joins_by_number_and_image(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path / "vectors", "d1")
    rng = np.random.default_rng(0)
    vectors.append([DescribedMark(n, f"sha-{n}", random_description(rng)) for n in "abc"])
    store = SnapshotStore(tmp_path / "snapshots")
    rows = [MarkRecord("a", image_sha256="sha-a"), MarkRecord("b", image_sha256="a newer image")]
    store.publish(records=vectors, metadata=rows, calibration=CALIBRATION, descriptors_version="d1")
    assert list(store.open().table.numbers) == ["a"] and store.open().manifest["left_out"] == 1


def test_appending_keeps_centroids_and_reclustering_changes_them(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    publish(store, 60)
    first = store.open()
    table, rows = register(60)
    more, more_rows = register(30, seed=1)
    both = MarkTable.concatenate([table, more])
    fields = {"metadata": rows + more_rows, "calibration": CALIBRATION, "descriptors_version": "d1"}
    store.publish(records=both, **fields)
    second = store.open()
    assert second.clusters.version == first.clusters.version and second.count == 90
    np.testing.assert_array_equal(second.clusters.centroids, first.clusters.centroids)
    store.publish(records=both, clusters=fit_clusters(both.vectors["general"], k=3), **fields)
    assert store.open().clusters.version != first.clusters.version and len(store.open().clusters) == 3


def test_other_descriptors_get_their_own_clusters(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    publish(store, 60)
    first = store.open().clusters.version
    publish(store, 60, version="d2", seed=5)
    assert store.open().clusters.version != first


def test_refuses_vectors_of_another_version_and_says_how_to_rebuild(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    publish(store)
    with pytest.raises(SnapshotRefused, match=r"d1.*d2.*python manage\.py snapshot"):
        store.open(descriptors_version="d2")


class Killed(BaseException):
    """Stands for a process that dies: nothing but `finally` runs."""


STEPS = [
    (_snapshot_files, "write_table"),
    (_snapshot_files, "build_index"),
    (_snapshot_files, "_stamp"),
    (_snapshot_files, "_sync"),
    (snapshot, "_sync"),
]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[name for _, name in STEPS])
def test_dying_at_any_step_leaves_the_old_snapshot_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, step: str
) -> None:
    store = SnapshotStore(tmp_path)
    before = publish(store)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, step, die)
        # A killed process cannot tidy up after itself either.
        patched.setattr(snapshot.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            publish(store, 80)
    assert store.current() == before
    assert store.open().count == 60
    after = publish(store, 80)
    assert store.current() == after and store.open().count == 80
    assert not list(tmp_path.glob(".building-*"))


def test_a_directory_without_manifest_is_invisible(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    made = publish(store)
    (tmp_path / "20990101T000000000000-ffffff" / "clusters").mkdir(parents=True)
    assert store.ids() == [made]
    with pytest.raises(SnapshotRefused, match="incomplete"):
        store.open("20990101T000000000000-ffffff")
    with pytest.raises(SnapshotRefused, match="no complete snapshot"):
        store.activate("20990101T000000000000-ffffff")


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    made = publish(store)
    path = tmp_path / made / "index.faiss"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SnapshotRefused, match=r"index\.faiss"):
        store.open()


def test_manifest_of_another_release_is_refused(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    path = tmp_path / publish(store) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(SnapshotRefused, match="another release"):
        store.open()


def test_going_back_and_pruning(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    ids = [publish(store, 10) for _ in range(4)]
    store.activate(ids[0])
    assert store.open().id == ids[0]
    assert store.prune(keep=1) == ids[1:3]  # neither the newest nor the live one
    assert store.ids() == [ids[0], ids[3]]


def test_the_manifest_says_how_candidates_are_found_and_the_head_lies_with_its_codes(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    made = publish(store)
    assert store.open().manifest["candidates"] == {"stage": "linear"} and store.open().codes is None
    # A snapshot of the release before says nothing: linear.
    path = tmp_path / made / "manifest.json"
    older = {key: value for key, value in json.loads(path.read_text()).items() if key != "candidates"}
    path.write_text(json.dumps(older))
    assert store.open().codes is None

    table, rows = register(60)
    head = fit_itq(table.vectors["general"], 8, {"encoder": "e1", "whitening": "w1", "side": "160"})
    fields = {"metadata": rows, "calibration": CALIBRATION, "descriptors_version": "d1"}
    made = store.publish(records=table, hash_head=head, **fields)
    opened = store.open()
    assert opened.manifest["candidates"] == {"stage": "hamming", "hash": "itq-8", "version": head.version}
    assert opened.codes is not None and opened.codes.head.version == head.version
    codes = head.codes(opened.table.vectors["general"])
    distances, _ = opened.codes.index.search(codes, 1)
    assert (distances == 0).all() and opened.codes.index.count == 60
    path = tmp_path / made / "hash.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(SnapshotRefused, match=r"hash\.safetensors is not the one of its card.*manage\.py snapshot"):
        store.open()
    store.publish(records=table, **fields)
    assert store.open().codes is None, "the next snapshot may be linear again"
