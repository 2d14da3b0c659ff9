"""Carve the split `final` out of the logo families and write benchmarks/data/final.json.

    python benchmarks/carve_final.py [--package TARBALL_OR_DIR]

A fifth of all families, by brand. Families that look alike stay on one side: they are joined when a mark of one
comes near a mark of the other, and whole groups are drawn, in seeded order. Families of the demonstration register
stay out, since examiners' searches for them are evidence that a service learns from.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.iconify import WITHHELD_PACKS, open_package, render_mark, svg_document  # noqa: E402
from benchmarks.iconify.families import DATA, Member  # noqa: E402
from benchmarks.iconify.select import seeded  # noqa: E402
from search.retrieval import describe  # noqa: E402
from search.retrieval.normalise import normalise  # noqa: E402

SHARE = 5
ALIKE = 0.9
"""Cosine of the encoder's vectors from which two marks of different families are look-alikes."""


def groups(families: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Group number of each of the sorted family names. families: (n,) of each mark; vectors: (n, d) unit rows."""
    _, number = np.unique(families, return_inverse=True)
    near = np.argwhere(vectors @ vectors.T >= ALIKE)
    edges = coo_array((np.ones(len(near)), (number[near[:, 0]], number[near[:, 1]])))
    return np.asarray(connected_components(edges, directed=False)[1])


def drawn(names: Sequence[str], group: np.ndarray, barred: set[str], count: int) -> list[str]:
    """At least `count` families, in whole groups without a barred one, sorted."""
    together: dict[int, list[str]] = {}
    for name, number in zip(names, group.tolist(), strict=True):
        together.setdefault(number, []).append(name)
    chosen: list[str] = []
    for members in sorted(together.values(), key=lambda members: seeded("final", members[0])):
        if len(chosen) < count and not barred & set(members):
            chosen += members
    return sorted(chosen)


def main(argv: Sequence[str] | None = None) -> int:
    """Write final.json; print how many families there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="npm tarball or directory; fetched if left out")
    args = parser.parse_args(argv)
    content = json.loads((DATA / "families.json").read_text("utf-8"))
    families = {name: marks for split in content.values() for name, marks in split.items()}
    packs = {p.prefix: p for p in open_package(args.package, cache=ROOT / "build").packs(without=WITHHELD_PACKS)}
    encoder = describe.encoder_in()
    make, side = {view: (made, size) for view, made, size in describe.VIEWS}["general"]
    named, rows = [], []
    for name, marks in tqdm(families.items(), unit="family"):
        for pack, icon in marks:
            picture = render_mark(svg_document(packs[pack], icon, 256), 256)
            view = make(normalise(np.asarray(picture)), side) if picture is not None else None
            if view is not None:
                named.append(name)
                rows.append(encoder.encode(view[None])[0])
    vectors = np.stack(rows)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = sorted(set(named))
    with (ROOT / "search" / "demo" / "register.csv").open(encoding="utf-8", newline="") as file:
        shown: set[Member] = {
            (pack, icon) for pack, _, icon in (row["source"].partition(":") for row in csv.DictReader(file))
        }
    barred = {name for name, marks in families.items() if shown & {(pack, icon) for pack, icon in marks}}
    chosen = drawn(names, groups(named, vectors), barred, len(families) // SHARE)
    note = {"made_by": "benchmarks/carve_final.py", "alike": ALIKE, "families": chosen}
    (DATA / "final.json").write_text(json.dumps(note, indent=0) + "\n", "utf-8")
    sides = {split: len(set(chosen) & set(members)) for split, members in content.items()}
    print(json.dumps({"families": len(chosen), "of": len(families), "from": sides}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
