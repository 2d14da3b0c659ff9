from pathlib import Path

import pytest

from search.retrieval.clusters import fit_clusters
from search.retrieval.probe import TOP, Probe
from search.retrieval.searcher import Searcher
from search.retrieval.snapshot import SnapshotStore
from tests.search.retrieval.test_snapshot import CALIBRATION, register

KEPT = Probe(b"image", (("a", 0.9), ("b", 0.801), ("c", 0.8), ("d", 0.5)))


def test_the_snapshot_as_built_and_as_loaded_answer_alike(tmp_path: Path) -> None:
    table, rows = register(60)
    store = SnapshotStore(tmp_path)
    store.publish(
        records=table,
        metadata=rows,
        calibration=CALIBRATION,
        descriptors_version="d1",
        clusters=fit_clusters(table.vectors["general"], k=2),
        probe=lambda built: Probe(b"image", Searcher(built).probed(table.description(7))),
    )
    opened = store.open()
    assert opened.probe is not None and opened.probe.image == b"image"
    assert len(opened.probe.answer) == TOP and opened.probe.answer[0][0] == table.numbers[7]
    assert opened.probe.difference(Searcher(opened).probed(table.description(7))) == ""
    assert opened.probe.difference(Searcher(opened).probed(table.description(8)))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (KEPT.answer, ""),
        ((("a", 0.9), ("c", 0.8), ("b", 0.8), ("d", 0.5)), ""),  # too near to tell
        ((("a", 0.9), ("b", 0.801), ("c", 0.8), ("e", 0.5)), ""),  # shares the last place
        (KEPT.answer[:3], "3 marks were found where 4 were"),
        ((("x", 0.9), ("b", 0.801), ("c", 0.8), ("d", 0.5)), "mark a is no longer found"),
        ((("a", 0.9), ("b", 0.801), ("c", 0.7), ("d", 0.5)), "place 3, c, has 70.00 % where it had 80.00 %"),
        ((("a", 0.9), ("b", float("nan")), ("c", 0.8), ("d", 0.5)), "place 2, b"),
    ],
)
def test_what_differs_is_said(found: tuple[tuple[str, float], ...], said: str) -> None:
    difference = KEPT.difference(found)
    assert said in difference if said else difference == ""
