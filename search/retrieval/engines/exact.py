"""The contract in twenty lines of numpy: the reference the other engines are tested against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.retrieval.engines import Mask, Vectors


class ExactIndex:
    """Every row, every time. For small registers and for tests."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)

    @property
    def count(self) -> int:
        return len(self._vectors)

    def search(self, queries: Vectors, k: int, *, allowed: Mask | None = None) -> tuple[Vectors, NDArray[np.int64]]:
        rows = np.arange(self.count) if allowed is None else np.flatnonzero(allowed)
        scores = np.atleast_2d(queries) @ self._vectors[rows].T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, axis=1), np.asarray(rows[best], dtype=np.int64)

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, self._vectors, allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> ExactIndex:
        return cls(np.load(path, allow_pickle=False))
