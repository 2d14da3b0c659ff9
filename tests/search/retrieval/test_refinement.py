from pathlib import Path

import numpy as np
import pytest

from search.retrieval.calibration import Calibration
from search.retrieval.clusters import fit_clusters
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.parameters import ClusterParameters, Parameters
from search.retrieval.records import Filters, MarkRecord
from search.retrieval.refinement import RefinedAnswer, UnknownMark, search_refined
from search.retrieval.searcher import Searcher
from search.retrieval.snapshot import SnapshotStore
from search.retrieval.table import MarkTable
from tests.search.retrieval.pictures import random_description

COUNT = 300
EQUAL = Parameters.initial(DESCRIPTORS)


@pytest.fixture(scope="module")
def marks() -> list[Description]:
    rng = np.random.default_rng(4)
    return [random_description(rng, regions=i % 3) for i in range(COUNT)]


@pytest.fixture(scope="module")
def searcher(marks: list[Description], tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    rows = [MarkRecord(f"{i:04}", (9,) if i % 2 else (25,)) for i in range(COUNT)]
    table = MarkTable.of([row.number for row in rows], marks)
    store = SnapshotStore(Path(tmp_path_factory.mktemp("snapshots")))
    store.publish(
        records=table, metadata=rows, calibration=Calibration(), descriptors_version="d1",
        clusters=fit_clusters(table.vectors["general"], k=4),
    )  # fmt: skip
    return Searcher(store.open())


def ask(searcher: Searcher, query: Description, parameters: Parameters = EQUAL, **more: object) -> RefinedAnswer:
    fields = {
        "liked": [], "disliked": [], "cluster": None, "filters": Filters(), "depth": "register",
        "candidates": COUNT, "top": 60, "shown": slice(0, 20),
    }  # fmt: skip
    return search_refined(searcher, query, parameters, **{**fields, **more})  # type: ignore[arg-type]


def place(answer: RefinedAnswer, number: str) -> int:
    return next((hit.rank for hit in answer.hits if hit.number == number), 10**6)


def test_liked_marks_rise_and_disliked_ones_sink(searcher: Searcher) -> None:
    query = random_description(np.random.default_rng(77))
    everything = slice(0, COUNT)
    before = ask(searcher, query, top=COUNT, shown=everything)
    first, tenth = before.hits[0].number, before.hits[9].number
    liked = ask(searcher, query, liked=[tenth], top=COUNT, shown=everything)
    assert place(liked, tenth) == 1
    disliked = ask(searcher, query, disliked=[first], top=COUNT, shown=everything)
    assert place(disliked, first) > place(before, first)


def test_the_order_is_refined_and_the_percentages_are_those_of_the_query(searcher: Searcher) -> None:
    query = random_description(np.random.default_rng(78))
    plain = {hit.number: hit for hit in searcher.search(query, EQUAL, candidates=COUNT, top=COUNT).hits}
    answer = ask(searcher, query, liked=[list(plain)[8]], disliked=[list(plain)[1]])
    assert [hit.rank for hit in answer.hits] == list(range(1, 21)) and answer.count == 60
    for hit in answer.hits:
        assert hit.score == pytest.approx(plain[hit.number].score, abs=1e-6)
        assert hit.similarities == pytest.approx(plain[hit.number].similarities, abs=1e-6)
        assert hit.boxes == plain[hit.number].boxes
    assert [hit.number for hit in answer.hits] != list(plain)[:20]


def test_pages_continue_where_the_last_one_ended(searcher: Searcher) -> None:
    query = random_description(np.random.default_rng(79))
    whole = ask(searcher, query, liked=["0003"], shown=slice(0, 60))
    second = ask(searcher, query, liked=["0003"], shown=slice(20, 40))
    assert second.hits == whole.hits[20:40]
    assert ask(searcher, query, liked=["0003"], shown=slice(80, 100)).hits == []


def test_filters_and_the_weights_of_the_searchs_own_cluster_stay(searcher: Searcher) -> None:
    query = random_description(np.random.default_rng(80))
    only = ask(searcher, query, liked=["0003"], filters=Filters(nice=(25,)), top=COUNT, shown=slice(0, COUNT))
    assert {int(hit.number) % 2 for hit in only.hits} == {0}
    weights = {name: float(name == "edges") for name in DESCRIPTORS}
    version = searcher.snapshot.clusters.version
    own = Parameters(EQUAL.default, {2: ClusterParameters(weights, 0.5, 0.15)}, version)
    in_two = ask(searcher, query, own, liked=["0003"], cluster=2)
    assert all(hit.score == pytest.approx(max(hit.similarities["edges"] or 0, 0), abs=1e-6) for hit in in_two.hits)
    elsewhere = ask(searcher, query, own, liked=["0003"], cluster=1)
    assert [hit.number for hit in elsewhere.hits] != [hit.number for hit in in_two.hits]


def test_a_mark_that_the_snapshot_does_not_hold_is_named(searcher: Searcher) -> None:
    with pytest.raises(UnknownMark) as unknown:
        ask(searcher, random_description(np.random.default_rng(81)), liked=["0001", "9999"])
    assert unknown.value.number == "9999"
