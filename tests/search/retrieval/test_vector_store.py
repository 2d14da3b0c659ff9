from pathlib import Path

import numpy as np
import pytest

from search.retrieval import vector_store
from search.retrieval.description import Description
from search.retrieval.descriptors import VECTOR_DESCRIPTORS
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import DescribedMark, SegmentsDamaged, VectorStore
from tests.search.retrieval.pictures import random_description


def make(numbers: list[str], seed: int = 0, **options: int) -> list[DescribedMark]:
    rng = np.random.default_rng(seed)
    return [DescribedMark(n, f"sha-{n}", random_description(rng, **options)) for n in numbers]


def assert_same(a: Description, b: Description) -> None:
    assert a.vectors.keys() == b.vectors.keys()
    for name in a.vectors:
        np.testing.assert_array_equal(a.vectors[name], b.vectors[name])
    np.testing.assert_allclose(a.regions, b.regions, atol=1e-3)
    np.testing.assert_array_equal(a.boxes, b.boxes)
    assert a.size == b.size


def test_what_was_appended_is_read_back_in_any_order(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "d1")
    first, second = make(["a", "b"], 1), make(["c", "d", "e"], 2, regions=0)
    store.append(first)
    store.append(second)
    marks = {m.number: m for m in first + second}
    table = store.read([(n, f"sha-{n}") for n in "dacb"])
    assert list(table.numbers) == list("dacb")
    for row, number in enumerate("dacb"):
        assert_same(table.description(row), marks[number].description)


def test_only_new_or_changed_marks_are_missing(tmp_path: Path) -> None:
    VectorStore(tmp_path, "d1").append(make(["a", "b"]))
    again = VectorStore(tmp_path, "d1")
    assert again.missing([("a", "sha-a"), ("b", "other image"), ("c", "sha-c")]) == [
        ("b", "other image"),
        ("c", "sha-c"),
    ]
    assert VectorStore(tmp_path, "d2").missing([("a", "sha-a")]) == [("a", "sha-a")]


def test_two_stores_see_each_other(tmp_path: Path) -> None:
    one, two = VectorStore(tmp_path, "d1"), VectorStore(tmp_path, "d1")
    assert two.known() == set()
    one.append(make(["a"]))
    assert two.known() == {("a", "sha-a")}


def test_the_later_description_of_a_mark_wins(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "d1")
    store.append(make(["a"], 1))
    later = make(["a"], 2)
    store.append(later)
    assert_same(store.read([("a", "sha-a")]).description(0), later[0].description)


def test_a_mark_without_edges_stays_without(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "d1")
    blank = make(["a"], regions=0)
    del blank[0].description.vectors["edges"]
    store.append(blank)
    store.append(make(["b"]))
    table = store.read([("a", "sha-a"), ("b", "sha-b")])
    assert set(table.description(0).vectors) == set(VECTOR_DESCRIPTORS) - {"edges"}
    assert set(table.description(1).vectors) == set(VECTOR_DESCRIPTORS)


def test_a_crash_while_writing_leaves_no_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = VectorStore(tmp_path, "d1")

    def die(path: Path, *_: object) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(vector_store, "write_table", die)
        with pytest.raises(KeyboardInterrupt):
            store.append(make(["a"]))
    assert store.known() == set()
    store.append(make(["a"]))
    assert store.known() == {("a", "sha-a")}


def test_an_unknown_mark_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        VectorStore(tmp_path, "d1").read([("a", "sha-a")])


def test_take_and_concatenate_keep_parts_with_their_marks() -> None:
    rng = np.random.default_rng(8)
    described = [random_description(rng, regions=r) for r in (2, 0, 3, 1)]
    table = MarkTable.of(list("abcd"), described)
    mixed = MarkTable.concatenate([table.take(np.array([3, 1])), table.take(np.array([2, 0, 2]))])
    for row, source in enumerate([3, 1, 2, 0, 2]):
        assert_same(mixed.description(row), described[source])
    assert mixed.owners.tolist() == [0, 2, 2, 2, 3, 3, 4, 4, 4]


def segment_of(folder: Path, number: int = 0) -> Path:
    return sorted((folder / "d1").glob("*.feather"))[number]


@pytest.mark.parametrize("part", ["vectors", "end", "cut", "empty"])
def test_a_damaged_segment_is_set_aside_and_its_marks_are_missing(tmp_path: Path, part: str) -> None:
    store, other = VectorStore(tmp_path, "d1"), VectorStore(tmp_path, "d1")
    keys = [(n, f"sha-{n}") for n in "abcd"]
    store.append(make(["a", "b"]))
    store.append(make(["c", "d"]))
    assert other.known() == store.known() == set(keys)
    path = segment_of(tmp_path)
    data = bytearray(path.read_bytes())
    if part in ("vectors", "end"):
        data[len(data) // 2 if part == "vectors" else -20] ^= 1
    path.write_bytes({"cut": data[:-200], "empty": b""}.get(part, data))
    with pytest.raises(SegmentsDamaged, match=r"manage\.py snapshot"):
        store.read(keys)
    for one in (store, other, VectorStore(tmp_path, "d1")):
        assert one.missing(keys) == keys[:2]
    assert list(store.read(keys[2:]).numbers) == ["c", "d"]
    assert path.with_suffix(".damaged").exists()
    store.append(make(["a", "b"]))
    assert list(other.read(keys).numbers) == list("abcd")


def test_an_earlier_description_counts_again_when_the_later_one_is_lost(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "d1")
    first = make(["a"], 1)
    store.append(first)
    store.append(make(["a"], 2))
    assert store.known() == {("a", "sha-a")}
    segment_of(tmp_path, 1).unlink()
    assert_same(store.read([("a", "sha-a")]).description(0), first[0].description)


def test_a_segment_of_a_release_before_gets_its_digest(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "d1")
    store.append(make(["a"]))
    store.append(make(["b"]))
    for number, path in enumerate(sorted((tmp_path / "d1").glob("*.feather"))):
        path.rename(path.with_name(f"{path.stem[:20]}-1234567{number}.feather"))
    segment_of(tmp_path, 1).write_bytes(b"half")
    assert store.seal() == 1 and store.seal() == 0
    assert store.known() == {("a", "sha-a")}
    data = bytearray(segment_of(tmp_path).read_bytes())
    data[len(data) // 2] ^= 1
    segment_of(tmp_path).write_bytes(data)
    with pytest.raises(SegmentsDamaged):
        store.read([("a", "sha-a")])
