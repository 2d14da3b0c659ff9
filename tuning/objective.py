"""How good a candidate is on held-out queries, from cached similarities: thousands of candidates a second.

Nothing is searched again: the calibrated similarities of every held-out query to every mark are computed
once, and Eq 1 is linear in W (design.md 1). `HeldOutObjective` prepares the comparisons for a region of
candidates (see comparisons.py) and then ranks for a whole matrix of weight vectors in one go.

Ranking: the query itself is left out, ties count against us (the last place among equals), and
AP@k = sum over relevant with rank <= k of j / rank_j, divided by min(relevant, k) (science.md 2.4, 6.3).
Pre-selection: the rows with score >= tau, against the relevant ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuning.comparisons import EPSILON, Floats, Region, Segments, bounds, scores, split
from tuning.evaluation.metrics import score_query, worst_ranks

__all__ = ["HeldOut", "HeldOutObjective", "HeldOutQuery", "HeldOutScores", "ap_and_recall", "evaluate_each"]

FIRST_PAGE = 24
"""Results on the first page."""
RELIED = 0.7
"""Precision from which on a pre-selection is relied upon."""
_NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class HeldOutQuery:
    """One held-out query against all marks.

    similarities: (m, n) calibrated per-descriptor similarities, NaN where missing. relevant: (m,) bool, the
    other members of its group. own: its own row, left out of the ranking; None when it is no mark. cut_shift: added to
    every tau for this query (search/retrieval/crowding.py).
    """

    name: str
    group: Hashable
    cluster: int | None
    similarities: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    own: int | None = None
    cut_shift: float = 0.0

    def __post_init__(self) -> None:
        if self.similarities.ndim != 2 or self.relevant.shape != self.similarities.shape[:1]:
            raise ValueError(f"Held-out query {self.name} needs one relevance per row of similarities.")
        if not self.relevant.any() or (self.own is not None and self.relevant[self.own]):
            raise ValueError(f"Held-out query {self.name} needs relevant marks other than itself.")

    def others(self) -> NDArray[np.bool_]:
        """(m,) rows that are ranked: all but the query's own."""
        mask = np.ones(len(self.relevant), dtype=bool)
        if self.own is not None:
            mask[self.own] = False
        return mask


@dataclass(frozen=True)
class HeldOut:
    """Held-out queries and the descriptors, in the order of the similarities' last axis."""

    descriptors: tuple[str, ...]
    queries: tuple[HeldOutQuery, ...]

    def __post_init__(self) -> None:
        if any(q.similarities.shape[1] != len(self.descriptors) for q in self.queries):
            raise ValueError("A held-out query has another number of descriptors.")

    def of_clusters(self, clusters: Iterable[int | None]) -> HeldOut:
        """Only the queries routed to these clusters."""
        wanted = set(clusters)
        return HeldOut(self.descriptors, tuple(q for q in self.queries if q.cluster in wanted))

    @property
    def groups(self) -> int:
        """Number of distinct groups."""
        return len({q.group for q in self.queries})


@dataclass(frozen=True)
class HeldOutScores:
    """Per query figures, each (c, q) for c candidates: shares in [0, 1]."""

    ap100: Floats
    recall100: Floats
    precision: Floats  # of the pre-selection; 1 where nothing is pre-selected
    recall: Floats  # of the pre-selection
    f1: Floats  # of the pre-selection; 0 where nothing right is pre-selected
    safety: Floats  # share of the relevant that an examiner cannot miss: pre-selected or on the first page
    first: Floats  # share of the relevant on the first page

    def relied(self, live_precision: float) -> Floats:
        """What an examiner cannot miss, (c, q). A pre-selection that is mostly wrong is not read to its end: while
        too little of the live one is right (RELIED), only the first page counts."""
        return self.safety if live_precision >= RELIED else self.first

    def mean(self) -> HeldOutScores:
        """The same figures averaged over the queries: each (c,)."""
        parts = (self.ap100, self.recall100, self.precision, self.recall, self.f1, self.safety, self.first)
        return HeldOutScores(*(p.mean(axis=1) for p in parts))


