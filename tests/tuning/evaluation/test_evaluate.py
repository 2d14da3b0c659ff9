"""Directories in, measures out: end to end with a describer made of pixels."""

import numpy as np
import pytest

from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.hashing.itq import linear_head
from search.retrieval.similarity import similarity_matrix
from search.retrieval.vector_store import VectorStore
from tests.tuning.evaluation.worlds import FakeDescriber, write_set
from tuning.evaluation import LayoutError, evaluate, load, to_json, to_text
from tuning.evaluation.described import DescribedFiles

ALL = ("general", "edges", "fused")


@pytest.fixture
def layout(tmp_path):
    return load(*write_set(tmp_path / "set"))


def run(layout, describer=None, **more):
    return evaluate(layout, describer or FakeDescriber(), descriptors=ALL, calibration=Calibration(), **more)


def test_noisy_copies_are_found_and_counts_are_right(layout):
    found = run(layout)
    assert (found.marks, found.queries, found.groups, found.refused) == (21, 9, 3, 0)
    for name in ALL:
        assert found.results[name]["excluded"].map100 > 0.95
        assert found.results[name]["official"].map100 > 0.95
        assert found.results[name]["excluded"].median_rank <= 2


def test_measures_equal_a_plain_computation(layout):
    describer = FakeDescriber()
    found = run(layout, describer).results["general"]["excluded"]
    from PIL import Image

    paths = [*layout.query_paths, *layout.pool_paths]
    described = describer.describe([np.asarray(Image.open(p)) for p in paths])
    sims = similarity_matrix(described[:9], described)[..., 0]
    ap = []
    for q in range(9):
        order = [j for j in np.argsort(-sims[q]) if j != q]
        hits = [j < 9 and layout.groups[j] == layout.groups[q] for j in order]
        ap.append(sum(sum(hits[: i + 1]) / (i + 1) for i in range(len(order)) if hits[i]) / 2)
    assert found.map100 == pytest.approx(np.mean(ap))


def test_images_are_described_once_and_a_stopped_run_goes_on(layout, tmp_path):
    store = VectorStore(tmp_path / "cache", "fake-1")
    first = FakeDescriber()
    list(DescribedFiles(first, store, refused=print).chunks(layout.pool_paths[:5]))
    assert first.described == 5
    second = FakeDescriber()
    fresh = run(layout, second, store=VectorStore(tmp_path / "cache", "fake-1"))
    assert second.described == 21 - 5
    third = FakeDescriber()
    again = run(layout, third, store=VectorStore(tmp_path / "cache", "fake-1"))
    assert third.described == 0
    assert to_json(again) == to_json(fresh)
    assert to_json(run(layout)) == to_json(fresh)


def test_another_describer_version_describes_anew(layout, tmp_path):
    run(layout, store=VectorStore(tmp_path / "cache", "fake-1"))
    other = FakeDescriber("fake-2")
    run(layout, other, store=VectorStore(tmp_path / "cache", "fake-2"))
    assert other.described == 21


@pytest.mark.parametrize("cached", [True, False])
def test_unreadable_pool_images_are_counted_and_left_out(layout, tmp_path, cached):
    layout.pool_paths[3].write_bytes(b"not an image")
    layout.pool_paths[4].write_bytes(b"")
    store = VectorStore(tmp_path / "cache", "fake-1") if cached else None
    found = run(layout, store=store)
    assert (found.marks, found.refused) == (19, 2)


def test_an_unreadable_query_is_an_error_that_names_it(layout):
    layout.query_paths[0].write_bytes(b"broken")
    with pytest.raises(LayoutError, match=r"The query 1-1\.png cannot be used"):
        run(layout)


def test_duplicates_in_the_pool_are_kept_and_tie_with_the_query(layout):
    layout.pool_paths[0].write_bytes(layout.query_paths[0].read_bytes())
    found = run(layout)
    assert found.marks == 21
    assert found.results["general"]["official"].map100 < 1.0


