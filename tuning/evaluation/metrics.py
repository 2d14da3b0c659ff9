"""Ranking metrics of one query in both METU variants (science.md 2.4, 6.2, 6.3). Pure: ranks in, numbers out.

excluded  the query is no part of its own list; relevant are the other m members of its group;
          AP@K counts ranks <= K and divides by min(m, K)
official  the list holds the query, and the n = m + 1 relevant marks include it;
          AP@K counts ranks STRICTLY below K and divides by n (getRankResults.m)

Ranks are worst case: the last place among equal scores. In both, N is the number of all marks including
the query, and NAR = (sum of ranks - r(r + 1)/2) / (N r) for r relevant marks: 0 is perfect, 0.5 is chance.
The official mAP lies well above the other one (science.md 6.4): never compare across variants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["VARIANTS", "QueryScore", "Variant", "score_query", "worst_ranks"]

Variant = Literal["excluded", "official"]
VARIANTS: tuple[Variant, ...] = ("excluded", "official")


@dataclass(frozen=True)
class QueryScore:
    """ap, nar, recall in [0, 1]; ranks: the ranks of the relevant marks, ascending."""

    ap: float
    nar: float
    recall: float
    ranks: NDArray[np.int64]


def worst_ranks(scores: ArrayLike, targets: ArrayLike) -> NDArray[np.int64]:
    """Rank of each target in a list of scores that holds the targets: how many score at least as high."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    found = np.searchsorted(ordered, np.asarray(targets, dtype=np.float64), side="left")
    return np.asarray(ordered.size - found, dtype=np.int64)


def score_query(ranks: ArrayLike, marks: int, variant: Variant, *, k: int = 100) -> QueryScore:
    """Metrics from the ranks of a query's relevant marks in a variant's own list.

    ranks: (r,) 1-based, r >= 1; for "official" the query's own rank is among them. marks: N.
    Raises ValueError without ranks or with ranks outside 1..N.
    """
    found = np.sort(np.asarray(ranks, dtype=np.int64))
    if found.size == 0 or found[0] < 1 or found[-1] > marks:
        raise ValueError("A query needs relevant marks with ranks between 1 and the number of marks.")
    r = found.size
    within = found <= k if variant == "excluded" else found < k
    precision = np.arange(1, r + 1) / found
    divisor = min(r, k) if variant == "excluded" else r
    return QueryScore(
        ap=float(precision[within].sum() / divisor),
        nar=float((found.sum() - r * (r + 1) / 2) / (marks * r)),
        recall=float((found <= k).mean()),
        ranks=found,
    )
