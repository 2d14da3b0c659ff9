import datetime
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.retrieval import candidates as stage
from search.retrieval import searcher as searcher_module
from search.retrieval.calibration import Calibration
from search.retrieval.clusters import fit_clusters
from search.retrieval.crowding import cut_shift
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS, SET_OF, VECTOR_DESCRIPTORS
from search.retrieval.fusion import fuse
from search.retrieval.hashing.itq import fit_itq
from search.retrieval.live import LiveSearcher
from search.retrieval.parameters import ClusterParameters, Parameters
from search.retrieval.pooling import unit
from search.retrieval.probe import TOP
from search.retrieval.records import Filters, MarkRecord, Query
from search.retrieval.searcher import Searcher
from search.retrieval.similarity import similarity_matrix
from search.retrieval.snapshot import SnapshotRefused, SnapshotStore
from search.retrieval.table import MarkTable
from tests.search.retrieval.pictures import random_description

COUNT = 600
RARE = 25
CALIBRATION = Calibration({"general": 5.0, "objects": 7.0}, {"general": -2.0, "objects": -4.0})
EQUAL = Parameters.initial(DESCRIPTORS)


def only(name: str, *, threshold: float = 0.5) -> Parameters:
    weights = {other: float(other == name) for other in DESCRIPTORS}
    return Parameters(ClusterParameters(weights, threshold, 0.15))


@pytest.fixture(scope="module")
def marks() -> list[Description]:
    rng = np.random.default_rng(11)
    return [random_description(rng, regions=i % 4) for i in range(COUNT)]


@pytest.fixture(scope="module")
def store(marks: list[Description], tmp_path_factory: pytest.TempPathFactory) -> SnapshotStore:
    rows = [
        MarkRecord(
            f"{i:04}",
            (45, 9) if i % RARE == 0 else (9,),
            "CH" if i % 3 else "EM",
            "expired" if i % 5 == 0 else "registered",
            datetime.date(2000 + i % 20, 6, 1) if i % 7 else None,
        )
        for i in range(COUNT)
    ]
    table = MarkTable.of([row.number for row in rows], marks)
    store = SnapshotStore(tmp_path_factory.mktemp("snapshots"))
    store.publish(
        records=table,
        metadata=rows,
        calibration=CALIBRATION,
        descriptors_version="d1",
        clusters=fit_clusters(table.vectors["general"], k=6),
    )
    return store


@pytest.fixture(scope="module")
def searcher(store: SnapshotStore) -> Searcher:
    return Searcher(store.open())


def numbers(answer: object) -> list[str]:
    return [hit.number for hit in answer.hits]  # type: ignore[attr-defined]


def test_a_mark_finds_itself_first_with_full_score(searcher: Searcher, marks: list[Description]) -> None:
    for i in (0, 1, 2, 3):
        best = searcher.search(marks[i], EQUAL).hits[0]
        assert best.number == f"{i:04}" and best.rank == 1
        assert best.score == pytest.approx(1, abs=1e-3)


def test_ranks_like_a_full_comparison_with_eq_1(searcher: Searcher, marks: list[Description]) -> None:
    query = random_description(np.random.default_rng(99))
    calibrated = CALIBRATION.apply(similarity_matrix([query], marks)[0])
    scores = fuse(calibrated, [1 / len(DESCRIPTORS)] * len(DESCRIPTORS))
    answer = searcher.search(query, EQUAL, candidates=COUNT, top=COUNT)
    likely = int((scores > 0).sum())  # below, all are 0 and their order is free
    assert likely > COUNT / 2
    expected = [f"{i:04}" for i in np.argsort(-scores, kind="stable")]
    assert numbers(answer)[:likely] == expected[:likely]
    for hit in answer.hits[:20]:
        at = int(hit.number)
        assert hit.score == pytest.approx(float(scores[at]), abs=1e-5)
        assert list(hit.similarities) == list(DESCRIPTORS)
        np.testing.assert_allclose(list(hit.similarities.values()), calibrated[at], atol=1e-5)
    assert [hit.rank for hit in answer.hits] == list(range(1, COUNT + 1))


def test_preselected_means_at_or_above_the_cut_of_the_search(searcher: Searcher, marks: list[Description]) -> None:
    answer = searcher.search(marks[5], only("general", threshold=0.4))
    assert answer.hits[0].preselected
    assert answer.cut == pytest.approx(0.4 + answer.cut_shift)
    assert all(hit.preselected == (hit.score >= answer.cut) for hit in answer.hits)
    assert not answer.hits[-1].preselected


