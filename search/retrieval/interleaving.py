"""Team-draft interleaving: one list from two rankings, so that one examiner compares both without knowing it.

Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008. As when two
captains choose: in every round chance says who picks first, and each takes the best mark of its own ranking that
is still free. Whose picks are selected more often ranks better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval._dice import chance, generator

__all__ = ["BOTH", "CANDIDATE", "LIVE", "is_interleaved", "team_draft"]

LIVE, CANDIDATE, BOTH = 0, 1, -1


def team_draft(
    order_a: ArrayLike, order_b: ArrayLike, *, depth: int, seed: int | str
) -> tuple[NDArray[Any], NDArray[np.int8]]:
    """(order, team) of the list to show, from two rankings of marks, best first.

    order_a: (k,), order_b: (k,) ids without repetition; usually of the same marks. Where both would pick the same mark
    at once it is nobody's: team -1. team 0 was picked by a, 1 by b. From `depth` on, the rest follows in the order of
    a, then what only b has, as team -1. Deterministic for a seed. Raises ValueError when a ranking repeats a mark.
    """
    a, b = np.asarray(order_a), np.asarray(order_b)
    ranked = a.tolist(), b.tolist()
    if a.ndim != 1 or b.ndim != 1 or any(len(set(r)) != len(r) for r in ranked):
        raise ValueError("A ranking is a list of marks, each of them once.")
    rng = generator(seed, "team draft")
    drafted: dict[Any, int] = {}
    next_of = [0, 0]
    sizes = [0, 0]

    def pick(arm: int) -> Any:
        """The best free mark of an arm; None when it has no more."""
        while next_of[arm] < len(ranked[arm]) and ranked[arm][next_of[arm]] in drafted:
            next_of[arm] += 1
        return ranked[arm][next_of[arm]] if next_of[arm] < len(ranked[arm]) else None

    while len(drafted) < depth:
        best = pick(LIVE), pick(CANDIDATE)
        if best[0] is None and best[1] is None:
            break
        if sizes[0] == sizes[1] and best[0] == best[1]:
            drafted[best[0]] = BOTH
            continue
        arm = int(rng.random() < 0.5) if sizes[0] == sizes[1] else int(sizes[1] < sizes[0])
        if best[arm] is None:  # this team has no marks left; the rest says nothing about either
            break
        drafted[best[arm]] = arm
        sizes[arm] += 1
    rest = dict.fromkeys([*ranked[0], *ranked[1]], BOTH)
    team = rest | drafted
    order = [*drafted, *(mark for mark in rest if mark not in drafted)]
    return np.array(order, dtype=np.result_type(a, b)), np.array([team[mark] for mark in order], dtype=np.int8)


def is_interleaved(seed: int | str, share: float) -> bool:
    """Whether the search with this seed is answered by both rankings; `share` of all seeds are."""
    return chance(seed, "interleave") < share
