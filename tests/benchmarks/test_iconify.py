"""Names, rendering and invented register entries of the icon helpers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.iconify import (
    PINNED_VERSION,
    BrandFilter,
    Pack,
    PackageError,
    Titles,
    brand_key,
    open_package,
    register_rows,
    render_mark,
    svg_document,
)
from benchmarks.iconify.images import SeenPictures, drawn_share, webp_bytes
from tests.benchmarks.conftest import TinyPackage, pack, shape


@pytest.mark.parametrize(
    ("icon", "brand"),
    [
        ("adobe-illustrator-logo-block", "adobeillustrator"),
        ("adobeillustrator", "adobeillustrator"),
        ("drupal-logo-2-solid", "drupal"),
        ("file-type-django", "django"),
        ("skill-dark", "skill"),
        ("black", "black"),  # nothing but variant words: then they are the name
    ],
)
def test_brand_key_drops_what_tells_drawings_apart(icon: str, brand: str) -> None:
    assert brand_key(icon) == brand


def test_brand_filter_finds_a_brand_as_whole_words_or_at_the_beginning_of_one() -> None:
    brands = BrandFilter({"box", "docker", "adobeillustrator"})
    hits = ("box", "box-light", "my-box-tool", "dockerhub", "x-docker-desktop", "adobe-illustrator-cc")
    assert [icon for icon in hits if not brands.hits(icon)] == []
    # "box" is too short to be told from the beginning of another word.
    assert [icon for icon in ("boxing", "adobe", "illustrator", "dock") if brands.hits(icon)] == []


def drawn(body: str, size: int = 64, **box: float) -> Image.Image | None:
    """Render a body given in a 24 x 24 box unless told otherwise."""
    content = pack("logos", {"it": body})
    content["icons"]["it"].update(box)
    return render_mark(svg_document(Pack.from_json(content), "it", size), size)


def test_a_dark_mark_lies_on_white_and_a_white_one_on_dark() -> None:
    for colour, ground in (("black", (255, 255, 255)), ("#d33", (255, 255, 255)), ("white", (34, 34, 34))):
        picture = drawn(shape(3, colour))
        assert picture is not None
        assert picture.getpixel((0, 0)) == ground


def test_white_words_beside_a_small_coloured_dot_lie_on_dark() -> None:
    picture = drawn(shape(3, "white") + '<circle cx="20" cy="20" r="1.5" fill="#d33"/>')
    assert picture is not None
    assert picture.getpixel((0, 0)) == (34, 34, 34)


def test_a_white_tile_around_a_mark_is_no_reason_for_a_dark_ground() -> None:
    picture = drawn('<rect width="24" height="24" fill="white"/>' + shape(3, "navy"))
    assert picture is not None
    assert picture.getpixel((0, 0)) == (255, 255, 255)


def test_what_shows_nothing_gives_no_picture() -> None:
    assert drawn("") is None
    assert drawn('<rect width="24" height="24" fill="none"/>') is None
    assert drawn("<path d='") is None  # not well-formed
    assert drawn(shape(1), width=0, height=0) is None


def test_a_wide_mark_keeps_its_shape_and_a_least_height() -> None:
    body = '<rect x="5" y="2" width="230" height="6" fill="black"/>'
    picture = drawn(body, 256, width=240, height=10)
    assert picture is not None
    assert picture.size == (256, 64)
    dark = np.asarray(picture.convert("L")) < 128
    assert np.ptp(np.flatnonzero(dark.any(axis=0))) == pytest.approx(230, abs=2)
    assert np.ptp(np.flatnonzero(dark.any(axis=1))) == pytest.approx(6, abs=2)


def test_small_files_keep_what_is_seen() -> None:
    picture = drawn(shape(5, "#c22"), 256)
    assert picture is not None
    content = webp_bytes(picture)
    assert len(content) < 4000
    again = Image.open(io.BytesIO(content)).convert("RGB")
    assert np.abs(np.asarray(again).astype(int) - np.asarray(picture)).mean() < 1.0


def test_pictures_that_look_the_same_are_told_from_others() -> None:
    seen = SeenPictures()
    first, other = drawn(shape(3), 256), drawn(shape(4), 256)
    assert first is not None
    assert other is not None
    assert seen.is_new(first)
    assert seen.is_new(other)
    almost = Image.fromarray(np.clip(np.asarray(first).astype(int) + 1, 0, 255).astype(np.uint8))
    assert not seen.is_new(almost)


def test_drawn_share_finds_specks_and_bare_rectangles() -> None:
    speck, mark = drawn('<circle cx="12" cy="12" r="2"/><path d="M11 12h2v3z"/>', 128), drawn(shape(3), 128)
    bare = drawn('<rect x="2" y="2" width="20" height="20"/>', 128)
    assert speck is not None
    assert mark is not None
    assert bare is not None
    assert drawn_share(speck) < 0.35 < drawn_share(mark)
    assert drawn_share(bare) == 0


def test_titles_part_words_as_another_pack_does() -> None:
    titles = Titles(["adobeillustrator", "adobe-illustrator-logo", "css3", "npm"])
    assert titles.title("adobeillustrator") == "Adobe Illustrator"
    assert titles.title("npm") == "NPM"
    assert titles.title("acorn-dark") == "Acorn"


def test_register_entries_are_the_same_each_time_and_make_sense() -> None:
    members = [("logos", f"brand-{n}") for n in range(400)]
    titles = Titles(icon for _, icon in members)
    rows = register_rows(members, titles)
    assert rows == register_rows(members, titles)
    assert len({row.number for row in rows}) == len(rows)
    for row in rows:
        assert row.number.startswith(f"TM-{row.filing_date.year}-")
        assert 1 <= len(row.nice_classes) <= 4
        assert set(row.nice_classes) <= set(range(1, 46))
        # A mark lives ten years unless it is renewed; one that is still pending is young.
        age = 2026 - row.filing_date.year
        assert (row.status != "expired" or age >= 10) and (row.status != "pending" or age <= 3)


def fake_npm(folder: Path, script: str) -> None:
    """Put a program called npm into `folder`."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)


def test_the_package_is_fetched_with_npm_once(
    tiny: TinyPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tarball = tiny.tarball(tmp_path / "packed.tgz")
    # npm pack NAME@VERSION --pack-destination FOLDER
    fake_npm(tmp_path / "bin", f'echo "$2" >> {tmp_path}/calls; cp {tarball} "$4/iconify-json-{PINNED_VERSION}.tgz"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    for _ in range(2):
        assert open_package(None, cache=tmp_path / "cache").version == PINNED_VERSION
    assert (tmp_path / "calls").read_text().split() == [f"@iconify/json@{PINNED_VERSION}"]


def test_a_failed_fetch_says_what_npm_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", "echo 'npm error network is down' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(PackageError, match="network is down"):
        open_package(None, cache=tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(PackageError, match="--package"):
        open_package(None, cache=tmp_path / "cache")


def test_a_damaged_package_is_a_sentence(tiny: TinyPackage, tmp_path: Path) -> None:
    (tiny.root / "json" / "logos.json").write_text('{"prefix": "logos", "ico')
    with pytest.raises(PackageError, match="damaged"):
        list(open_package(tiny.root, cache=tmp_path).packs())