def test_the_cut_follows_the_crowd_around_the_query_in_the_whole_register(
    searcher: Searcher, marks: list[Description]
) -> None:
    whole = searcher.search(marks[5], only("general", threshold=0.4))
    sims = CALIBRATION.apply(similarity_matrix([marks[5]], marks)[0])
    # Of the first stage's 128, ordered by the linear score; these random marks differ far less than real ones.
    assert whole.cut_shift == pytest.approx(cut_shift(sims), abs=0.01)
    few = searcher.search(marks[5], only("edges", threshold=0.4), filters=Filters(nice=(1,)))
    assert few.cut_shift == pytest.approx(whole.cut_shift), "neither filters nor weights touch it"


def test_a_mark_that_shares_only_a_part_is_found_through_the_parts(
    searcher: Searcher, marks: list[Description]
) -> None:
    owner = marks[7]
    rng = np.random.default_rng(5)
    query = random_description(rng, regions=1)
    query.regions = owner.regions[1:2].copy()
    hit = searcher.search(query, only("objects"), candidates=10, top=10).hits[0]
    assert hit.number == "0007"
    assert hit.boxes == (tuple(query.boxes[0]), tuple(owner.boxes[1]))
    # Its whole is unlike: without the parts' index it would not be among so few candidates.
    assert "0007" not in numbers(searcher.search(query, only("general"), candidates=10, top=10))


def test_part_against_whole_in_both_directions(searcher: Searcher, marks: list[Description]) -> None:
    rng = np.random.default_rng(6)
    query = random_description(rng, regions=1)
    query.regions = marks[9].vectors["general"][None].copy()
    assert searcher.search(query, only("objects"), candidates=10, top=5).hits[0].number == "0009"
    query = random_description(rng, regions=0)
    query.vectors["general"] = marks[10].regions[0].copy()
    hit = searcher.search(query, only("objects"), candidates=10, top=5).hits[0]
    assert hit.number == "0010" and hit.boxes == ((0, 0, 100, 80), tuple(marks[10].boxes[0]))


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (Filters(nice=(45,)), lambda i: i % RARE == 0),
        (Filters(nice=(45, 9)), lambda i: True),
        (Filters(jurisdictions=("em",)), lambda i: i % 3 == 0),
        (Filters(statuses=("expired",)), lambda i: i % 5 == 0),
        (Filters(filed_from=datetime.date(2018, 1, 1)), lambda i: i % 7 and i % 20 >= 18),
        (Filters(filed_to=datetime.date(2001, 6, 1)), lambda i: i % 7 and i % 20 <= 1),
        (Filters(nice=(45,), jurisdictions=("CH",)), lambda i: i % RARE == 0 and i % 3),
        (Filters(nice=(44,)), lambda i: False),
    ],
)
def test_filters_act_inside_the_search(
    searcher: Searcher, marks: list[Description], filters: Filters, passes: object
) -> None:
    expected = {f"{i:04}" for i in range(COUNT) if passes(i)}  # type: ignore[operator]
    answer = searcher.search(marks[3], EQUAL, filters=filters, candidates=20, top=20)
    assert set(numbers(answer)) <= expected
    assert answer.scanned == len(expected)
    # A rare filter still fills the list: nothing is filtered after the cut.
    assert len(answer.hits) == min(20, len(expected))


def test_cluster_depth_is_a_subset_of_the_register(searcher: Searcher, marks: list[Description]) -> None:
    clusters = searcher.snapshot.clusters
    near = ClusterParameters(EQUAL.default.weights, 0.5, clusters.extension_for(3))
    wide = searcher.search(marks[4], Parameters(near), top=COUNT, candidates=COUNT)
    narrow = searcher.search(marks[4], Parameters(near), depth="cluster", top=COUNT, candidates=COUNT)
    own = searcher.search(marks[4], EQUAL, depth="cluster", top=COUNT, candidates=COUNT)
    assert set(numbers(own)) < set(numbers(narrow)) < set(numbers(wide))
    assert own.clusters_searched == (own.cluster,) and {h.cluster for h in own.hits} == {own.cluster}
    assert {h.cluster for h in narrow.hits} == set(narrow.clusters_searched)
    assert wide.clusters_searched == tuple(range(6)) and wide.scanned == COUNT
    assert narrow.scanned == len(narrow.hits)
    scores = {h.number: h.score for h in wide.hits}
    assert all(h.score == pytest.approx(scores[h.number], abs=1e-6) for h in narrow.hits)


