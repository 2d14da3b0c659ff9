"""Weights of the fused score that are best on training families. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.evaluation.simplex import climb

K = 100
STEPS = (0.2, 0.1, 0.05, 0.025)
_TIE = 1e-6


@dataclass(frozen=True)
class Query:
    """One query against the marks of its list, itself left out.

    similarities: float32 (m, n) calibrated, 0 where missing. present: (m, n) the same with 1 and 0, or None where
    nothing is missing. relatives: the rows of its group.
    """

    similarities: NDArray[np.float32]
    present: NDArray[np.float32] | None
    relatives: NDArray[np.intp]

    @classmethod
    def of(cls, similarities: NDArray[np.float32], relatives: NDArray[np.intp], own: int) -> Query:
        """similarities: (m, n) calibrated, NaN where missing. own: the query's row."""
        rest = np.arange(len(similarities)) != own
        missing = np.isnan(similarities[rest])
        shifted = relatives - (relatives > own)
        filled = np.where(missing, 0, similarities[rest]).astype(np.float32)
        return cls(filled, (~missing).astype(np.float32) if missing.any() else None, shifted)

    def ap(self, w: NDArray[np.float32]) -> float:
        """AP@100 with ties against us, of Eq 1 with missing descriptors dropped and W renormalised."""
        scores = self.similarities @ w
        if self.present is not None:
            used = self.present @ w
            scores = np.where(used > 0, scores / np.maximum(used, 1e-9) * w.sum(), -1.0)
        ranks = np.sort([(scores >= scores[r] - _TIE).sum() for r in self.relatives])
        within = ranks <= K
        order = np.arange(1, len(ranks) + 1)
        return float((order / ranks)[within].sum() / min(len(ranks), K))


def mean_ap(queries: Sequence[Query], weights: Sequence[float]) -> float:
    """mAP@100 over the queries."""
    w = np.asarray(weights, np.float32)
    return float(np.mean([query.ap(w) for query in queries]))


def tune(
    queries: Sequence[Query], axes: Sequence[int], *, tried: Callable[[], None] = lambda: None
) -> tuple[list[float], float]:
    """Weights (n,) that are best on the queries, 0 outside `axes`, and their mAP@100.

    Climbs from equal weights and from the best single descriptor mixed with them. tried: called for each vector.
    """
    width = queries[0].similarities.shape[1]

    def spread(w: NDArray[np.float64]) -> list[float]:
        full = np.zeros(width)
        full[list(axes)] = w
        return [float(value) for value in full]

    def score(w: NDArray[np.float64]) -> float:
        tried()
        return mean_ap(queries, spread(w))

    equal = np.full(len(axes), 1 / len(axes))
    corners = [0.6 * corner + 0.4 * equal for corner in np.eye(len(axes))]
    best, value = climb(score, [equal, max(corners, key=score)], steps=STEPS)
    return spread(best), value
