"""Who searches for what in a week: a few popular clusters, many rare ones; busy and quiet examiners. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuning.simulation.world import WorldQuery

__all__ = ["Asked", "week_of"]


@dataclass(frozen=True)
class Asked:
    """One search: which query of the list, by which examiner, and the seed of what the examiner then does."""

    query: int
    examiner: int
    seed: int


def week_of(
    queries: Sequence[WorldQuery], examiners: int, *, searches: int, seed: int, week: int, zipf: float = 0.9
) -> list[Asked]:
    """The searches of one week. Popularity of clusters falls as rank^-zipf; a cluster's queries are equally likely.

    The same seed and week ask the same of every arm.
    """
    rng = np.random.default_rng([seed, week, 1])
    clusters = np.array([q.cluster for q in queries])
    # Which clusters are popular belongs to the office, not to the week.
    order = np.random.default_rng([seed, 0]).permutation(int(clusters.max()) + 1)
    popularity = (1.0 + np.argsort(order)) ** -zipf
    sizes = np.bincount(clusters, minlength=len(order))
    chance = (popularity / np.maximum(sizes, 1))[clusters]
    busy = np.random.default_rng([seed, 2]).dirichlet(np.full(examiners, 4.0))
    picked = rng.choice(len(queries), size=searches, p=chance / chance.sum())
    who = rng.choice(examiners, size=searches, p=busy)
    return [
        Asked(int(q), int(e), int(s))
        for q, e, s in zip(picked, who, rng.integers(0, 2**31, size=searches), strict=True)
    ]