def test_cluster_depth_and_filters_together(searcher: Searcher, marks: list[Description]) -> None:
    answer = searcher.search(marks[4], EQUAL, depth="cluster", filters=Filters(statuses=("expired",)))
    assert answer.hits and all(int(h.number) % 5 == 0 and h.cluster == answer.cluster for h in answer.hits)


def test_parameters_of_the_querys_cluster_apply_only_to_their_clustering(
    searcher: Searcher, marks: list[Description]
) -> None:
    cluster = searcher.search(marks[0], EQUAL).cluster
    own = {cluster: replace(only("edges", threshold=0.99).default, extension=0.1)}
    version = searcher.snapshot.clusters.version
    fits = searcher.search(marks[0], Parameters(EQUAL.default, own, version))
    other = searcher.search(marks[0], Parameters(EQUAL.default, own, "another clustering"))
    assert numbers(fits) == numbers(searcher.search(marks[0], only("edges")))
    assert numbers(other) == numbers(searcher.search(marks[0], EQUAL))


def test_a_query_without_edges_uses_what_it_has(searcher: Searcher, marks: list[Description]) -> None:
    query = Description({"general": marks[2].vectors["general"]}, size=(100, 80))
    best = searcher.search(query, EQUAL).hits[0]
    assert best.number == "0002" and best.score == pytest.approx(1, abs=1e-3)
    assert best.similarities["edges"] is None
    with pytest.raises(ValueError, match=r"^The image has no `general` vector, so it cannot be searched.$"):
        searcher.search(Description({"edges": unit(np.ones(16))}), EQUAL)


def test_timings_cover_every_stage(searcher: Searcher, marks: list[Description]) -> None:
    timings = searcher.search(marks[0], EQUAL).timings
    assert set(timings) == {"filter", "candidates", "crowding", "exact", "total"}
    assert sum(v for k, v in timings.items() if k != "total") <= timings["total"] + 0.01


def test_live_searcher_picks_up_a_new_snapshot_without_restart(tmp_path: Path, marks: list[Description]) -> None:
    store = SnapshotStore(tmp_path)
    live = LiveSearcher(store, descriptors_version="d1")
    with pytest.raises(SnapshotRefused):
        live.get()
    fields = {"calibration": CALIBRATION, "descriptors_version": "d1"}
    rows = [MarkRecord(f"{i:04}") for i in range(40)]
    store.publish(records=MarkTable.of([r.number for r in rows[:30]], marks[:30]), metadata=rows, **fields)
    first = live.get()
    assert live.get() is first and first.snapshot.count == 30
    store.publish(records=MarkTable.of([r.number for r in rows], marks[:40]), metadata=rows, **fields)
    assert live.get().snapshot.count == 40


MADE_FOR = {"encoder": "e1", "whitening": "w1", "side": "160"}


