"""Families that the encoder has learnt are left out where something is fitted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.iconify import kept_from_training, load_families
from benchmarks.kept import kept_families
from tuning.evaluation.metu import LayoutError, MetuLayout

NAMES = [name for name, _ in load_families()["train"].groups.values()]
KEPT = next(name for name in NAMES if kept_from_training(name))
LEARNT = next(name for name in NAMES if not kept_from_training(name))


def layout(folder: Path, *names: str) -> MetuLayout:
    content = {"families": {str(n): {"name": name} for n, name in enumerate(names, start=1)}}
    (folder / "manifest.json").write_text(json.dumps(content))
    groups = tuple(str(n) for n, _ in enumerate(names, start=1) for _ in range(2))
    return MetuLayout(
        folder / "queries", folder / "pool", tuple(Path(f"{i}-{g}.png") for i, g in enumerate(groups)), groups, ()
    )


def test_one_family_in_six_is_kept() -> None:
    assert 0.13 < sum(map(kept_from_training, NAMES)) / len(NAMES) < 0.2


def test_learnt_families_are_no_queries(tmp_path: Path) -> None:
    found = kept_families(layout(tmp_path, LEARNT, KEPT))
    assert found.groups == ("2", "2")
    assert len(found.query_paths) == 2


def test_a_directory_without_a_manifest_stays_as_it_is(tmp_path: Path) -> None:
    own = layout(tmp_path, LEARNT)
    (tmp_path / "manifest.json").unlink()
    assert kept_families(own) == own


def test_nothing_left_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="nothing is left to fit on"):
        kept_families(layout(tmp_path, LEARNT))
