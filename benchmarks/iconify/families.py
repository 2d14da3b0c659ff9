"""The logo families (one brand drawn by several packs) and the marks that are withheld."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

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
    """Read `{split: {family: [[pack, icon], ...]}}`; group numbers count the sorted names from 1."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {
        split: Families(
            split,
            {
                group: (name, tuple((pack, icon) for pack, icon in families[name]))
                for group, name in enumerate(sorted(families), start=1)
            },
        )
        for split, families in content.items()
    }


def load_reserved(path: Path = DATA / "reserved.txt") -> set[Member]:
    """Read the withheld marks, one `pack:icon` a line."""
    lines = path.read_text(encoding="utf-8").split()
    return {(pack, icon) for pack, _, icon in (line.partition(":") for line in lines)}
