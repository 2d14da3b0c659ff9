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


def publish(store: SnapshotStore, count: int = 60, *, version: str = "d1", seed: int = 0, k: int | None = None) -> str:
    """k: clusters; None keeps those that are there, or looks long for the best number of them."""
    table, rows = register(count, seed)
    clusters = fit_clusters(table.vectors["general"], k=k) if k else None
    fields = {"metadata": rows, "calibration": CALIBRATION, "descriptors_version": version}
    return store.publish(records=table, clusters=clusters, **fields)


def flip(path: Path, place: int = -40) -> None:
    """Turn over one bit, which changes no size and no time of change."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def as_before(folder: Path) -> None:
    """Make a snapshot what the first release wrote: no seal, nothing said of candidates."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in content.items() if k not in ("candidates", "seal")} | {"format": 1}))


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
    (_snapshot_files, "stamp"),
    (_snapshot_files, "sync_tree"),
    (snapshot, "sync"),
    (snapshot, "write_whole"),
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


def test_one_bit_in_any_file_and_any_file_cut_or_lost_is_noticed(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    folder = tmp_path / publish(store, k=2)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    assert {"index.faiss", "regions.faiss", "clusters.npz", "calibration.json", "manifest.json"} <= {
        p.name for p in files
    }
    for path in files:
        whole = path.read_bytes()
        for damage in ("end", "start", "cut", "gone"):
            if damage in ("end", "start"):
                flip(path, -40 if damage == "end" else 60)
            elif damage == "cut":
                path.write_bytes(whole[:-1])
            else:
                path.unlink()
            with pytest.raises(SnapshotRefused, match=rf"{path.name}|incomplete|manifest has changed"):
                store.open()
            with pytest.raises(SnapshotRefused):
                store.verify(folder.name)
            path.write_bytes(whole)
    store.verify(folder.name)
    assert store.open().count == 60


def test_the_manifest_cannot_name_other_files_or_versions(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    path = tmp_path / publish(store, k=2) / "manifest.json"
    content = json.loads(path.read_text())
    for key, value in {"descriptors_version": "d2", "files": {}, "format": 1, "seal": None}.items():
        path.write_text(json.dumps({**content, key: value}))
        with pytest.raises(SnapshotRefused, match="manifest has changed"):
            store.open()
    for nonsense in ("[]", "{}", "null", '{"format": 2}', "\udcff"):
        path.write_text(nonsense, errors="surrogateescape")
        with pytest.raises(SnapshotRefused, match="incomplete"):
            store.open()


def test_checking_can_be_slow_and_ends_when_it_is_told(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    made = publish(store, k=2)
    seen: list[int] = []
    store.verify(made, pace=seen.append)
    assert sum(seen) == sum(file["bytes"] for file in store.manifest(made)["files"].values())

    def stop(count: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        store.verify(made, pace=stop)


def test_a_pointer_that_names_nothing_is_a_lost_one(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    publish(store, k=2)
    for content in (b"", b"\xff\xfe\x00", b"../../etc", b".building-7"):
        (tmp_path / "CURRENT").write_bytes(content)
        assert store.current() is None


def test_who_may_stand_in_has_the_same_descriptors_and_calibration(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first, second, other = publish(store, k=2), publish(store, k=2), publish(store, version="d2", k=2)
    table, rows = register(60)
    newer = store.publish(records=table, metadata=rows, calibration=Calibration(), descriptors_version="d1")
    last = publish(store, k=2)
    assert list(store.stand_ins("d1")) == [second, first] and list(store.stand_ins("d2")) == [other]
    (tmp_path / last / "manifest.json").unlink()  # nobody knows its calibration any more
    assert list(store.stand_ins("d1")) == [newer, second, first]
    (tmp_path / second / "index.faiss").write_bytes(b"cut")
    assert list(store.stand_ins("d1")) == [newer, first]


def test_cluster_numbers_outlive_a_damaged_snapshot(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    table, rows = register(60)
    fields = {"metadata": rows, "calibration": CALIBRATION, "descriptors_version": "d1"}
    store.publish(records=table, clusters=fit_clusters(table.vectors["general"], k=3), **fields)
    version = store.open().clusters.version
    flip(tmp_path / store.publish(records=table, **fields) / "clusters.npz")
    store.publish(records=table, **fields)
    assert store.open().clusters.version == version


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
    lost = publish(store, 10)
    (tmp_path / lost / "manifest.json").unlink()
    store.activate(ids[3])
    assert store.prune() == [lost] and not (tmp_path / lost).exists()


def test_a_prune_that_dies_half_way_leaves_no_half_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SnapshotStore(tmp_path)
    ids = [publish(store, 10) for _ in range(2)]

    def die(folder: Path, **_: object) -> None:
        (folder / "index.faiss").unlink()
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(snapshot.shutil, "rmtree", die)
        with pytest.raises(Killed):
            store.prune(keep=1)
    assert store.ids() == [ids[1]] and store.open().id == ids[1]
    publish(store, 10)
    assert not list(tmp_path.glob(".building-*"))


def test_the_manifest_says_how_candidates_are_found_and_the_head_lies_with_its_codes(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    made = publish(store)
    assert store.open().manifest["candidates"] == {"stage": "linear"} and store.open().codes is None
    # A snapshot of a release before says nothing: linear.
    as_before(tmp_path / made)
    assert store.open().codes is None and store.open().probe is None

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
    with pytest.raises(SnapshotRefused, match=r"hash\.safetensors has changed.*manage\.py snapshot"):
        store.open()
    store.publish(records=table, **fields)
    assert store.open().codes is None, "the next snapshot may be linear again"
