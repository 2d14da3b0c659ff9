"""How crowded a query's surroundings are, and by how much that moves its cut. Pure.

The same score says less where many marks come near: a ring has dozens at 60 %, a crest has none. And the larger a
register grows, the nearer its strangers come. So the cut of one search is tau, which the parameters hold, and a shift
by what stands on the second page, where next to no relatives are left:

    cut = tau + clip(0.8 (crowding - 0.28), -0.15, +0.20)

crowding is the mean score at ranks 25 to 48 with equal weights, so that it belongs to the query and not to the weights
that are tuned; ranks beyond the last mark count 0. Among 21,401 marks the best F1 of the pre-selection is 67.9 % with
the shift and 64.7 % without; among all of them, a half, a quarter and an eighth the best tau is 0.61 each time, without
the shift 0.64, 0.59, 0.56 and 0.53 (docs/crowding.md; nothing larger was measured). It is the normalisation of scores
by a cohort that speaker verification uses, with the neighbours as the cohort.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from search.retrieval.fusion import fuse

__all__ = ["CROWDED_RANKS", "crowding", "cut_shift"]

CROWDED_RANKS = (24, 48)
"""The second page."""
USUAL = 0.28
SLOPE = 0.8
LOWEST, HIGHEST = -0.15, 0.20


def crowding(calibrated: ArrayLike) -> float:
    """Mean score at ranks 25 to 48 with equal weights, in 0..1, of (m, n) calibrated similarities, NaN = missing.

    The m marks must contain the 48 nearest under equal weights; the query itself is left out.
    """
    rows = np.asarray(calibrated, dtype=np.float64)
    first, last = CROWDED_RANKS
    scores = np.nan_to_num(fuse(rows, np.full(rows.shape[-1], 1 / rows.shape[-1])), nan=0.0)
    if len(scores) > last:
        scores = -np.partition(-scores, last - 1)[:last]
    return float(np.sort(scores)[::-1][first:last].sum() / (last - first))


def cut_shift(calibrated: ArrayLike) -> float:
    """What is added to tau for the query with these similarities (as for `crowding`)."""
    return float(np.clip(SLOPE * (crowding(calibrated) - USUAL), LOWEST, HIGHEST))
