"""Ranks of every query's relatives among all marks, chunk by chunk. Pure.

The similarities of q queries to m marks and n descriptors are never held at once: each chunk of marks is
scored, counted and dropped. Every pair is scored exactly once, so a mark never differs from itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.fusion import fuse
from tuning.evaluation.metrics import Variant

__all__ = ["Ranking", "Scorer", "fused_scorer", "rank_queries", "single_scorer"]

Similarities = NDArray[np.float32]
Scores = NDArray[np.float32]
Scorer = Callable[[Similarities], Scores]
"""Raw similarities (q, m, n) -> scores (q, m); NaN for a pair that cannot be compared, which ranks last."""


@dataclass(frozen=True)
class Ranking:
    """Ranks of one descriptor's lists.

    members: for each query the ranks of its whole group in the list with the query, its own first.
    shifted: the same marks without the query itself, in the list without it.
    """

    members: tuple[NDArray[np.int64], ...]
    shifted: tuple[NDArray[np.int64], ...]

    def ranks(self, query: int, variant: Variant) -> NDArray[np.int64]:
        """Ranks of the relevant marks of one query in a variant's list."""
        return self.members[query] if variant == "official" else self.shifted[query]


def single_scorer(name: str) -> Scorer:
    """One descriptor alone: its raw cosine (calibration is increasing and would not change the order)."""
    axis = DESCRIPTORS.index(name)
    return lambda sims: sims[..., axis]


def fused_scorer(calibration: Calibration, weights: ArrayLike) -> Scorer:
    """Eq 1 on calibrated similarities. weights: (n,) for all queries or (q, n), one row each."""
    w = np.asarray(weights, dtype=np.float64)
    rows = w[:, None, :] if w.ndim == 2 else w
    return lambda sims: fuse(calibration.apply(sims), rows)


def rank_queries(
    groups: Sequence[str],
    similarities: Iterable[Similarities],
    scorers: Mapping[str, Scorer],
) -> tuple[dict[str, Ranking], int]:
    """Rank the relatives of q queries for several scorers in one pass; also the number of marks, N.

    groups: (q,) labels. similarities: chunks (q, m, n) of raw similarities; the first chunk is the queries
    themselves as marks, in their order. Raises ValueError when it is not.
    """
    q = len(groups)
    members = [[i, *(j for j in range(q) if groups[j] == groups[i] and j != i)] for i in range(q)]
    targets: dict[str, list[Scores]] = {}
    counts: dict[str, list[NDArray[np.int64]]] = {}
    marks = 0
    for chunk in similarities:
        if not targets and chunk.shape[:2] != (q, q):
            raise ValueError("The first chunk of similarities must be the queries against themselves.")
        marks += chunk.shape[1]
        for name, scorer in scorers.items():
            scores = _comparable(scorer(chunk))
            if name not in targets:
                targets[name] = [scores[i, members[i]] for i in range(q)]
                counts[name] = [np.zeros(len(m), dtype=np.int64) for m in members]
            ordered = np.sort(scores, axis=1)
            for i, wanted in enumerate(targets[name]):
                counts[name][i] += ordered.shape[1] - np.searchsorted(ordered[i], wanted, side="left")
    rankings = {}
    for name, ranks in counts.items():
        # Without the query, everything that it stood before (or level with) moves up one place.
        shifted = tuple(r[1:] - (t[0] >= t[1:]) for r, t in zip(ranks, targets[name], strict=True))
        rankings[name] = Ranking(tuple(ranks), shifted)
    return rankings, marks


def _comparable(scores: Scores) -> Scores:
    """Scores rounded to 19 binary digits (about 2 in a million), so that equal pictures are equal.

    The same product computed in chunks of other shapes differs in its last digits; without this a
    duplicate would beat or follow its twin by accident, and ties would not count as worst case.
    """
    s = np.ascontiguousarray(np.where(np.isnan(scores), -1.0, scores), dtype=np.float32)
    bits = s.view(np.int32)
    rounded: Scores = ((bits + 8) & ~np.int32(15)).view(np.float32)
    return rounded
