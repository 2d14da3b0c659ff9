"""Weights of the fused score that are best on training families: a pattern search on the simplex. Pure.

mAP@100 is a step function of W, so there is no gradient to follow; with a handful of descriptors a search that moves
a share of the weight from one descriptor to another, in ever smaller steps, finds its hills and is the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

K = 100
STEPS = (0.3, 0.15, 0.07, 0.03, 0.015)
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
    score: Callable[[tuple[float, ...]], float], names: int, *, tried: Callable[[], None] = lambda: None
) -> tuple[tuple[float, ...], float]:
    """The best weights found (sum 1, none below 0) and their score.

    Starts from equal weights and from the best single descriptor mixed with them, and keeps what ends higher.
    """
    known: dict[tuple[float, ...], float] = {}

    def value(w: tuple[float, ...]) -> float:
        if w not in known:
            known[w] = score(w)
            tried()
        return known[w]

    equal = tuple([1 / names] * names)
    corners = [tuple(0.6 * (i == j) + 0.4 / names for j in range(names)) for i in range(names)]
    ends = [_climb(value, start) for start in (equal, max(corners, key=value))]
    best = max(ends, key=value)
    return best, value(best)


def _climb(value: Callable[[tuple[float, ...]], float], start: tuple[float, ...]) -> tuple[float, ...]:
    at = start
    for step in STEPS:
        while True:
            best = max(_moves(at, step), key=value, default=at)
            if value(best) <= value(at):
                break
            at = best
    return at


def _moves(w: tuple[float, ...], step: float) -> list[tuple[float, ...]]:
    """All ways to move `step` (or what there is) from one weight to another."""
    out = []
    for source, have in enumerate(w):
        for target in range(len(w)):
            if source != target and have > 0:
                moved = list(w)
                moved[source] = round(have - min(step, have), 9)
                moved[target] = round(w[target] + min(step, have), 9)
                out.append(tuple(moved))
    return out
