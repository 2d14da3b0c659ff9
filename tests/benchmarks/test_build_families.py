"""The family builder on a tiny package: layout, exclusions, the same bytes, resuming, clear errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import build_families
from benchmarks.iconify.select import pool_split
from tests.benchmarks.conftest import TinyPackage, pack, shape


def build(tiny: TinyPackage, out: Path, *, split: str = "val", distractors: int = 1000, jobs: int = 1) -> dict:
    """Run the builder; give its manifest."""
    more = ("--split", split, "--distractors", str(distractors), "--size", "64", "--jobs", str(jobs))
    assert build_families.main(tiny.arguments(out, *more)) == 0
    return json.loads((out / "manifest.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its relative name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def pool_sources(out: Path) -> set[str]:
    """`pack:icon` of each pool file."""
    return {path.stem.replace("--", ":", 1) for path in (out / "pool").iterdir()}


def test_every_member_is_a_query_under_its_group_of_the_sorted_names(tiny: TinyPackage, tmp_path: Path) -> None:
    manifest = build(tiny, tmp_path / "out")
    # "acorn" sorts before "birch", whatever the order in the file.
    assert {p.name for p in (tmp_path / "out/queries").iterdir()} == {
        "1-1.png", "2-1.png", "3-1.png", "1-2.png", "2-2.png",
    }  # fmt: skip
    assert manifest["families"]["1"]["marks"]["queries/3-1.png"] == "selfhst:acorn"
    assert manifest["complete"]
    assert manifest["licences"]["CC0-1.0"] >= 4


def test_pictures_are_rgb_on_a_light_ground_at_the_asked_size(tiny: TinyPackage, tmp_path: Path) -> None:
    build(tiny, tmp_path / "out")
    pictures = list((tmp_path / "out").rglob("*.png"))
    assert len(pictures) > 5
    for path in pictures:
        with Image.open(path) as picture:
            assert (picture.mode, max(picture.size)) == ("RGB", 64)
            assert picture.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("split", ["val", "train"])
def test_a_pool_holds_nothing_that_must_stay_out(tiny: TinyPackage, tmp_path: Path, split: str) -> None:
    build(tiny, tmp_path / "out", split=split)
    sources = pool_sources(tmp_path / "out")
    assert sources, "the pool is empty, the test would show nothing"
    packs = {source.partition(":")[0] for source in sources}
    assert packs <= {"simple-icons", "logos", "devicon", "selfhst", "a-ui-set"}  # no arcticons, cbi, GPL
    icons = {source.partition(":")[2] for source in sources}
    # Members of either split, and what speaks of their brand in any way.
    assert not [i for i in icons if any(b in i for b in ("acorn", "birch", "cedar", "dogwood"))]
    # The reserved mark, and the other drawing of its brand.
    assert not [i for i in icons if i.startswith("heldback")]


def test_the_two_pools_share_no_brand(tiny: TinyPackage, tmp_path: Path) -> None:
    for split in ("val", "train"):
        build(tiny, tmp_path / split, split=split)
    val, train = (pool_sources(tmp_path / split) for split in ("val", "train"))
    assert val
    assert train
    assert not val & train
    assert pool_split("firefly-dark") == pool_split("firefly") == pool_split("fire-fly-logo-2-block")


def test_brand_packs_come_before_other_icons(tiny: TinyPackage, tmp_path: Path) -> None:
    everything = pool_sources(build_all_val(tiny, tmp_path / "all"))
    brands = {source for source in everything if not source.startswith("a-ui-set:")}
    build(tiny, tmp_path / "some", distractors=len(brands))
    assert pool_sources(tmp_path / "some") == brands
    assert brands < everything


def build_all_val(tiny: TinyPackage, out: Path) -> Path:
    """A val build with every distractor there is."""
    build(tiny, out)
    return out


def test_the_same_bytes_each_time_from_one_or_two_processes_and_from_the_tarball(
    tiny: TinyPackage, tmp_path: Path
) -> None:
    build(tiny, tmp_path / "one")
    build(tiny, tmp_path / "two", jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    arguments = tiny.arguments(tmp_path / "three", "--split", "val", "--distractors", "1000", "--size", "64")
    arguments[1] = str(tiny.tarball(tmp_path / "package.tgz"))
    assert build_families.main(arguments) == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_a_stopped_build_goes_on_without_drawing_again(
    tiny: TinyPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(build_all_val(tiny, tmp_path / "whole"))
    build(tiny, tmp_path / "out")
    manifest = tmp_path / "out/manifest.json"
    manifest.write_text(json.dumps({"build": json.loads(manifest.read_text())["build"], "complete": False}))
    lost = sorted((tmp_path / "out/pool").iterdir())[:2]
    lost[0].unlink()
    lost[1].write_bytes(lost[1].read_bytes()[:-20])  # cut off by a full disk
    (tmp_path / "out/pool/half.tmp").write_bytes(b"half")
    kept = tmp_path / "out/queries/1-1.png"
    before = kept.stat().st_mtime_ns
    build(tiny, tmp_path / "out")
    assert contents(tmp_path / "out") == whole
    assert kept.stat().st_mtime_ns == before


def test_empty_marks_and_copies_are_left_out_and_counted(tiny: TinyPackage, tmp_path: Path) -> None:
    drawings = {"blank": "", "broken": "<path d='", "first": shape(900), "second": shape(900)}
    # As many as it takes for each to have its brand in this pool.
    tiny.write_pack(
        pack("logos", {f"{name}{n}": body for name, body in drawings.items() for n in range(30)}, "CC0-1.0")
    )
    families = {"train": {}, "val": {"acorn": [["simple-icons", "acorn"], ["devicon", "acorn-plain"]]}}
    tiny.families.write_text(json.dumps(families))
    manifest = build(tiny, tmp_path / "out")
    assert manifest["left_out"]["empty or unrenderable"] > 0
    assert manifest["left_out"]["same picture as an earlier mark"] > 0
    drawn = [source for source in pool_sources(tmp_path / "out") if source.startswith("logos:")]
    assert len(drawn) == 1


def test_a_family_with_one_picture_left_is_no_query(tiny: TinyPackage, tmp_path: Path) -> None:
    twice = shape(901)
    tiny.write_pack(pack("simple-icons", {"acorn": twice, "birch": shape(902)}, "CC0-1.0"))
    tiny.write_pack(pack("logos", {"acorn": twice, "birch-icon": shape(903)}, "CC0-1.0"))
    families = json.loads(tiny.families.read_text())
    families["val"]["acorn"] = families["val"]["acorn"][:2]
    tiny.families.write_text(json.dumps(families))
    build(tiny, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out/queries").iterdir()} == {"1-2.png", "2-2.png"}


def test_bad_input_is_one_sentence_and_status_1(
    tiny: TinyPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(out: Path, **changed: Path) -> str:
        arguments = tiny.arguments(out, "--split", "val", "--distractors", "3", "--size", "64", "--jobs", "1")
        for option, value in changed.items():
            arguments[arguments.index(f"--{option}") + 1] = str(value)
        assert build_families.main(arguments) == 1
        error = capsys.readouterr().err.strip()
        assert "Traceback" not in error
        return error.splitlines()[-1]

    assert "no icon package" in refused(tmp_path / "a", package=tmp_path / "nowhere.tgz")
    (tmp_path / "text.tgz").write_text("not a tarball")
    assert "is not the npm package" in refused(tmp_path / "a", package=tmp_path / "text.tgz")
    assert "families.json" in refused(tmp_path / "a", families=tmp_path / "no/families.json")
    (tmp_path / "file").write_text("x")
    assert "not a directory" in refused(tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.txt").write_text("keep me")
    assert "something else" in refused(tmp_path / "other")
    build(tiny, tmp_path / "done", distractors=2)
    assert "other settings" in refused(tmp_path / "done")
    (tiny.root / "package.json").write_text('{"version": "9.9.9"}')
    assert "9.9.9" in refused(tmp_path / "a")


def test_a_family_that_names_a_reserved_mark_is_refused(
    tiny: TinyPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.reserved.write_text("logos:acorn\n")
    arguments = tiny.arguments(tmp_path / "out", "--split", "val", "--distractors", "3")
    assert build_families.main(arguments) == 1
    assert "reserved" in capsys.readouterr().err
