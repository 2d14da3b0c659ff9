"""Maximum-inner-product engines behind one contract. Weights live on the query side (design section 1), so an
engine never hears of them; filters live inside the search, so a rare filter still fills its list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]

FLAT_LIMIT = 200_000
"""Rows up to which an exact scan is used: 200,000 x 512 numbers take about 30 ms on two cores."""


class VectorIndex(Protocol):
    """Rows of vectors, found by inner product. Row numbers are the ids."""

    @property
    def count(self) -> int: ...

    def search(self, queries: Vectors, k: int, *, allowed: Mask | None = None) -> tuple[Vectors, NDArray[np.int64]]:
        """The k best rows per query. queries: (q, d); allowed: (count,) rows that may be found, None = all.

        Returns scores (q, k'), best first, and ids (q, k'), k' = min(k, allowed rows); a place an approximate
        engine could not fill has id -1 and score -inf.
        """
        ...

    def save(self, path: Path) -> None:
        """Write to `path`; `load` of the same class reads it."""
        ...


def build_index(vectors: Vectors, *, flat_limit: int = FLAT_LIMIT) -> VectorIndex:
    """The engine that fits the size: an exact scan, or inverted lists beyond `flat_limit` rows."""
    from search.retrieval.engines.faiss_index import FaissIndex

    return FaissIndex.build(vectors, lists=0 if len(vectors) <= flat_limit else None)


def load_index(path: Path, *, gpu: bool = False) -> VectorIndex:
    """Read an index written by `save`; gpu: also keep a copy on the GPU for searches without a filter."""
    from search.retrieval.engines.faiss_index import FaissIndex

    return FaissIndex.load(path, gpu=gpu)


__all__ = ["FLAT_LIMIT", "Mask", "VectorIndex", "Vectors", "build_index", "load_index"]
