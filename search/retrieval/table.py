"""Many descriptions as columns: what is stored, indexed and compared in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.retrieval.description import Description
from search.retrieval.descriptors import VECTOR_DESCRIPTORS


@dataclass(frozen=True)
class MarkTable:
    """m described marks, column by column.

    numbers: (m,) str objects. sizes: int32 (m, 2), width and height of the originals.
    vectors: name -> float32 (m, d) unit rows; a zero row means the mark lacks that descriptor.
    regions: float16 (r, d) of all marks one after another: half the bytes, and cosines move by less than
    0.001. boxes: int32 (r, 4). offsets: int64 (m + 1,): mark i owns regions offsets[i]:offsets[i + 1].
    """

    numbers: NDArray[np.object_]
    sizes: NDArray[np.int32]
    vectors: Mapping[str, NDArray[np.float32]]
    regions: NDArray[np.float16]
    boxes: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """(r,) the mark each region belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def places(self) -> dict[str, int]:
        """Mark number -> its row."""
        return {str(number): row for row, number in enumerate(self.numbers)}

    def present(self, name: str) -> NDArray[np.bool_]:
        """(m,) which marks have the vector descriptor `name`."""
        return self._present[name]

    @cached_property
    def _present(self) -> dict[str, NDArray[np.bool_]]:
        return {name: np.asarray(column.any(axis=1)) for name, column in self.vectors.items()}

    @property
    def vectors_width(self) -> int:
        """Numbers per row of the vectors side by side, in the order of VECTOR_DESCRIPTORS."""
        return sum(self.vectors[name].shape[1] for name in VECTOR_DESCRIPTORS)

    def vector_start(self, name: str) -> int:
        """Where descriptor `name` begins in such a row."""
        place = VECTOR_DESCRIPTORS.index(name)
        return sum(self.vectors[other].shape[1] for other in VECTOR_DESCRIPTORS[:place])

    @classmethod
    def of(cls, numbers: Sequence[str], descriptions: Sequence[Description]) -> MarkTable:
        """Columns from descriptions; they must share their dimensions."""
        if len(numbers) != len(descriptions):
            raise ValueError(f"{len(numbers)} numbers for {len(descriptions)} descriptions.")
        vectors = {name: _column(name, descriptions) for name in VECTOR_DESCRIPTORS}
        counts = [len(d.regions) for d in descriptions]
        dim = vectors["general"].shape[1]
        regions = [d.regions for d in descriptions if len(d.regions)]
        boxes = [d.boxes for d in descriptions if len(d.regions)]
        return cls(
            numbers=np.array(list(numbers), dtype=object),
            sizes=np.array([d.size for d in descriptions], dtype=np.int32).reshape(-1, 2),
            vectors=vectors,
            regions=(np.concatenate(regions) if regions else np.zeros((0, dim))).astype(np.float16),
            boxes=(np.concatenate(boxes) if boxes else np.zeros((0, 4))).astype(np.int32),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )

    def description(self, row: int) -> Description:
        """Row back to a Description; vectors it lacks are absent again."""
        start, end = self.offsets[row], self.offsets[row + 1]
        return Description(
            vectors={name: column[row] for name, column in self.vectors.items() if column[row].any()},
            regions=self.regions[start:end].astype(np.float32),
            boxes=self.boxes[start:end],
            size=(int(self.sizes[row, 0]), int(self.sizes[row, 1])),
        )

    def take(self, rows: NDArray[np.integer]) -> MarkTable:
        """The table of these rows, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Region r of taken mark i is region offsets[rows[i]] + (r - new offset of i) of this table.
        picked = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)
        return MarkTable(
            numbers=self.numbers[rows],
            sizes=self.sizes[rows],
            vectors={name: column[rows] for name, column in self.vectors.items()},
            regions=self.regions[picked],
            boxes=self.boxes[picked],
            offsets=offsets,
        )

    @classmethod
    def concatenate(cls, tables: Iterable[MarkTable]) -> MarkTable:
        """One table after another; at least one is needed."""
        parts = list(tables)
        if not parts:
            raise ValueError("There is no table to join.")
        steps = np.cumsum([0] + [int(t.offsets[-1]) for t in parts])
        return cls(
            numbers=np.concatenate([t.numbers for t in parts]),
            sizes=np.concatenate([t.sizes for t in parts]),
            vectors={name: _stack([t.vectors[name] for t in parts]) for name in parts[0].vectors},
            regions=np.concatenate([t.regions for t in parts]),
            boxes=np.concatenate([t.boxes for t in parts]),
            offsets=np.concatenate(
                [[0], *(t.offsets[1:] + step for t, step in zip(parts, steps[:-1], strict=True))]
            ).astype(np.int64),
        )


def _stack(columns: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Columns below each other; one without width (no mark of it has the descriptor) becomes zero rows."""
    width = max(column.shape[1] for column in columns)
    full = [c if c.shape[1] == width else np.zeros((len(c), width), np.float32) for c in columns]
    return np.concatenate(full)


def _column(name: str, descriptions: Sequence[Description]) -> NDArray[np.float32]:
    known = next((d.vectors[name] for d in descriptions if name in d.vectors), None)
    column = np.zeros((len(descriptions), 0 if known is None else len(known)), np.float32)
    for row, description in enumerate(descriptions):
        vector = description.vectors.get(name)
        if vector is not None:
            column[row] = vector
    return column
