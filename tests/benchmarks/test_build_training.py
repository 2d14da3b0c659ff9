"""Which marks make the training data, and what family each belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.build_training import without_final, write_chosen
from benchmarks.iconify import kept_from_training, load_families
from benchmarks.iconify.training_marks import Chosen, choose

KEPT = next(name for name, _ in load_families()["train"].groups.values() if kept_from_training(name))
POOL = [
    ("simple-icons", "acme"), ("logos", "acme-icon"), ("logos", "lonely"),
    ("tabler", "rocket"), ("tabler", "rocket-outline"), ("tabler", "rocket-filled"),
    ("mdi", "telescope"), ("lucide", "telescope"), ("lucide", "telescope-line"),
    ("mdi", "up"), ("lucide", "up"),
]  # fmt: skip


def chosen(**most: int) -> dict[str, Chosen]:
    counts = {"variants": 9, "concepts": 9, "alone": 9} | most
    families = [("oak", [("bxl", "oak"), ("cib", "oak")]), (KEPT, [("bxl", "kept"), ("cib", "kept")])]
    return {":".join(one.member): one for one in choose(families, POOL, **counts)}


def test_each_mark_stands_once_and_under_its_kind() -> None:
    found = chosen()
    assert found["bxl:oak"].kind == "family" and found["bxl:oak"].family == found["cib:oak"].family
    assert found["simple-icons:acme"].kind == "brand"
    assert found["simple-icons:acme"].family == found["logos:acme-icon"].family
    assert {found[f"tabler:{name}"].kind for name in ("rocket", "rocket-outline", "rocket-filled")} == {"variant"}
    assert found["logos:lonely"].kind == "alone" and found["logos:lonely"].family == ""


def test_some_train_families_are_kept_from_training() -> None:
    assert chosen()["bxl:kept"].kind == "kept"


def test_a_subject_of_several_packs_is_a_concept_unless_its_name_says_too_little() -> None:
    found = chosen(variants=0)
    assert found["mdi:telescope"].kind == "concept"
    assert found["mdi:telescope"].family == found["lucide:telescope"].family
    assert found["mdi:up"].kind == "alone"


def test_numbers_limit_each_kind() -> None:
    kinds = [one.kind for one in chosen(variants=0, concepts=0, alone=1).values()]
    assert "variant" not in kinds and "concept" not in kinds
    assert kinds.count("alone") == 1


def test_equal_pictures_of_a_family_and_pictures_of_nothing_are_left_out(tmp_path: Path) -> None:
    marks = [
        Chosen(("a", "x"), "brand x", "brand"),
        Chosen(("b", "x"), "brand x", "brand"),
        Chosen(("c", "y"), "", "alone"),
    ]
    grey = np.full((3, 8, 8), 255, np.uint8)
    grey[:, 2:6, 2:6] = 0
    drawn = without_final(marks, grey, np.array([1, 1, 2], np.uint8))
    counts = write_chosen(tmp_path, drawn, [], side=8, identity={"side": 8}, licences=dict.fromkeys("abc", "MIT"))
    assert counts == {"brand": 1}
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["names"] == ["a:x"] and index["source"]["licences"] == {"MIT": 1}
    assert np.load(tmp_path / "marks.npy").shape == (1, 8, 8)