class HeldOutObjective:
    """Ranks and pre-selection of all held-out queries for many candidates of one region.

    Exactly the figures of a full ranking with Eq 1 in single precision: comparisons that no candidate of
    the region can change are settled while preparing. `k` is the depth of AP and recall.
    """

    def __init__(
        self,
        held_out: HeldOut,
        region: Region,
        *,
        thresholds: tuple[float, float] = (0.0, 1.0),
        k: int = 100,
    ) -> None:
        """thresholds: lowest and highest tau that will be asked. Raises ValueError without any query."""
        if not held_out.queries:
            raise ValueError("There are no held-out queries to evaluate on.")
        self.region, self.k, self.thresholds = region, k, thresholds
        self.size = len(held_out.queries)
        # k others in front put a relevant mark beyond the depth: its exact rank no longer matters.
        self._ranks = Segments(region, stop=k)
        self._cut = _Cut(thresholds)
        place, relevant_counts = [], []
        for number, query in enumerate(held_out.queries):
            x, xp = split(query.similarities)
            low, high = bounds(x, xp, region)
            relevant = np.flatnonzero(query.relevant)
            others = query.others()
            # Most marks lie wholly above or below a relevant one: only the rest is compared row by row.
            above = others & (low > high[relevant, None] + EPSILON)
            rows = others & ~above & (high >= low[relevant, None] - EPSILON)
            rows[np.arange(relevant.size), relevant] = False
            owner, row = np.nonzero(rows)
            r = relevant[owner]
            self._ranks.add(x[row], xp[row], x[r], xp[r], owner=owner, known=above.sum(axis=1))
            place += [(number, column) for column in range(relevant.size)]
            relevant_counts.append(relevant.size)
            others[relevant] = False
            for rows_of in (relevant, others):
                self._cut.add(x[rows_of], xp[rows_of], low[rows_of], high[rows_of], query.cut_shift)
        self._place = np.array(place, dtype=np.intp).T
        self._relevant = np.array(relevant_counts)

    @property
    def undecided(self) -> int:
        """How many comparisons each candidate costs."""
        return self._ranks.undecided + self._cut.undecided

    def evaluate(self, weights: ArrayLike, thresholds: ArrayLike) -> HeldOutScores:
        """(c, n) candidates and their (c,) thresholds -> per query figures, (c, q) each.

        Raises ValueError for a candidate outside the region or range prepared.
        """
        w = self.region.check(weights)
        tau = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), (len(w),))
        parts = [self._evaluate(w[at : at + 64], tau[at : at + 64]) for at in range(0, max(len(w), 1), 64)]
        return HeldOutScores(*(np.concatenate(p) for p in zip(*parts, strict=True)))

    def _evaluate(self, w: Floats, tau: Floats) -> tuple[Floats, ...]:
        ranks = np.full((len(w), self.size, int(self._relevant.max())), _NEVER, dtype=np.int32)
        ranks[:, self._place[0], self._place[1]] = self._ranks.count(w) + 1
        ap, recall = ap_and_recall(np.sort(ranks, axis=2), self._relevant, self.k)
        passed = self._cut.count(w, tau)
        hits = passed[:, 0::2]
        first = (ranks <= FIRST_PAGE).sum(axis=2)
        safety = np.maximum(hits, first) / self._relevant  # both hold the highest scores: the larger is the union
        preselection = _preselection(hits, passed[:, 1::2], self._relevant)
        return ap, recall, *preselection, safety, first / self._relevant


def evaluate_each(held_out: HeldOut, weights: ArrayLike, thresholds: ArrayLike, *, k: int = 100) -> HeldOutScores:
    """The same figures by plain ranking, each query with its own parameters.

    weights: (q, n) or (n,); thresholds: (q,) or one number. Returns figures of shape (1, q). Used for
    before/after of a whole parameter set, where every query follows its own cluster.
    """
    q = len(held_out.queries)
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), (q, len(held_out.descriptors)))
    tau = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), (q,))
    columns = []
    for i, query in enumerate(held_out.queries):
        others = query.others()
        s = scores(query.similarities, w[i])[others]
        columns.append(judge_list(s, s >= tau[i] + query.cut_shift, query.relevant[others], k=k))
    table = np.array(columns, dtype=np.float64).reshape(q, len(ListFigures._fields))
    return HeldOutScores(*(table[None, :, i] for i in range(len(ListFigures._fields))))


