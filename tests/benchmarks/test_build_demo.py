"""The demonstration register: how it is built, and what lies in the repository."""

from __future__ import annotations

import collections
import csv
import io
import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import build_demo
from benchmarks.iconify import load_families, load_reserved
from tests.benchmarks.conftest import TinyPackage
from tests.benchmarks.test_build_families import contents

DEMO = build_demo.ROOT / "search" / "demo"
PERMITTED = {"CC0-1.0", "MIT", "ISC", "Apache-2.0"}


def register(folder: Path) -> list[dict[str, str]]:
    """The rows of a demo's register."""
    return list(csv.DictReader(io.StringIO((folder / "register.csv").read_text(encoding="utf-8"))))


def test_only_permitted_licences_are_drawn_and_the_bytes_are_the_same(tiny: TinyPackage, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert build_demo.main(tiny.arguments(tmp_path / name, "--marks", "30")) == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    rows = register(tmp_path / "one")
    assert {row["source"].partition(":")[0] for row in rows} <= {"simple-icons", "logos", "devicon"}
    assert {row["licence"] for row in rows} <= {"CC0-1.0", "MIT"}
    # selfhst:acorn is a member, but CC BY.
    queries = [row["image"] for row in rows if row["image"].startswith("queries/")]
    assert queries == ["queries/1-1.webp", "queries/2-1.webp", "queries/1-2.webp", "queries/2-2.webp"]
    assert len(rows) > len(queries)


def test_a_brand_pack_under_another_licence_gives_nothing(tiny: TinyPackage, tmp_path: Path) -> None:
    content = json.loads((tiny.root / "json" / "logos.json").read_text())
    content["info"]["license"]["spdx"] = "CC-BY-4.0"
    tiny.write_pack(content)
    members = [["simple-icons", "acorn"], ["logos", "acorn"], ["devicon", "acorn-plain"]]
    families = {"train": {}, "val": {"acorn": members}}
    tiny.families.write_text(json.dumps(families))
    assert build_demo.main(tiny.arguments(tmp_path / "demo", "--marks", "30")) == 0
    drawn = {row["source"].partition(":")[0] for row in register(tmp_path / "demo")}
    assert {"simple-icons", "devicon"} <= drawn
    assert "logos" not in drawn


def test_a_rebuild_replaces_the_parts_and_keeps_strangers(tiny: TinyPackage, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    (out / "pool").mkdir(parents=True)
    (out / "pool" / "old.webp").write_bytes(b"old")
    (out / "snapshot.bin").write_bytes(b"not ours")
    assert build_demo.main(tiny.arguments(out, "--marks", "10")) == 0
    assert not (out / "pool" / "old.webp").exists()
    assert (out / "snapshot.bin").read_bytes() == b"not ours"
    assert not out.with_name("demo.new").exists()


def test_groups_are_dealt_by_share_with_like_sizes_in_each_split() -> None:
    sizes = {group: 2 + group % 5 for group in range(1, 101)}
    splits = build_demo.split_groups(sizes)
    assert {name: len(groups) for name, groups in splits.items()} == {"fit": 40, "validate": 35, "test": 25}
    means = [sum(sizes[g] for g in groups) / len(groups) for groups in splits.values()]
    assert max(means) - min(means) < 0.3
    assert sorted(g for groups in splits.values() for g in groups) == sorted(sizes)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """The register in the repository."""
    return register(DEMO)


def test_shipped_register_has_enough_marks_and_is_small_enough(rows: list[dict[str, str]]) -> None:
    assert len(rows) >= 2000
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 8_000_000


def test_shipped_register_and_pictures_match_one_to_one(rows: list[dict[str, str]]) -> None:
    on_disk = {str(path.relative_to(DEMO)) for path in DEMO.rglob("*.webp")}
    assert sorted(row["image"] for row in rows) == sorted(on_disk)
    assert len({row["number"] for row in rows}) == len({row["source"] for row in rows}) == len(rows)


def test_every_shipped_picture_opens_and_shows_something(rows: list[dict[str, str]]) -> None:
    for row in rows:
        with Image.open(DEMO / row["image"]) as picture:
            assert min(picture.size) >= 32, row["image"]
            assert max(picture.size) <= 256, row["image"]
            assert np.ptp(np.asarray(picture.convert("L"))) > 24, row["image"]


def test_no_shipped_picture_is_there_twice(rows: list[dict[str, str]]) -> None:
    assert len({(DEMO / row["image"]).read_bytes() for row in rows}) == len(rows)


def test_shipped_entries_are_well_formed(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert re.fullmatch(r"TM-\d{4}-\d{6}", row["number"])
        assert row["name"]
        assert row["owner"]
        assert {int(number) for number in row["nice_classes"].split(";")} <= set(range(1, 46))
        assert re.fullmatch(r"[A-Z]{2}", row["jurisdiction"])
        assert row["status"] in {"registered", "pending", "opposed", "expired", "cancelled"}
        assert date.fromisoformat(row["filing_date"]).year == int(row["number"][3:7])


def test_shipped_marks_are_licensed_and_not_withheld(rows: list[dict[str, str]]) -> None:
    reserved = {":".join(member) for member in load_reserved()}
    assert len(reserved) > 3000
    page = (DEMO / "LICENCES.md").read_text(encoding="utf-8")
    for row in rows:
        prefix = row["source"].partition(":")[0]
        assert row["licence"] in PERMITTED
        assert prefix not in {"arcticons", "cbi", "cib"}
        assert row["source"] not in reserved
        assert f"(`{prefix}`)" in page
    for prefix, count in collections.Counter(row["source"].partition(":")[0] for row in rows).items():
        assert re.search(rf"\(`{prefix}`\).*\| {count} \|", page)
    assert "invented" in page
    assert "Trademarks belong to their owners" in page


def test_shipped_families_are_val_families_and_nothing_of_train_is_there(rows: list[dict[str, str]]) -> None:
    families = load_families()
    train = {":".join(member) for member in families["train"].members()}
    assert not [row["source"] for row in rows if row["source"] in train]
    for row in rows:
        where, _, name = row["image"].partition("/")
        if where == "queries":
            instance, group = (int(part) for part in name.removesuffix(".webp").split("-"))
            assert ":".join(families["val"].groups[group][1][instance - 1]) == row["source"]


def test_shipped_splits_part_the_groups(rows: list[dict[str, str]]) -> None:
    sizes = collections.Counter(
        int(row["image"].removesuffix(".webp").rpartition("-")[2])
        for row in rows
        if row["image"].startswith("queries/")
    )
    assert len(sizes) >= 60
    assert min(sizes.values()) >= 2
    splits = json.loads((DEMO / "splits.json").read_text(encoding="utf-8"))
    assert set(splits) == {"fit", "validate", "test"}
    assert sorted(group for groups in splits.values() for group in groups) == sorted(sizes)
    assert [round(len(splits[name]) / len(sizes), 1) for name in ("fit", "test")] == [0.4, 0.3]
