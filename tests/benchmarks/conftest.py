"""A tiny icon package: the same file layout as `@iconify/json`, drawn by the test."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.iconify import PINNED_VERSION


def shape(number: int, colour: str = "currentColor") -> str:
    """A drawing that no other number gives: a bar, a disc and a notch at places of their own."""
    x, y = number % 7, number // 7
    return (
        f'<g fill="{colour}"><rect x="{2 + x}" y="2" width="3" height="{10 + y}"/>'
        f'<circle cx="{8 + x}" cy="{16 - y}" r="{2 + number % 3}"/></g>'
    )


def pack(prefix: str, icons: dict[str, str], licence: str = "MIT", category: str = "Logos") -> dict:
    """One pack's file; every icon has a 24 x 24 box."""
    return {
        "prefix": prefix,
        "info": {
            "name": prefix.title(),
            "author": {"name": f"{prefix} people", "url": f"https://example.org/{prefix}"},
            "license": {"title": licence, "spdx": licence, "url": "https://example.org/licence"},
            "category": category,
        },
        "icons": {name: {"body": body} for name, body in icons.items()},
        "width": 24,
        "height": 24,
    }


# All these names belong to one pool by their hash; the tests of the split itself use others.
DISTRACTORS = [f"mark{n}" for n in range(40)]


def tiny_packs() -> list[dict]:
    """Packs that hold two families of each split, distractors, and everything that must stay out."""
    numbers = iter(range(1000))

    def drawn(*names: str) -> dict[str, str]:
        return {name: shape(next(numbers)) for name in names}

    return [
        pack("simple-icons", drawn("acorn", "birch", "cedar", "dogwood"), "CC0-1.0"),
        pack("logos", drawn("acorn", "birch-icon", "cedar-wordmark", "dogwood", *DISTRACTORS), "CC0-1.0"),
        pack("devicon", drawn("acorn-plain", "acorncloud", "my-birch-tools", "cedar", "heldback", "heldback-dark")),
        pack("selfhst", drawn("acorn", *(f"paid{n}" for n in range(20))), "CC-BY-4.0"),
        # Withheld by name; the licence alone would let them in.
        pack("arcticons", drawn(*(f"arctic{n}" for n in range(20))), "MIT"),
        pack("cbi", drawn(*(f"custom{n}" for n in range(20))), "MIT"),
        pack("gplpack", drawn(*(f"free{n}" for n in range(20))), "GPL-3.0"),
        pack("a-ui-set", drawn(*(f"arrow{n}" for n in range(20))), "MIT", "UI 24px"),
    ]


FAMILIES = {
    "train": {
        "cedar": [["simple-icons", "cedar"], ["logos", "cedar-wordmark"]],
        "dogwood": [["simple-icons", "dogwood"], ["logos", "dogwood"]],
    },
    "val": {
        "birch": [["simple-icons", "birch"], ["logos", "birch-icon"]],
        "acorn": [["simple-icons", "acorn"], ["logos", "acorn"], ["selfhst", "acorn"]],
    },
}


@dataclass
class TinyPackage:
    """Where the test's package and its lists lie."""

    root: Path
    families: Path
    reserved: Path

    def write_pack(self, content: dict) -> None:
        """Add or replace a pack."""
        (self.root / "json" / f"{content['prefix']}.json").write_text(json.dumps(content), encoding="utf-8")

    def tarball(self, path: Path) -> Path:
        """The package as npm would pack it."""
        with tarfile.open(path, "w:gz") as archive:
            archive.add(self.root, arcname="package")
        return path

    def arguments(self, out: Path, *more: str) -> list[str]:
        """What both builders need on their command line."""
        where = ("--package", self.root, "--families", self.families, "--reserved", self.reserved, "--out", out)
        return [*map(str, where), *more]


@pytest.fixture
def tiny(tmp_path: Path) -> TinyPackage:
    """The tiny package on disk."""
    root = tmp_path / "iconify"
    (root / "json").mkdir(parents=True)
    (root / "package.json").write_text(json.dumps({"version": PINNED_VERSION}), encoding="utf-8")
    made = TinyPackage(root, tmp_path / "families.json", tmp_path / "reserved.txt")
    for content in tiny_packs():
        made.write_pack(content)
    made.families.write_text(json.dumps(FAMILIES), encoding="utf-8")
    made.reserved.write_text("devicon:heldback\n", encoding="utf-8")
    return made
