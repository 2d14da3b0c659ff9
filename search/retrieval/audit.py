"""Audit slots: a few marks from far below, shown at random places below the cut (design.md 4).

A system that learns only from what it chose to show confirms itself. So a few places of the list are given to
marks that the ranking would have kept out of sight; nobody is told which. What examiners do with them says two
things that nothing else says: how good marks are that never get shown, and, since their place is random, how
often a place is looked at (feedback/propensity.py). And a small share of searches shows no pre-selection at
all: what is selected there is no inertia.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval._dice import chance, generator

__all__ = ["AuditConfig", "is_plain", "place_audits"]


@dataclass(frozen=True)
class AuditConfig:
    """slots: audit marks per search. reach: places of the list that may get one (two pages of 24). depth: how far
    down they are taken from. plain_share: of searches that show no pre-selection."""

    slots: int = 2
    reach: int = 48
    depth: int = 240
    plain_share: float = 0.05

    def __post_init__(self) -> None:
        if self.slots < 0 or self.reach < 0 or self.depth < 0:
            raise ValueError("Slots, reach and depth of the audit are whole numbers of at least 0.")
        if not 0.0 <= self.plain_share <= 1.0:
            raise ValueError("The share of plain searches lies between 0 and 1.")


def place_audits(
    preselected: ArrayLike, *, config: AuditConfig | None = None, seed: int | str
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where the marks of one search are shown, and which places are audit slots.

    preselected: (m,) bool in rank order. Returns (order, audit), both (m,) in the order of display: order[p] is the
    rank (from 0) of the mark shown at place p, a permutation; audit[p] whether p is an audit slot.

    The marks come from ranks `reach` to `depth`, by chance proportional to 1 / rank (log-uniform), so that some are
    plausible; their places are uniform among the first `reach` that lie below the last pre-selected mark. All others
    keep their order. With too few ranks or places there are fewer slots. The same seed gives the same answer.
    """
    c = config or AuditConfig()
    above = np.asarray(preselected, dtype=bool)
    if above.ndim != 1:
        raise ValueError("The pre-selection is one flag per mark.")
    m = above.size
    cut = int(np.flatnonzero(above)[-1]) + 1 if above.any() else 0
    ranks = np.arange(max(cut, c.reach), min(m, c.depth))
    places = np.arange(cut, min(c.reach, m))
    slots = min(c.slots, ranks.size, places.size)
    audit = np.zeros(m, dtype=bool)
    if slots == 0:
        return np.arange(m, dtype=np.intp), audit
    rng = generator(seed, "audit")
    odds = 1.0 / (ranks + 1.0)
    picked = rng.choice(ranks, size=slots, replace=False, p=odds / odds.sum())
    audit[rng.choice(places, size=slots, replace=False)] = True
    order = np.empty(m, dtype=np.intp)
    # Drawn without replacement the marks come in the order of luck, so which of them stands higher is chance too.
    order[audit] = rng.permutation(picked)
    order[~audit] = np.setdiff1d(np.arange(m), picked)
    return order, audit


def is_plain(seed: int | str, share: float) -> bool:
    """Whether the search with this seed shows no pre-selection; `share` of all seeds do."""
    return chance(seed, "plain") < share
