"""The best weights on a whole simplex by climbing: few evaluations, none of them random. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["climb"]

Weights = NDArray[np.float64]
STEPS = (0.1, 0.05, 0.025)


def climb(
    score: Callable[[Weights], float], starts: Sequence[ArrayLike], *, steps: Sequence[float] = STEPS
) -> tuple[Weights, float]:
    """The best (n,) weights found, >= 0 and together 1, and their score.

    From each start the best of all moves of `step` from one weight to another is made until none gains anything,
    then with the next, smaller step. Of equally good ends the one of the earlier start wins. Points are kept as
    whole thousandths, so each is scored once and the same data give the same weights everywhere.
    """
    known: dict[tuple[int, ...], float] = {}

    def value(point: tuple[int, ...]) -> float:
        if point not in known:
            known[point] = float(score(np.array(point) / 1000))
        return known[point]

    ends = []
    for start in starts:
        point = _thousandths(start)
        for step in steps:
            while True:
                best = max(_moves(point, round(1000 * step)), key=value, default=point)
                if value(best) <= value(point):
                    break
                point = best
        ends.append(point)
    found = max(ends, key=value)
    return np.array(found) / 1000, value(found)


def _thousandths(weights: ArrayLike) -> tuple[int, ...]:
    """Rounded so that the sum stays 1000: the largest weight takes the rest."""
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or (w < 0).any() or abs(w.sum() - 1) > 1e-6:
        raise ValueError("A start is weights of at least 0 that sum to 1.")
    whole = np.rint(1000 * w).astype(int)
    whole[int(whole.argmax())] += 1000 - whole.sum()
    return tuple(int(v) for v in whole)


def _moves(point: tuple[int, ...], step: int) -> Iterator[tuple[int, ...]]:
    """Every point with `step`, or all that is left of a smaller weight, moved from one weight to another."""
    for giver, left in enumerate(point):
        moved = min(step, left)
        for taker in range(len(point)):
            if moved and taker != giver:
                made = list(point)
                made[giver] -= moved
                made[taker] += moved
                yield tuple(made)
