"""`objects`: the parts of a mark, compared as a set (design section 1).

What counts as a part is for a region finder to say: search/retrieval/regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.retrieval.descriptors.vector import VectorDescriptor
from search.retrieval.normalise import Normalised
from search.retrieval.regions import SHIPPED, Finder, cut


@dataclass(frozen=True)
class Parts:
    """boxes: int32 (r, 4) in the normalised square; vectors: float32 (r, d), unit."""

    boxes: NDArray[np.int32]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class PartsDescriptor:
    """Parts of a mark in the space of `base`: at most `count` of them, seen at `side` pixels."""

    base: VectorDescriptor
    count: int
    side: int
    finder: Finder = SHIPPED
    name: str = "objects"

    @property
    def version(self) -> str:
        return f"objects:{self.finder.name}:{self.finder.version}:{self.count}:{self.side}"

    def describe(self, marks: Sequence[Normalised]) -> list[Parts]:
        found = [self.finder.find(mark.grey, self.count) for mark in marks]
        cuts = [cut(part, self.side) for parts in found for part in parts]
        empty = np.zeros((0, self.base.whitening.dim), np.float32)
        vectors = self.base.encode(np.stack(cuts)) if cuts else empty
        ends = np.cumsum([len(parts) for parts in found])
        return [
            Parts(
                np.array([part.box for part in parts], np.int32).reshape(-1, 4),
                vectors[end - len(parts) : end],
            )
            for parts, end in zip(found, ends, strict=True)
        ]