def test_chunks_of_the_pool_do_not_change_the_result(layout, monkeypatch):
    whole = to_json(run(layout))
    chunks = DescribedFiles.chunks
    monkeypatch.setattr(DescribedFiles, "chunks", lambda self, paths: chunks(self, paths, 4))
    small = to_json(run(layout))
    assert small == whole


def test_one_split_measures_its_groups_among_all_marks(layout):
    found = run(layout, only_groups=frozenset({"2"}))
    assert (found.marks, found.queries, found.groups) == (21, 3, 1)
    assert found.results["general"]["excluded"].queries == 3


def test_weights_for_the_fused_score_are_asked_with_the_queries(layout):
    asked = []

    def only_general(descriptions):
        asked.append(len(descriptions))
        return np.eye(len(DESCRIPTORS))[0]

    found = run(layout, weights_for=only_general)
    assert asked == [9]
    assert found.results["fused"]["excluded"].map100 == pytest.approx(found.results["general"]["excluded"].map100)


def test_progress_counts_every_image_once(layout):
    done = []
    run(layout, done=done.append)
    assert sum(done) == 21


def test_what_cannot_be_measured_is_refused_with_a_sentence(layout, tmp_path):
    with pytest.raises(LayoutError, match="no descriptor smell"):
        evaluate(layout, FakeDescriber(), descriptors=["smell"])
    lonely = load(*write_set(tmp_path / "lonely", members=1))
    with pytest.raises(LayoutError, match="No query has a relevant mark"):
        run(lonely)


def test_content_types_of_queries_are_reported(tmp_path):
    queries, pool = write_set(tmp_path / "set")
    lines = [f"queries/{i}-{g}.png {'TEXT' if g == 1 else 'SHAPE'}" for g in (1, 2, 3) for i in (1, 2, 3)]
    (tmp_path / "set" / "logo_content_types.txt").write_text("\n".join(lines))
    found = run(load(queries, pool))
    types = to_json(found)["descriptors"]["general"]["excluded"]["content_types"]
    assert {t: v["queries"] for t, v in types.items()} == {"TEXT": 3, "SHAPE": 6}
    assert "SHAPE queries (6)" in to_text(found)


def test_the_table_names_both_variants_and_their_intervals(layout):
    text = to_text(run(layout))
    assert "21 marks, 9 queries in 3 groups" in text
    assert "Query excluded" in text
    assert "Official METU variant" in text
    assert text.count("fused") == 2


def test_a_row_of_codes_is_ranked_by_hamming_distance_with_ties_at_their_worst(layout):
    matrix = np.random.default_rng(0).normal(size=(8, 64))
    head = linear_head("itq-32", np.zeros(64), matrix, {})
    describer = FakeDescriber()
    found = evaluate(
        layout, describer, descriptors=["itq-32", "general"], calibration=Calibration(), heads=lambda name: head
    )
    assert describer.described == 21, "codes cost no pass of their own"
    from PIL import Image

    paths = [*layout.query_paths, *layout.pool_paths]
    described = FakeDescriber().describe([np.asarray(Image.open(p)) for p in paths])
    bits = np.array([d.vectors["general"] @ head.parts["skip_weight"].T > 0 for d in described])
    ap = []
    for q in range(9):
        distance = (bits[q] != bits).sum(axis=1)
        others = np.delete(distance, q)
        relatives = [j for j in range(9) if j != q and layout.groups[j] == layout.groups[q]]
        ranks = sorted(int((others <= distance[j]).sum()) for j in relatives)
        ap.append(np.mean([(i + 1) / rank for i, rank in enumerate(ranks)]))
    assert found.results["itq-32"]["excluded"].map100 == pytest.approx(np.mean(ap))
    assert found.results["general"] == run(layout).results["general"]


def test_a_row_of_codes_whose_head_is_missing_is_refused_with_its_sentence(layout):
    def missing(name):
        raise WeightsUnusable(f"The hash head {name} is missing.")

    with pytest.raises(WeightsUnusable, match="hash-000-64 is missing"):
        evaluate(layout, FakeDescriber(), descriptors=["hash-000-64"], calibration=Calibration(), heads=missing)
