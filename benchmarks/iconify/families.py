"""The logo families (one brand drawn by several packs) and the marks that are withheld."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.iconify.names import brand_key

Member = tuple[str, str]  # (pack, icon)

DATA = Path(__file__).resolve().parents[1] / "data"


@dataclass(frozen=True)
class Families:
    """Families of one split under their METU group numbers."""

    split: str
    groups: dict[int, tuple[str, tuple[Member, ...]]]  # group -> (family name, members in their order)

    def members(self) -> set[Member]:
        """Every mark of the split."""
        return {member for _, members in self.groups.values() for member in members}


def load_families(path: Path = DATA / "families.json") -> dict[str, Families]:
    """`train` and `val` of `{split: {family: [[pack, icon], ...]}}`, without the families of `final`.

    Group numbers count the sorted names of a split from 1, those of `final` among them.
    """
    content, final = _read(path), _final_names(path)
    return {split: _split(split, families, lambda name: name not in final) for split, families in content.items()}


def load_final(path: Path = DATA / "families.json") -> Families:
    """The families that nothing is trained, fitted or chosen on: for the leaderboard, once a release.

    They are named in final.json beside `path`, which benchmarks/carve_final.py wrote.
    """
    final = _final_names(path)
    together = {name: marks for families in _read(path).values() for name, marks in families.items() if name in final}
    return _split("final", together, lambda _: True)


def family_brands(path: Path = DATA / "families.json") -> set[str]:
    """The brands of the families of every split, `final` too: what a pool must not hold."""
    return {
        brand
        for families in _read(path).values()
        for name, marks in families.items()
        for brand in (name, *(brand_key(icon) for _, icon in marks))
    }


def load_reserved(path: Path = DATA / "reserved.txt") -> set[Member]:
    """Read the withheld marks, one `pack:icon` a line."""
    lines = path.read_text(encoding="utf-8").split()
    return {(pack, icon) for pack, _, icon in (line.partition(":") for line in lines)}


def _read(path: Path) -> dict[str, dict[str, list[list[str]]]]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def final_of(path: Path) -> Path:
    """The file that names the families of `final`, beside that of all families."""
    return path.with_name("final.json")


def _final_names(path: Path) -> frozenset[str]:
    final = final_of(path)
    return frozenset(json.loads(final.read_text("utf-8"))["families"]) if final.is_file() else frozenset()


def _split(split: str, families: dict[str, list[list[str]]], chosen: Callable[[str], bool]) -> Families:
    return Families(
        split,
        {
            group: (name, tuple((pack, icon) for pack, icon in families[name]))
            for group, name in enumerate(sorted(families), start=1)
            if chosen(name)
        },
    )