class ListFigures(NamedTuple):
    """The figures of HeldOutScores for one list."""

    ap100: float
    recall100: float
    precision: float
    recall: float
    f1: float
    safety: float
    first: float


def judge_list(
    scored: Floats, preselected: NDArray[np.bool_], relevant: NDArray[np.bool_], *, k: int = 100
) -> ListFigures:
    """How good one list is, by whatever it was scored. All (m,), without the query; ties count against us."""
    found = score_query(worst_ranks(scored, scored[relevant]), len(scored), "excluded", k=k)
    hits, chosen, wanted = int((preselected & relevant).sum()), int(preselected.sum()), len(found.ranks)
    first = int((found.ranks <= FIRST_PAGE).sum())
    return ListFigures(
        found.ap,
        found.recall,
        hits / chosen if chosen else 1.0,
        hits / wanted,
        2 * hits / (chosen + wanted),
        max(hits, first) / wanted,  # both hold the highest scores: the larger is the union
        first / wanted,
    )


class _Cut:
    """How many rows of each list pass the pre-selection, s(W) >= tau, for many (W, tau)."""

    def __init__(self, thresholds: tuple[float, float]) -> None:
        self._thresholds = thresholds
        self._base: list[int] = []
        self._rows: list[tuple[Floats, Floats, float]] = []

    @property
    def undecided(self) -> int:
        return sum(len(x) for x, _, _ in self._rows)

    def add(self, x: Floats, present: Floats, low: Floats, high: Floats, shift: float) -> None:
        """A list. low, high: `bounds` of its rows. shift: added to every tau for it."""
        always = low > self._thresholds[1] + shift + 1e-6
        open_ = ~always & (high >= self._thresholds[0] + shift - 1e-6)
        self._base.append(int(always.sum()))
        self._rows.append((x[open_], present[open_], shift))

    def count(self, w: Floats, tau: Floats) -> NDArray[np.int64]:
        """(c, n), (c,) -> (c, lists). Raises ValueError for a tau outside the range prepared."""
        if (tau < self._thresholds[0] - 1e-9).any() or (tau > self._thresholds[1] + 1e-9).any():
            raise ValueError("A threshold lies outside the range that was prepared.")
        counts = np.tile(np.array(self._base, dtype=np.int64), (len(w), 1))
        for i, (x, present, shift) in enumerate(self._rows):
            if not len(x):
                continue
            total = present @ w.T
            # s >= tau without the division: sum of W_n x_n >= tau times the weight present.
            passed = (x @ w.T >= (tau + shift) * total) & (total > 0)
            counts[:, i] += passed.sum(axis=0)
        return counts


def ap_and_recall(sorted_ranks: NDArray[np.integer], relevant: NDArray[np.integer], k: int) -> tuple[Floats, Floats]:
    """(c, q, r) ascending ranks, padded with a huge rank, and (q,) numbers of relevant marks -> (c, q)."""
    order = np.arange(1, sorted_ranks.shape[2] + 1)
    within = sorted_ranks <= k
    ap = np.where(within, order / np.maximum(sorted_ranks, 1), 0.0).sum(axis=2) / np.minimum(relevant, k)
    return np.asarray(ap), np.asarray(within.sum(axis=2) / relevant)


def _preselection(
    hits: NDArray[np.integer], wrong: NDArray[np.integer], relevant: NDArray[np.integer]
) -> tuple[Floats, Floats, Floats]:
    chosen = hits + wrong
    precision = np.where(chosen > 0, hits / np.maximum(chosen, 1), 1.0)
    return precision, hits / relevant, 2 * hits / (chosen + relevant)
