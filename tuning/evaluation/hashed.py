"""Rows of binary codes: the described marks' `general` vectors through a hash head, ranked by Hamming distance. Pure.

They cost no pass over images of their own, and their ties are many: worst case, as everywhere (metrics.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.hashing import HashHead
from search.retrieval.table import MarkTable
from tuning.evaluation.ranking import Scorer, Similarities

__all__ = ["CodedQueries", "code_similarities", "signs"]


def signs(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Codes as -1 and 1, float32 (n, K): a bit is whether its value is above 0."""
    return np.where(np.asarray(values) > 0, np.float32(1), np.float32(-1))


def code_similarities(queries: NDArray[np.float32], marks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of equal bits, 1 - distance / K, (q, m) of codes of -1 and 1: exact, so that ties are ties."""
    bits = queries.shape[1]
    return np.asarray((queries @ marks.T + bits) / (2 * bits), dtype=np.float32)


@dataclass(frozen=True)
class CodedQueries:
    """The queries' codes by each head, and what puts their similarities beside those of the descriptors."""

    heads: Mapping[str, HashHead]
    queries: MarkTable

    def beside(self, similarities: Similarities, table: MarkTable) -> Similarities:
        """(q, m, n) of the descriptors -> (q, m, n + h), a plane more for each head; NaN for a mark without vector."""
        if not self.heads:
            return similarities
        vectors, own = table.vectors["general"], self.queries.vectors["general"]
        planes = []
        for head in self.heads.values():
            plane = code_similarities(signs(head.values(own)), signs(head.values(vectors)))
            plane[:, ~vectors.any(axis=1)] = np.nan
            plane[~own.any(axis=1)] = np.nan
            planes.append(plane[:, :, None])
        return np.concatenate([similarities, *planes], axis=2)

    def scorers(self, described: Mapping[str, Scorer]) -> dict[str, Scorer]:
        """Scorers of the planes that `beside` makes: those of the descriptors as before, and one for each head."""
        if not self.heads:
            return dict(described)
        found: dict[str, Scorer] = {name: _first_planes(scorer) for name, scorer in described.items()}
        for place, name in enumerate(self.heads, start=len(DESCRIPTORS)):
            found[name] = _plane(place)
        return found


def _first_planes(scorer: Scorer) -> Scorer:
    return lambda sims: scorer(sims[..., : len(DESCRIPTORS)])


def _plane(place: int) -> Scorer:
    return lambda sims: sims[..., place]