@pytest.fixture(scope="module")
def by_code(marks: list[Description], store: SnapshotStore, tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    """The same register, whose first stage is by Hamming distance of sixteen bits."""
    rows = [MarkRecord(f"{i:04}", jurisdiction="CH" if i % 3 else "EM") for i in range(COUNT)]
    table = MarkTable.of([row.number for row in rows], marks)
    coded = SnapshotStore(tmp_path_factory.mktemp("coded"))
    coded.publish(
        records=table,
        metadata=rows,
        calibration=CALIBRATION,
        descriptors_version="d1",
        clusters=store.open().clusters,
        hash_head=fit_itq(table.vectors["general"], 16, MADE_FOR),
    )
    return Searcher(coded.open())


def test_hamming_candidates_are_the_nearest_codes_and_the_exact_stage_is_the_same(
    by_code: Searcher, searcher: Searcher
) -> None:
    query = random_description(np.random.default_rng(99), regions=0)
    codes, table = by_code.snapshot.codes, by_code.snapshot.table
    assert codes is not None and codes.index.count == COUNT
    register = np.unpackbits(codes.head.codes(table.vectors["general"]), axis=1)
    distance = (np.unpackbits(codes.head.codes(query.vectors["general"]), axis=1) != register).sum(axis=1)
    answer = by_code.search(query, only("general"), candidates=30, top=30)
    found = set(numbers(answer))
    last = np.sort(distance)[29]
    assert set(table.numbers[distance < last]) <= found <= set(table.numbers[distance <= last])
    assert len(found) == 30
    everything = searcher.search(query, only("general"), candidates=COUNT, top=COUNT)
    scores = {hit.number: hit.score for hit in everything.hits}
    assert all(hit.score == pytest.approx(scores[hit.number], abs=1e-6) for hit in answer.hits)
    assert found != set(numbers(everything)[:30]), "sixteen bits are no exact search"
    # With every mark a candidate nothing is left of the first stage.
    a, b = (s.search(query, EQUAL, candidates=COUNT, top=COUNT) for s in (by_code, searcher))
    assert [hit.score for hit in a.hits] == pytest.approx([hit.score for hit in b.hits], abs=1e-6)


def test_filters_act_inside_the_hamming_stage(by_code: Searcher, marks: list[Description]) -> None:
    answer = by_code.search(marks[3], EQUAL, filters=Filters(jurisdictions=("EM",)), candidates=20, top=20)
    assert len(answer.hits) == 20 and all(int(hit.number) % 3 == 0 for hit in answer.hits)
    assert answer.hits[0].number == "0003" and answer.scanned == COUNT / 3
    assert by_code.search(marks[3], EQUAL, filters=Filters(jurisdictions=("US",))).hits == []


def test_marks_of_which_a_part_matches_join_the_hamming_candidates(by_code: Searcher, marks: list[Description]) -> None:
    query = random_description(np.random.default_rng(5), regions=1)
    query.regions = marks[7].regions[1:2].copy()
    assert by_code.search(query, only("objects"), candidates=10, top=10).hits[0].number == "0007"
    assert "0007" not in numbers(by_code.search(query, only("general"), candidates=10, top=10))


@pytest.mark.parametrize("kind", ["linear", "by code"])
def test_a_batch_finds_what_its_queries_find_alone(
    searcher: Searcher, by_code: Searcher, marks: list[Description], kind: str
) -> None:
    """Queries with and without parts and edges, limits that differ and that are the same, weights, depths, clusters."""
    served = searcher if kind == "linear" else by_code
    rng = np.random.default_rng(77)
    asked = [random_description(rng, regions=n % 4) for n in range(20)] + marks[:4]
    del asked[3].vectors["edges"]
    limits = [Filters(), Filters(nice=(45,)), Filters(jurisdictions=("EM",)), Filters(statuses=("none",))]
    own = {cluster: only("edges", threshold=0.3).default for cluster in (0, 2, 3)}
    weights = [EQUAL, Parameters(EQUAL.default, own, served.snapshot.clusters.version), only("general")]
    queries = [
        Query(one, weights[n % 3], limits[n % 4], "cluster" if n % 5 == 1 else "register", 2 if n == 7 else None)
        for n, one in enumerate(asked)
    ]
    together = served.search_many(queries, candidates=120, top=60)
    for query, found in zip(queries, together, strict=True):
        alone = served.search(
            query.description, query.parameters, filters=query.filters, depth=query.depth, cluster=query.cluster,
            candidates=120, top=60,
        )  # fmt: skip
        assert (found.cluster, found.clusters_searched, found.scanned) == (
            alone.cluster, alone.clusters_searched, alone.scanned,
        )  # fmt: skip
        assert (found.cut, found.cut_shift) == pytest.approx((alone.cut, alone.cut_shift), abs=1e-5)
        assert len(found.hits) == len(alone.hits)
        for one, other in zip(found.hits, alone.hits, strict=True):
            assert (one.number, one.rank, one.boxes, one.cluster) == (
                other.number, other.rank, other.boxes, other.cluster,
            )  # fmt: skip
            assert one.score == pytest.approx(other.score, abs=1e-5)
            for name, value in one.similarities.items():
                assert value == (other.similarities[name] and pytest.approx(other.similarities[name], abs=1e-5))
    assert {len(found.hits) for found in together} > {0, 60}


def test_the_linear_query_is_each_vector_times_its_weight_and_a_set_counts_with_its_whole(
    searcher: Searcher, marks: list[Description]
) -> None:
    weights = {name: 0.1 * place for place, name in enumerate(DESCRIPTORS, start=1)}
    # What the query or the weights lack counts nothing.
    bare = Description({"general": marks[3].vectors["general"]}, size=(100, 80))
    found = stage._linear(
        searcher.snapshot, [marks[3], bare, marks[4]], [weights, {"general": 0.5}, {"general": 1.0, "objects": 0.5}]
    )
    parts = []
    for name in VECTOR_DESCRIPTORS:
        weight = weights[name] + sum(weights[other] for other, whole in SET_OF.items() if whole == name)
        parts.append(weight * marks[3].vectors[name])
    assert found.dtype == np.float32 and found.shape == (3, searcher.snapshot.table.vectors_width)
    np.testing.assert_allclose(found[0], np.concatenate(parts), rtol=1e-6)
    np.testing.assert_allclose(found[1][:16], 0.5 * bare.vectors["general"], rtol=1e-6)
    np.testing.assert_allclose(found[2][:16], 1.5 * marks[4].vectors["general"], rtol=1e-6)
    assert not found[1:, 16:].any()
    with pytest.raises(ValueError, match="shorter"):
        stage._linear(searcher.snapshot, marks[:2], [weights])


def test_comparing_given_marks_scores_them_as_the_search_does(searcher: Searcher, marks: list[Description]) -> None:
    whole = {hit.number: hit for hit in searcher.search(marks[5], EQUAL, candidates=COUNT, top=COUNT).hits}
    wanted = ["0011", "0005", "0300", "0000"]
    found = searcher.compare(marks[5], EQUAL, wanted)
    assert set(found) == set(wanted)
    ordered = sorted(wanted, key=lambda number: whole[number].rank)
    assert [found[number].rank for number in ordered] == [1, 2, 3, 4] and ordered[0] == "0005"
    for number in wanted:
        assert replace(found[number], rank=0) == replace(whole[number], rank=0)
    assert searcher.compare(marks[5], EQUAL, []) == {}
    with pytest.raises(KeyError):
        searcher.compare(marks[5], EQUAL, ["none"])


def test_comparing_uses_the_parameters_of_the_cluster_that_is_named_or_the_querys_own(
    searcher: Searcher, marks: list[Description]
) -> None:
    own = searcher.cluster_of(marks[5])
    other = (own + 1) % 6
    parameters = Parameters(EQUAL.default, {other: only("edges").default}, searcher.snapshot.clusters.version)
    by_name = searcher.compare(marks[5], parameters, ["0011"], cluster=other)["0011"]
    assert by_name.score == pytest.approx(max(0, by_name.similarities["edges"]), abs=1e-6)
    assert searcher.compare(marks[5], parameters, ["0011"]) == searcher.compare(marks[5], EQUAL, ["0011"])
    mine = Parameters(EQUAL.default, {own: only("edges").default}, searcher.snapshot.clusters.version)
    assert searcher.compare(marks[5], mine, ["0011"])["0011"].score == by_name.score
    answer = searcher.search(marks[5], parameters, cluster=other)
    assert answer.cluster == other and answer.hits == searcher.search(marks[5], only("edges")).hits


def test_a_probe_is_the_best_marks_under_equal_weights(searcher: Searcher, marks: list[Description]) -> None:
    best = searcher.search(marks[5], EQUAL, top=TOP).hits
    assert searcher.probed(marks[5]) == tuple((hit.number, hit.score) for hit in best)
    assert len(best) == TOP


def test_marks_that_nothing_compares_score_zero_in_the_registers_order(
    searcher: Searcher, marks: list[Description]
) -> None:
    query = Description({"general": marks[2].vectors["general"]}, size=(100, 80))
    hits = searcher.search(query, only("edges"), candidates=COUNT, top=COUNT).hits
    assert {hit.score for hit in hits} == {0.0}
    assert [hit.number for hit in hits] == list(searcher.snapshot.table.numbers)
    # Among others that score, those of one score still stand in that order.
    some = searcher.search(marks[2], only("edges"), candidates=COUNT, top=COUNT).hits
    nothing = [hit.number for hit in some if hit.score == 0.0]
    assert 50 < len(nothing) < COUNT
    assert nothing == [number for number in searcher.snapshot.table.numbers if number in set(nothing)]


def test_a_score_just_at_the_cut_is_preselected(searcher: Searcher, marks: list[Description]) -> None:
    answer = searcher.search(marks[5], only("general"))
    exact = [hit for hit in answer.hits if (hit.score - answer.cut_shift) + answer.cut_shift == hit.score]
    assert exact
    for hit in exact[:5]:
        again = searcher.search(marks[5], only("general", threshold=hit.score - answer.cut_shift))
        assert again.hits[hit.rank - 1].preselected


def test_a_list_holds_240_marks_of_1000_candidates_unless_told(
    searcher: Searcher, marks: list[Description], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    kept = searcher_module.candidates_of

    def seen(*given: Any) -> Any:
        asked.append(given[-1])
        return kept(*given)

    monkeypatch.setattr(searcher_module, "candidates_of", seen)
    assert len(searcher.search(marks[0], EQUAL).hits) == 240
    assert [len(found.hits) for found in searcher.search_many([Query(mark, EQUAL) for mark in marks[:2]])] == [240] * 2
    searcher.search(marks[0], EQUAL, candidates=100)
    assert len(searcher.search(marks[0], EQUAL, candidates=300, top=400).hits) == 400
    assert asked == [1000, 1000, 240, 400]


def test_parts_join_as_a_quarter_of_the_candidates_and_at_least_fifty(
    searcher: Searcher, marks: list[Description], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def seen(snapshot: Any, queries: Any, whole: str, allowed: Any, count: int) -> Any:
        asked.append((sorted(queries), whole, count))
        return iter(())

    monkeypatch.setattr(stage, "_by_parts", seen)
    for candidates in (10, 400, 408):
        searcher.search(marks[7], only("objects"), candidates=candidates, top=1)
    assert asked == [([0], "general", 50), ([0], "general", 100), ([0], "general", 102)]
    asked.clear()
    weights = [{"general": 1.0}, {"objects": 0.1, "general": 0.9}, {"objects": 0.0}]
    stage.candidates(searcher.snapshot, marks[:3], weights, None, 10)
    assert asked == [([1], "general", 50)], "without weight on a set its parts are not looked for"


def near(served: Searcher, query: Description, rows: np.ndarray) -> float:
    """The shift by exactly these rows of the register."""
    compared = similarity_matrix([query], [served.snapshot.table.description(int(row)) for row in rows])
    return cut_shift(CALIBRATION.apply(compared[0]))


def test_the_first_mark_and_the_first_part_count_like_any_other(
    searcher: Searcher, by_code: Searcher, marks: list[Description]
) -> None:
    first = marks[int(searcher.snapshot.table.numbers[0])]
    equal = dict.fromkeys(DESCRIPTORS, 1 / len(DESCRIPTORS))
    found = searcher.snapshot.index.search(stage._linear(searcher.snapshot, [first], [equal]), 128)[1][0]
    assert 0 in found
    assert searcher.search(first, EQUAL).cut_shift == pytest.approx(near(searcher, first, found), abs=1e-6)
    codes, table = by_code.snapshot.codes, by_code.snapshot.table
    assert codes is not None
    first = marks[int(table.numbers[0])]
    found = codes.index.search(codes.head.codes(first.vectors["general"]), 128)[1][0]
    assert 0 in found
    assert by_code.search(first, EQUAL).cut_shift == pytest.approx(near(by_code, first, found), abs=1e-6)
    owner = str(table.numbers[table.owners[0]])
    query = random_description(np.random.default_rng(5), regions=1)
    query.regions = marks[int(owner)].regions[:1].copy()  # the first part of the register
    assert searcher.search(query, only("objects"), candidates=10, top=1).hits[0].number == owner


def test_the_hamming_stage_hands_on_one_percent_of_what_passes(
    by_code: Searcher, marks: list[Description], monkeypatch: pytest.MonkeyPatch
) -> None:
    third = np.arange(COUNT) % 3 == 0

    def handed_on(allowed: np.ndarray | None, count: int) -> list[int]:
        found = stage.candidates(by_code.snapshot, marks[3:5], [{"general": 1.0}] * 2, allowed, count)
        assert all((np.diff(rows) > 0).all() for rows in found)
        return [len(rows) for rows in found]

    assert (handed_on(None, 1), handed_on(third, 1), handed_on(third, 9)) == ([6, 6], [2, 2], [9, 9])
    assert [len(rows) for rows in stage.around(by_code.snapshot, marks[3:5])] == [128, 128]
    monkeypatch.setattr(stage, "_AROUND", 1)
    assert [len(rows) for rows in stage.around(by_code.snapshot, marks[3:5])] == [6, 6]


def test_timings_are_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([1.0, 1.25, 1.75, 2.0])
    monkeypatch.setattr(searcher_module, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    clock = searcher_module._Clock(2)
    clock.lap("a")
    clock.lap("b")
    assert clock.done() == {"a": 125.0, "b": 250.0, "total": 500.0}, "each of two queries has its share"
