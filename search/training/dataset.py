"""Training marks on disk: normalised grey pictures and what family each belongs to.

A directory made by benchmarks/build_training.py: `marks.npy`, uint8 (n, side, side), read through the page cache,
and `index.json` with a name, a family and a kind for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.retrieval.durable import whole_file, write_whole

MARKS, INDEX = "marks.npy", "index.json"
ALONE = -1
"""The family number of a mark without known relatives."""

KINDS = ("family", "brand", "variant", "concept", "alone", "kept")
"""Where a family comes from: the cleaned logo families; one brand drawn by several packs; one drawing in several
styles of a pack (outlined, filled, boxed, thin); one subject drawn by several packs; none;
a logo family that is kept from training, for what is fitted after it."""


class DatasetError(ValueError):
    """The training data cannot be used; str(e) is a sentence."""


@dataclass(frozen=True)
class TrainingMarks:
    """n marks. grey: uint8 (n, side, side), dark ink on white. families: (n,) number or ALONE.
    kinds: (n,) index into KINDS. names: n texts `pack:icon`. source: where the marks come from."""

    grey: NDArray[np.uint8]
    families: NDArray[np.int64]
    kinds: NDArray[np.int64]
    names: Sequence[str]
    source: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.grey)

    @property
    def side(self) -> int:
        return int(self.grey.shape[1])

    @classmethod
    def load(cls, folder: Path) -> TrainingMarks:
        """Raises DatasetError when files are missing or do not fit each other."""
        try:
            index = json.loads((folder / INDEX).read_text("utf-8"))
            grey = np.load(folder / MARKS, mmap_mode="r")
            names = [str(name) for name in index["names"]]
            families = np.array(index["families"], np.int64)
            kinds = np.array([KINDS.index(kind) for kind in index["kinds"]], np.int64)
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{folder} is no training data ({error}); make it with benchmarks/build_training.py --out {folder}."
            ) from None
        if not len(grey) == len(names) == len(families) == len(kinds) or grey.ndim != 3 or grey.dtype != np.uint8:
            raise DatasetError(f"The files of {folder} do not belong together; build them again.")
        return cls(grey, families, kinds, names, index.get("source", {}))

    def of_kinds(self, kinds: Sequence[str]) -> TrainingMarks:
        """Only the marks of these kinds. Raises DatasetError for a kind that there is not."""
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise DatasetError(f"There is no kind {', '.join(unknown)}; known are {', '.join(KINDS)}.")
        rows = np.flatnonzero(np.isin(self.kinds, [KINDS.index(kind) for kind in kinds]))
        # A stretch of the memory map stays one; anything else is read.
        whole = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows)
        grey = self.grey[rows[0] : rows[-1] + 1] if whole else self.grey[rows]
        return TrainingMarks(
            grey, self.families[rows], self.kinds[rows], [self.names[row] for row in rows.tolist()], self.source
        )

    def members(self) -> dict[int, NDArray[np.int64]]:
        """Family -> its rows; only families of two marks or more."""
        order = np.argsort(self.families, kind="stable")
        numbers, starts = np.unique(self.families[order], return_index=True)
        rows = np.split(order, starts[1:])
        return {int(n): r for n, r in zip(numbers, rows, strict=True) if n != ALONE and len(r) > 1}


@dataclass(frozen=True)
class NewMark:
    """A mark to be written. grey: uint8 (side, side); family: number or ALONE; kind: of KINDS."""

    grey: NDArray[np.uint8]
    name: str
    family: int
    kind: str


def write_marks(folder: Path, marks: Iterable[NewMark], *, side: int, source: dict[str, object]) -> int:
    """Write training data mark by mark, whatever their number; returns how many. It is data once it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "marks.raw"
    names, families, kinds = [], [], []
    with raw.open("wb") as file:
        for mark in marks:
            if mark.grey.shape != (side, side) or mark.grey.dtype != np.uint8:
                raise ValueError(f"{mark.name} is {mark.grey.shape} {mark.grey.dtype}, not {side} pixels of a byte.")
            file.write(np.ascontiguousarray(mark.grey).tobytes())
            names.append(mark.name)
            families.append(mark.family)
            kinds.append(mark.kind)
    shape = (len(names), side, side)
    grey = np.memmap(raw, np.uint8, "r", shape=shape) if names else np.zeros(shape, np.uint8)
    with whole_file(folder / MARKS) as hidden, hidden.open("wb") as file:
        np.save(file, grey)
    raw.unlink()
    write_index(folder, names, families, kinds, source)
    return len(names)


def write_index(
    folder: Path, names: Sequence[str], families: Sequence[int], kinds: Sequence[str], source: dict[str, object]
) -> None:
    """Write `index.json`: data without an index is not yet data."""
    content = {"names": list(names), "families": list(families), "kinds": list(kinds), "source": source}
    write_whole(folder / INDEX, json.dumps(content) + "\n")
