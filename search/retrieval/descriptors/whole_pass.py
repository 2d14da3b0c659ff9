"""Descriptors that live on the pass of the encoder that `general` makes anyway: they cost next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from search.retrieval.descriptors.vector import DescribesMarks, Vector, VectorDescriptor
from search.retrieval.encoders import Reader, Seen, look
from search.retrieval.normalise import Normalised
from search.retrieval.pooling import Vectors

__all__ = ["Companion", "WholePass"]


class Companion(DescribesMarks, Protocol):
    """A descriptor made from what `general`'s pass shows. `reader` is None where it needs no mid-level maps."""

    @property
    def reader(self) -> Reader | None: ...

    def vectors_of(self, seen: Seen) -> Vectors:
        """Unit vectors float32 (n, k), a row for each image of the pass."""
        ...


@dataclass(frozen=True)
class WholePass:
    """`general` and its companions from one pass; at most one of them has a reader."""

    general: VectorDescriptor
    companions: Sequence[Companion]

    def describe(self, marks: Sequence[Normalised]) -> dict[str, list[Vector | None]]:
        """Descriptor -> its column, one entry a mark. A blank mark has a `general` and nothing else."""
        views = [self.general.view(mark, self.general.side) for mark in marks]
        rows = [row for row, view in enumerate(views) if view is not None]
        columns: dict[str, list[Vector | None]] = {
            d.name: [None] * len(marks) for d in (self.general, *self.companions)
        }
        if not rows:
            return columns
        seen = look(self.general.encoder, np.stack([view for view in views if view is not None]), self._reader())
        for row, vector in zip(rows, self.general.whitening.apply(seen.vectors), strict=True):
            columns[self.general.name][row] = vector
        for companion in self.companions:
            for row, vector in zip(rows, companion.vectors_of(seen), strict=True):
                columns[companion.name][row] = None if marks[row].blank else vector
        return columns

    def _reader(self) -> Reader | None:
        readers = [companion.reader for companion in self.companions if companion.reader is not None]
        if len(readers) > 1:
            raise ValueError("A pass can be read by one descriptor only.")
        return readers[0] if readers else None
