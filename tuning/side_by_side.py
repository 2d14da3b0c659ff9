"""One finished search ranked again under two sets of parameters, from the similarities it kept. Pure.

Nothing is described or searched anew: Eq 1 is a weighted sum of similarities that every kept result carries. The
one thing the kept results cannot tell is what lies beyond them. How far up that could come is bounded: a mark that
was not kept scored at most `floor` under the parameters that served, and similarities lie in 0..1.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval.fusion import fuse
from search.retrieval.parameters import ClusterParameters

__all__ = ["Difference", "Side", "ceiling", "difference", "side"]

_ALWAYS = "general"  # every mark has it; each of the others may be missing
_ROUNDING = 1e-6  # kept scores are single precision


@dataclass(frozen=True)
class Side:
    """(m,) per kept result, in the order kept. order: its rows, best first. certain: how many first places of
    `order` no mark beyond the kept ones can disturb."""

    ranks: NDArray[np.int64]
    scores: NDArray[np.float64]
    preselected: NDArray[np.bool_]
    order: NDArray[np.int64]
    certain: int


@dataclass(frozen=True)
class Difference:
    """What changes from side a to side b among the marks that stand in the first `top` of either.

    preselected: (by a, by b, by both) of all kept marks. chosen: marks the examiner selected, and of these how many
    each side would have pre-selected; mean ranks are NaN without any.
    """

    up: int
    down: int
    same: int
    only_a: int
    only_b: int
    preselected: tuple[int, int, int]
    chosen: int
    chosen_preselected: tuple[int, int]
    chosen_rank: tuple[float, float]


def side(
    similarities: ArrayLike,
    names: Sequence[str],
    parameters: ClusterParameters,
    *,
    served: ClusterParameters,
    floor: float | None,
    cut_shift: float = 0.0,
) -> Side:
    """Rank (m, n) kept similarities (NaN = missing) under `parameters`; equal scores keep the kept order.

    served: what ranked them first. floor: the lowest kept score under it, None when nothing lies beyond.
    cut_shift: added to the threshold in this search.
    """
    rows = np.asarray(similarities, dtype=np.float64).reshape(-1, len(names))
    scores = np.nan_to_num(fuse(rows, np.array(parameters.weight_vector(names))), nan=0.0).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[order] = np.arange(1, len(rows) + 1)
    certain = len(rows)
    if floor is not None:
        certain = int((scores > ceiling(names, parameters, served=served, floor=floor)).sum())
    return Side(ranks, scores, scores >= parameters.threshold + cut_shift, order, certain)


def ceiling(names: Sequence[str], parameters: ClusterParameters, *, served: ClusterParameters, floor: float) -> float:
    """The highest score under `parameters` of a mark that scores at most `floor` under `served`.

    For each set of descriptors the mark may have, a fractional knapsack: spend the allowed score where a point of it
    is worth most under the new weights.
    """
    new, old = (np.array(p.weight_vector(names)) for p in (parameters, served))
    fixed = [i for i, name in enumerate(names) if name == _ALWAYS]
    free = [i for i in range(len(names)) if i not in fixed]
    best = 0.0
    for count in range(len(free) + 1):
        for more in itertools.combinations(free, count):
            best = max(best, _most(new, old, [*fixed, *more], floor + _ROUNDING))
    return best


def _most(new: NDArray[np.float64], old: NDArray[np.float64], present: list[int], floor: float) -> float:
    total, room = float(new[present].sum()), floor * float(old[present].sum())
    if total <= 0:
        return 0.0
    worth = 0.0
    for i in sorted(present, key=lambda i: -new[i] / old[i] if old[i] > 0 else -np.inf):
        part = 1.0 if old[i] <= 0 else min(1.0, room / old[i])
        worth += float(new[i]) * part
        room = max(0.0, room - part * float(old[i]))
    return min(1.0, worth / total)


def difference(a: Side, b: Side, *, top: int, chosen: ArrayLike) -> Difference:
    """Compare two sides of the same rows. chosen: (m,) whether the examiner selected the mark in the end."""
    in_a, in_b = a.ranks <= top, b.ranks <= top
    shown = in_a | in_b
    picked = np.asarray(chosen, dtype=bool)
    return Difference(
        up=int((shown & (b.ranks < a.ranks)).sum()),
        down=int((shown & (b.ranks > a.ranks)).sum()),
        same=int((shown & (b.ranks == a.ranks)).sum()),
        only_a=int((in_a & ~in_b).sum()),
        only_b=int((in_b & ~in_a).sum()),
        preselected=(int(a.preselected.sum()), int(b.preselected.sum()), int((a.preselected & b.preselected).sum())),
        chosen=int(picked.sum()),
        chosen_preselected=(int((picked & a.preselected).sum()), int((picked & b.preselected).sum())),
        chosen_rank=(_mean(a.ranks[picked]), _mean(b.ranks[picked])),
    )


def _mean(ranks: NDArray[np.int64]) -> float:
    return float(ranks.mean()) if ranks.size else float("nan")
