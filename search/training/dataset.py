"""Training marks on disk: normalised grey pictures and what family each belongs to.

A directory made by benchmarks/build_training.py: `marks.npy`, uint8 (n, side, side), read through the page cache,
and `index.json` with a name, a family and a kind for each, and where it is known what it shows. `words.npz`, which
need not be there, holds pictures of words to put beside marks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.retrieval.durable import whole_file, write_whole

MARKS, INDEX, WORDS = "marks.npy", "index.json", "words.npz"
ALONE = -1
"""The family number of a mark without known relatives."""
UNKNOWN = -1
"""The subject of a mark of which nobody says what it shows."""

KINDS = ("family", "brand", "variant", "concept", "alone", "kept", "word")
"""Where a family comes from: the cleaned logo families; one brand drawn by several packs; one drawing in several
styles of a pack (outlined, filled, boxed, thin); one subject drawn by several packs; none;
a logo family that is kept from training, for what is fitted after it; one word in several fonts."""


class DatasetError(ValueError):
    """The training data cannot be used; str(e) is a sentence."""


@dataclass(frozen=True)
class TrainingMarks:
    """n marks. grey: uint8 (n, side, side), dark ink on white. families: (n,) number or ALONE.
    kinds: (n,) index into KINDS. names: n texts `pack:icon`. source: where the marks come from.
    subjects: (n,) number of what a mark shows, or UNKNOWN: two families of one subject are neither relatives nor
    strangers. words: pictures of words, uint8 (height, width) each."""

    grey: NDArray[np.uint8]
    families: NDArray[np.int64]
    kinds: NDArray[np.int64]
    names: Sequence[str]
    source: Mapping[str, Any] = field(default_factory=dict)
    subjects: NDArray[np.int64] | None = None
    words: Sequence[NDArray[np.uint8]] = ()

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
            subjects = np.array(index["subjects"], np.int64) if "subjects" in index else None
            words = read_words(folder / WORDS) if (folder / WORDS).exists() else []
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{folder} is no training data ({error}); make it with benchmarks/build_training.py --out {folder}."
            ) from None
        if not len(grey) == len(names) == len(families) == len(kinds) or grey.ndim != 3 or grey.dtype != np.uint8:
            raise DatasetError(f"The files of {folder} do not belong together; build them again.")
        return cls(grey, families, kinds, names, index.get("source", {}), subjects, words)

    def of_kinds(self, kinds: Sequence[str]) -> TrainingMarks:
        """Only the marks of these kinds. Raises DatasetError for a kind that there is not."""
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise DatasetError(f"There is no kind {', '.join(unknown)}; known are {', '.join(KINDS)}.")
        rows = np.flatnonzero(np.isin(self.kinds, [KINDS.index(kind) for kind in kinds]))
        # A stretch of the memory map stays one; anything else is read.
        whole = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows)
        grey = self.grey[rows[0] : rows[-1] + 1] if whole else self.grey[rows]
        return replace(
            self,
            grey=grey,
            families=self.families[rows],
            kinds=self.kinds[rows],
            names=[self.names[row] for row in rows.tolist()],
            subjects=None if self.subjects is None else self.subjects[rows],
        )

    def members(self) -> dict[int, NDArray[np.int64]]:
        """Family -> its rows; only families of two marks or more."""
        order = np.argsort(self.families, kind="stable")
        numbers, starts = np.unique(self.families[order], return_index=True)
        rows = np.split(order, starts[1:])
        return {int(n): r for n, r in zip(numbers, rows, strict=True) if n != ALONE and len(r) > 1}


@dataclass(frozen=True)
class NewMark:
    """A mark to be written. grey: uint8 (side, side); family: number or ALONE; kind: of KINDS; subject: number of
    what it shows, or UNKNOWN."""

    grey: NDArray[np.uint8]
    name: str
    family: int
    kind: str
    subject: int = UNKNOWN


def write_marks(
    folder: Path,
    marks: Iterable[NewMark],
    *,
    side: int,
    source: dict[str, object],
) -> int:
    """Write training data mark by mark, whatever their number; returns how many. It is data once it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "marks.raw"
    names, families, kinds, subjects = [], [], [], []
    with raw.open("wb") as file:
        for mark in marks:
            if mark.grey.shape != (side, side) or mark.grey.dtype != np.uint8:
                raise ValueError(f"{mark.name} is {mark.grey.shape} {mark.grey.dtype}, not {side} pixels of a byte.")
            file.write(np.ascontiguousarray(mark.grey).tobytes())
            names.append(mark.name)
            families.append(mark.family)
            kinds.append(mark.kind)
            subjects.append(mark.subject)
    shape = (len(names), side, side)
    grey = np.memmap(raw, np.uint8, "r", shape=shape) if names else np.zeros(shape, np.uint8)
    with whole_file(folder / MARKS) as hidden, hidden.open("wb") as file:
        np.save(file, grey)
    raw.unlink()
    write_index(folder, names, families, kinds, source, subjects=subjects)
    return len(names)


def write_index(
    folder: Path,
    names: Sequence[str],
    families: Sequence[int],
    kinds: Sequence[str],
    source: dict[str, object],
    *,
    subjects: Sequence[int] | None = None,
) -> None:
    """Write `index.json`: data without an index is not yet data."""
    content = {"names": list(names), "families": list(families), "kinds": list(kinds), "source": source}
    if subjects is not None:
        content["subjects"] = list(subjects)
    write_whole(folder / INDEX, json.dumps(content) + "\n")


def write_words(path: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Pictures of words of any size, one after the other, with their shapes."""
    flat = np.concatenate([picture.ravel() for picture in pictures]) if pictures else np.zeros(0, np.uint8)
    shapes = np.array([picture.shape for picture in pictures], np.int64).reshape(-1, 2)
    with whole_file(path) as hidden, hidden.open("wb") as file:
        np.savez_compressed(file, flat=flat, shapes=shapes)


def read_words(path: Path) -> list[NDArray[np.uint8]]:
    """What `write_words` wrote."""
    with np.load(path) as stored:
        flat, shapes = stored["flat"], stored["shapes"]
    ends = np.cumsum(shapes.prod(axis=1))
    return (
        [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
        if len(ends)
        else []
    )
