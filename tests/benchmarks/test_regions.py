"""benchmarks/regions.py with a cheap encoder: every finder gets its row, and the figures mean what they say."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks import regions
from search.retrieval.normalise import Normalised, resized
from search.retrieval.pooling import unit
from search.retrieval.regions import FINDERS
from tests import pictures

SIDE = 8


class FakeWhole:
    """Pixels as vectors."""

    whitening = SimpleNamespace(dim=SIDE * SIDE)

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, images: np.ndarray) -> np.ndarray:
        self.encoded += len(images)
        small = np.stack([cv2.resize(i[:, :, 0], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for i in images])
        return unit(255.0 - small.reshape(len(images), -1) + 1)

    def describe(self, marks: list[Normalised]) -> list[Any]:
        return list(self.encode(np.stack([resized(mark.grey, 64) for mark in marks])))


class FakeDescriber:
    version = "fake"

    def __init__(self) -> None:
        self.whole = FakeWhole()


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Three groups of two: a mark, and the same mark left of another one; eight strangers."""
    (tmp_path / "queries").mkdir()
    (tmp_path / "pool").mkdir()
    for group in range(3):
        alone, other = pictures.mark(group), pictures.mark(50 + group)
        both = Image.new("RGB", (360, 160), "white")
        both.paste(alone, (0, 0))
        both.paste(other, (200, 0))
        alone.save(tmp_path / "queries" / f"1-{group}.png")
        both.save(tmp_path / "queries" / f"2-{group}.png")
    for seed in range(8):
        pictures.mark(100 + seed).save(tmp_path / "pool" / f"{seed}.png")
    return tmp_path


@pytest.fixture
def run(layout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    made: list[FakeDescriber] = []

    def describer() -> FakeDescriber:
        made.append(FakeDescriber())
        return made[-1]

    monkeypatch.setattr(regions, "Describer", describer)

    def go(*more: str) -> tuple[str, FakeDescriber]:
        arguments = ["--queries", layout / "queries", "--pool", layout / "pool", "--cache", layout / "cache", *more]
        monkeypatch.setattr(sys, "argv", ["regions.py", *map(str, arguments)])
        regions.main()
        return capsys.readouterr().out, made[-1]

    return go


def test_every_finder_has_a_row_with_its_cost(run: Any) -> None:
    report = json.loads(run("--json")[0])
    assert (report["queries"], report["marks"]) == (6, 14) and list(report["finders"]) == list(FINDERS)
    for row in report["finders"].values():
        assert row["bytes_per_mark"] == pytest.approx(row["regions_per_mark"] * (SIDE * SIDE * 2 + 16), abs=2)
        assert row["whole"] == report["finders"]["ink-groups"]["whole"], "the whole mark is the same for all"
        assert all(0 <= row[kind]["map100"] <= 100 for kind in ("set", "mean", "set+whole", "mean+whole"))
    halves = report["finders"]["crops"]
    assert halves["regions_per_mark"] >= 2
    assert halves["set"]["map100"] >= halves["whole"]["map100"], "a copied half is found by its half"


def test_a_second_run_describes_nothing_again_and_the_pool_can_be_limited(run: Any) -> None:
    assert run("--json", "--limit-pool", "4")[1].whole.encoded > 0
    out, describer = run("--json", "--limit-pool", "4")
    assert describer.whole.encoded == 0 and json.loads(out)["marks"] == 10


def test_only_the_finders_asked_for_in_a_table(run: Any) -> None:
    out, _ = run("--finders", "crops", "watershed")
    lines = out.splitlines()
    assert lines[0].startswith("6 queries, 14 marks") and [line.split()[0] for line in lines[2:]] == [
        "crops",
        "watershed",
    ]


def test_the_mean_is_of_the_regions_and_missing_without_any() -> None:
    from search.retrieval.description import Description
    from search.retrieval.table import MarkTable

    x, y = np.eye(2, dtype=np.float32)
    boxes = np.zeros((2, 4), np.int32)
    table = MarkTable.of(
        ["a", "b"], [Description({"general": x}, np.stack([x, y]), boxes), Description({"general": y})]
    )
    np.testing.assert_allclose(regions.mean_regions(table), [[np.sqrt(0.5)] * 2, [0, 0]], atol=1e-3)
    whole, sets, means = np.moveaxis(next(regions.compared(table, table)), 2, 0)
    np.testing.assert_allclose(whole, [[1, 0], [0, 1]], atol=1e-3)
    np.testing.assert_allclose(sets, [[1, 1], [1, 1]], atol=1e-3)
    assert means[0, 0] == pytest.approx(1, abs=1e-3) and np.isnan(means[[0, 1, 1], [1, 0, 1]]).all()
