"""How far an examiner moved away from the pre-selection: PC, DC and AC. Pure; formulas of science.md 1.7.

For one search, L is the ordered list of evaluated results, P the pre-selected part of it, U the final
selection and Delta = (P minus U) union (U minus P):

    PC = |Delta| / max(|P|, 1), clipped to [0, 1]     how much of the pre-selection was changed
    DC = mean over Delta of (rank - 1) / max(|L| - 1, 1)   how far down the list the changes lie
    AC = mean over Delta of 1 - similarity            how unlike the query the changed marks are

An abandoned search has no metrics at all: do not call this for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ChangeEvidence",
    "ChangeMetrics",
    "aggregate",
    "aggregate_by_cluster",
    "capped_weights",
    "search_metrics",
]


@dataclass(frozen=True)
class ChangeMetrics:
    """PC, DC, AC of one search, and the counts they came from. All shares are in [0, 1]."""

    pc: float
    dc: float
    ac: float
    dc_from_cut: float  # alternative DC of science.md 1.7: mean of |rank - |P|| / |L|
    evaluated: int  # |L|
    preselected: int  # |P|
    added: int  # |U minus P|
    removed: int  # |P minus U|

    @property
    def changed(self) -> int:
        """|Delta|."""
        return self.added + self.removed

    @property
    def kept(self) -> int:
        """Pre-selected marks that stayed selected."""
        return self.preselected - self.removed

    @property
    def accuracy(self) -> float:
        """Accuracy of the pre-selection, 1 - PC (the seed's own inversion)."""
        return 1.0 - self.pc

    def pc_with_kept_weight(self, kept_weight: float) -> float:
        """PC in which a kept mark counts `kept_weight` (0..1) of one: keeping may be mere inertia."""
        return _proportion(self.changed, kept_weight * self.kept + self.removed, self.preselected)


@dataclass(frozen=True)
class ChangeEvidence:
    """Weighted means over the searches of one cluster and period, and how much stands behind them."""

    pc: float
    dc: float
    ac: float
    dc_from_cut: float
    searches: int
    examiners: int
    additions: int
    removals: int

    @property
    def accuracy(self) -> float:
        """1 - PC."""
        return 1.0 - self.pc


def search_metrics(
    *,
    rank: ArrayLike,
    seen: ArrayLike,
    preselected: ArrayLike,
    selected: ArrayLike,
    similarity: ArrayLike,
) -> ChangeMetrics:
    """PC, DC, AC of one concluded search from its logged rows, each argument one value per row.

    rank: any increasing order of the results as shown (gaps are fine; the position inside L counts).
    seen: on a page or in the viewport the examiner reached. Rows not seen are no part of L; a row the
    examiner changed was evaluated, whatever the viewport said. similarity: fused score 0..1.
    Raises ValueError when lengths differ, ranks repeat, or a similarity of a changed row is not a number.
    """
    ranks = np.asarray(rank, dtype=np.float64)
    before = np.asarray(preselected, dtype=bool)
    after = np.asarray(selected, dtype=bool)
    shown = np.asarray(seen, dtype=bool)
    score = np.asarray(similarity, dtype=np.float64)
    if ranks.ndim != 1 or any(a.shape != ranks.shape for a in (before, after, shown, score)):
        raise ValueError("rank, seen, preselected, selected and similarity must be lists of one length.")
    if np.unique(ranks).size != ranks.size:
        raise ValueError("Two results of one search have the same rank.")

    evaluated = shown | (before != after)
    order = np.argsort(ranks)
    order = order[evaluated[order]]
    before, after, score = before[order], after[order], score[order]
    changed = before != after
    size, n_before = int(order.size), int(before.sum())
    added, removed = int((after & ~before).sum()), int((before & ~after).sum())

    dc = ac = dc_from_cut = 0.0
    if changed.any():
        if not np.isfinite(score[changed]).all():
            raise ValueError("A changed result has no similarity.")
        position = np.flatnonzero(changed)  # rank - 1 inside L
        dc = float(np.mean(position / max(size - 1, 1)))
        ac = float(np.mean(1.0 - np.clip(score[changed], 0.0, 1.0)))
        dc_from_cut = float(np.mean(np.abs(position + 1 - n_before) / size))
    return ChangeMetrics(
        pc=_proportion(added + removed, n_before, n_before),
        dc=dc,
        ac=ac,
        dc_from_cut=dc_from_cut,
        evaluated=size,
        preselected=n_before,
        added=added,
        removed=removed,
    )


def aggregate(
    metrics: Sequence[ChangeMetrics],
    examiners: Sequence[Hashable],
    *,
    kept_weight: float = 1.0,
    examiner_cap: float = 1.0,
) -> ChangeEvidence:
    """Mean of the searches' metrics, each weighted by its |L| (science.md 1.7).

    examiners: who made each search. kept_weight < 1 lets kept marks count less in PC (inertia);
    examiner_cap < 1 limits the share of the total weight that one examiner may hold (with too few
    examiners for the cap, all weigh the same). No searches: all zero with searches=0, which the decision
    table answers with "no data". Raises ValueError when lengths differ or a weight is out of range.
    """
    if len(metrics) != len(examiners):
        raise ValueError("Each search needs one examiner.")
    if not 0.0 <= kept_weight <= 1.0 or not 0.0 < examiner_cap <= 1.0:
        raise ValueError("kept_weight must lie in 0..1 and examiner_cap above 0 and up to 1.")
    counted = [(m, e) for m, e in zip(metrics, examiners, strict=True) if m.evaluated > 0]
    if not counted:
        return ChangeEvidence(0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0)

    weight = np.array([m.evaluated for m, _ in counted], dtype=np.float64)
    names = [e for _, e in counted]
    weight = capped_weights(weight, names, examiner_cap)
    weight /= weight.sum()
    table = np.array([[m.pc_with_kept_weight(kept_weight), m.dc, m.ac, m.dc_from_cut] for m, _ in counted])
    pc, dc, ac, dc_from_cut = (min(1.0, max(0.0, float(v))) for v in weight @ table)
    return ChangeEvidence(
        pc=pc,
        dc=dc,
        ac=ac,
        dc_from_cut=dc_from_cut,
        searches=len(counted),
        examiners=len(set(names)),
        additions=sum(m.added for m, _ in counted),
        removals=sum(m.removed for m, _ in counted),
    )


def aggregate_by_cluster(
    metrics: Sequence[ChangeMetrics],
    examiners: Sequence[Hashable],
    clusters: Sequence[int],
    *,
    kept_weight: float = 1.0,
    examiner_cap: float = 1.0,
) -> dict[int, ChangeEvidence]:
    """`aggregate` for each cluster that has at least one search, by ascending cluster id."""
    if len(clusters) != len(metrics):
        raise ValueError("Each search needs one cluster.")
    rows = {c: [i for i, other in enumerate(clusters) if other == c] for c in sorted(set(clusters))}
    return {
        cluster: aggregate(
            [metrics[i] for i in index],
            [examiners[i] for i in index],
            kept_weight=kept_weight,
            examiner_cap=examiner_cap,
        )
        for cluster, index in rows.items()
    }


def capped_weights(weights: ArrayLike, examiners: Sequence[Hashable], cap: float) -> NDArray[np.float64]:
    """Scale each examiner's searches so that nobody holds more than `cap` of the total weight.

    weights: (s,) > 0, examiners: s names. With too few examiners for the cap, all weigh the same.
    """
    weight = np.asarray(weights, dtype=np.float64)
    names = sorted(set(examiners), key=str)
    index = np.array([names.index(e) for e in examiners])
    total = np.bincount(index, weights=weight, minlength=len(names))
    if cap * len(names) <= 1.0:
        allowed = np.full(len(names), 1.0)
    else:
        allowed = total.copy()
        capped = np.zeros(len(names), dtype=bool)
        # Capping one examiner shrinks the total and may push the next over the cap: repeat until stable.
        while True:
            ceiling = cap * total[~capped].sum() / (1.0 - cap * capped.sum())
            over = ~capped & (total > ceiling * (1 + 1e-12))
            if not over.any():
                break
            capped |= over
        allowed[capped] = ceiling
    scaled: NDArray[np.float64] = weight * (allowed / total)[index]
    return scaled


def _proportion(changed: int, base: float, preselected: int) -> float:
    if preselected == 0:  # nothing was pre-selected: any addition means it was wholly wrong
        return 1.0 if changed else 0.0
    return min(1.0, changed / max(base, 1.0))
