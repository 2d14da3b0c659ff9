"""How well a candidate explains what examiners did, from the logged rows alone. Pure.

Each concluded search is replayed with other weights and another threshold on the rows it showed; the final
selection U stays what it was. Two losses per search, both lower is better:

    selection error  sum of the weights of evaluated rows whose new pre-selection differs from U,
                     over the weight of the marks that were pre-selected or selected (like PC)
    ranking loss     1 - average precision of the evaluated rows with U as the relevant marks, each of
                     them weighted; ties count against

The traps of design.md 4 are in the weights: an added or removed mark weighs 1, one merely kept or left
alone weighs less (inertia); rows the examiner did not reach weigh nothing (unseen is not negative); a row
that was unlikely to be looked at weighs more when it was (inverse propensity); no examiner holds more than
a capped share of the whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feedback.change_metrics import ChangeMetrics, capped_weights, search_metrics
from tuning.comparisons import Bools, Floats, Region, Segments, scores, split

__all__ = [
    "FeedbackConfig",
    "FeedbackObjective",
    "FeedbackScores",
    "LoggedSearch",
    "replay",
    "search_losses",
    "search_weights",
]


_TOGETHER = 64
"""Searches whose comparisons are settled at once: one by one costs more in calls than in sums."""


@dataclass(frozen=True)
class FeedbackConfig:
    """Weights of the outcomes and the two losses."""

    kept: float = 0.3  # pre-selected and still selected: may be inertia
    left: float = 0.2  # seen, not pre-selected, not selected: may be inertia too
    propensity_floor: float = 0.1  # so that no single row dominates
    ranking: float = 0.7  # share of the ranking loss in the value: it predicts held-out mAP, the selection does not
    examiner_cap: float = 0.5  # largest share of one examiner

    def __post_init__(self) -> None:
        shares = (self.kept, self.left, self.ranking)
        if not all(0.0 <= v <= 1.0 for v in shares) or not 0.0 < self.propensity_floor <= 1.0:
            raise ValueError("Outcome weights, the ranking share and the propensity floor lie between 0 and 1.")
        if not 0.0 < self.examiner_cap <= 1.0:
            raise ValueError("The examiner cap lies above 0 and up to 1.")


@dataclass(frozen=True)
class LoggedSearch:
    """The impressions of one concluded search, one entry per result in the order shown.

    similarities: (m, n) calibrated, NaN where missing. scores: (m,) fused score 0..1 as served.
    preselected: as served. selected: the final
    selection U. seen: reached by the examiner. propensity: (m,) chance that a row at this rank is looked
    at, None = 1. blind: the search was shown without pre-selection, so nothing in it is inertia.
    key: what the search was for (the query image's hash, say); searches with one key stay together when
    the log is divided. cut_shift: added to every tau for this query (search/retrieval/crowding.py).
    """

    key: Hashable
    examiner: Hashable
    cluster: int | None
    similarities: NDArray[np.float32]
    scores: NDArray[np.float64]
    preselected: NDArray[np.bool_]
    selected: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    propensity: NDArray[np.float64] | None = None
    blind: bool = False
    cut_shift: float = 0.0

    def __post_init__(self) -> None:
        m = len(self.similarities)
        flags = (self.preselected, self.selected, self.seen)
        if self.similarities.ndim != 2 or any(f.shape != (m,) for f in (self.scores, *flags)):
            raise ValueError("A logged search needs a score, pre-selection, selection and seen flag per result.")
        if self.propensity is not None and self.propensity.shape != (m,):
            raise ValueError("A logged search needs one propensity per result.")

    def evaluated(self) -> Bools:
        """(m,) the list L: seen, or changed and therefore seen."""
        return np.asarray(self.seen | (self.preselected != self.selected), dtype=bool)

    def metrics(self) -> ChangeMetrics:
        """PC, DC, AC as it happened."""
        return self._metrics

    @cached_property
    def _metrics(self) -> ChangeMetrics:  # asked for by the register, the cluster and the week
        return search_metrics(
            rank=np.arange(len(self.seen)),
            seen=self.seen,
            preselected=self.preselected,
            selected=self.selected,
            similarity=np.nan_to_num(self.scores),
        )

    def row_weights(self, config: FeedbackConfig) -> Floats:
        """(m,) weight of each row as evidence; 0 for rows that were not evaluated."""
        changed = self.preselected != self.selected
        weight = np.where(self.preselected, config.kept, config.left)
        if self.blind:
            weight = np.where(self.selected, 1.0, config.left)
        weight = np.where(changed, 1.0, weight)
        if self.propensity is not None:
            weight = weight / np.clip(self.propensity, config.propensity_floor, 1.0)
        return np.asarray(np.where(self.evaluated(), weight, 0.0), dtype=np.float64)


@dataclass(frozen=True)
class FeedbackScores:
    """Losses of c candidates, each (c,), and `value` = 1 - their mix: higher is better, 1 is perfect."""

    selection_error: Floats
    ranking_loss: Floats
    value: Floats


class _Compared(NamedTuple):
    """The comparisons of one search, as `Segments.add` takes them, and of how many selected marks."""

    x: Floats
    x_present: Floats
    r: Floats
    r_present: Floats
    owner: NDArray[np.intp]
    marks: int


def _add(ranks: Segments, compared: list[_Compared]) -> None:
    """Hand over the comparisons of many searches at once, and empty the list."""
    if not compared:
        return
    counts = [one.marks for one in compared]
    first = np.cumsum([0, *counts])[:-1]
    owner = np.concatenate([one.owner + at for one, at in zip(compared, first, strict=True)])
    x, x_present, r, r_present = (np.concatenate(part) for part in list(zip(*compared, strict=True))[:4])
    known = np.ones(sum(counts), dtype=np.intp)  # itself
    ranks.add(x, x_present, r, r_present, owner=owner, known=known)
    compared.clear()


class FeedbackObjective:
    """The two losses over all logged searches for many candidates of one region at once."""

    def __init__(self, searches: Sequence[LoggedSearch], region: Region, config: FeedbackConfig | None = None) -> None:
        """Raises ValueError when no search has an evaluated row."""
        self.region, self.config = region, config or FeedbackConfig()
        share = search_weights(searches, self.config)
        rows: list[tuple[Floats, Floats]] = []
        wanted, weights, place, chosen, shifts = [], [], [], [], []
        parts: list[float] = []
        self._ranks = Segments(region)
        compared: list[_Compared] = []
        for search, part in zip(searches, share, strict=True):
            x, xp = split(search.similarities)
            weight = search.row_weights(self.config)
            in_list = weight > 0
            rows.append((x[in_list], xp[in_list]))
            wanted.append(search.selected[in_list])
            shifts.append(np.full(int(in_list.sum()), search.cut_shift))
            weights.append(part * weight[in_list] / _base(search, weight))
            up = np.flatnonzero(in_list & search.selected)
            rows_of = np.repeat(in_list[None], len(up), axis=0)
            rows_of[np.arange(len(up)), up] = False
            owner, row = np.nonzero(rows_of)
            r = up[owner]
            compared.append(_Compared(x[row], xp[row], x[r], xp[r], owner, len(up)))
            if len(compared) == _TOGETHER:
                _add(self._ranks, compared)
            place += [(len(parts), column) for column in range(len(up))]
            if len(up):
                chosen.append(weight[up])
                parts.append(part)
        _add(self._ranks, compared)
        self._x = np.concatenate([r[0] for r in rows])
        self._present = np.concatenate([r[1] for r in rows])
        self._wanted = np.concatenate(wanted)
        self._shifts = np.concatenate(shifts)[:, None]
        self._weights = np.concatenate(weights)
        self._place = np.array(place, dtype=np.intp).reshape(-1, 2).T
        self._parts = np.array(parts)
        self._chosen = np.zeros((len(parts), max((len(c) for c in chosen), default=0)))
        for number, values in enumerate(chosen):
            self._chosen[number, : len(values)] = values

    def evaluate(self, weights: ArrayLike, thresholds: ArrayLike) -> FeedbackScores:
        """(c, n) candidates inside the region and (c,) thresholds -> their losses."""
        w = self.region.check(weights)
        tau = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), (len(w),))
        parts = [self._evaluate(w[at : at + 64], tau[at : at + 64]) for at in range(0, max(len(w), 1), 64)]
        error, loss = (np.concatenate(p) for p in zip(*parts, strict=True))
        mix = self.config.ranking
        return FeedbackScores(error, loss, 1.0 - (1.0 - mix) * error - mix * loss)

    def _evaluate(self, w: Floats, tau: Floats) -> tuple[Floats, Floats]:
        total = self._present @ w.T
        passed = (self._x @ w.T >= (tau + self._shifts) * total) & (total > 0)
        error = self._weights @ (passed != self._wanted[:, None])
        if not self._parts.size:
            return error, np.zeros(len(w))
        ranks = np.full((len(w), *self._chosen.shape), np.inf)
        ranks[:, self._place[0], self._place[1]] = self._ranks.count(w)
        order = np.argsort(ranks, axis=2, kind="stable")
        weight = np.take_along_axis(np.broadcast_to(self._chosen, ranks.shape), order, axis=2)
        precision = np.arange(1, ranks.shape[2] + 1) / np.take_along_axis(ranks, order, axis=2)
        ap = (weight * precision).sum(axis=2) / self._chosen.sum(axis=1)
        return error, np.asarray((1.0 - ap) @ self._parts)


def search_losses(
    searches: Sequence[LoggedSearch],
    weights: ArrayLike,
    threshold: float,
    config: FeedbackConfig | None = None,
) -> Floats:
    """(s,) mixed loss of each search with one candidate, by plain scoring; NaN without evaluated rows.

    1 - the mean of these, weighted by `search_weights`, is the objective's value. The gate compares them
    search by search.
    """
    c = config or FeedbackConfig()
    losses = []
    for search in searches:
        s = scores(search.similarities, weights)
        weight = search.row_weights(c)
        wrong = (s >= threshold + search.cut_shift) != search.selected
        error = float(weight[wrong].sum() / _base(search, weight))
        loss = _ranking_loss(s[weight > 0], search.selected[weight > 0], weight[weight > 0])
        losses.append((1.0 - c.ranking) * error + c.ranking * loss if weight.any() else np.nan)
    return np.array(losses, dtype=np.float64)


def search_weights(searches: Sequence[LoggedSearch], config: FeedbackConfig) -> Floats:
    """(s,) shares that sum to 1: each search the same, but no examiner above the cap.

    With too few examiners for the cap, all examiners weigh the same. Raises ValueError when there is no
    search with an evaluated row.
    """
    useful = np.array([bool(s.evaluated().any()) for s in searches], dtype=bool)
    if not useful.any():
        raise ValueError("There is no search with results that an examiner evaluated.")
    weight = np.zeros(len(searches))
    weight[useful] = capped_weights(
        np.ones(int(useful.sum())),
        [s.examiner for s, u in zip(searches, useful, strict=True) if u],
        config.examiner_cap,
    )
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def replay(searches: Sequence[LoggedSearch], weights: ArrayLike, threshold: float) -> list[ChangeMetrics]:
    """PC, DC, AC of each search had (weights, threshold) served it and U been the same.

    Only the evaluated rows take part: of the others nobody knows what the examiner would have done.
    """
    replayed = []
    for search in searches:
        rows = search.evaluated()
        s = scores(search.similarities[rows], weights)
        order = np.argsort(-s, kind="stable")
        s = s[order]
        replayed.append(
            search_metrics(
                rank=np.arange(len(s)),
                seen=np.ones(len(s), dtype=bool),
                preselected=s >= threshold + search.cut_shift,
                selected=search.selected[rows][order],
                similarity=np.maximum(s, 0.0),
            )
        )
    return replayed


def _base(search: LoggedSearch, weight: Floats) -> float:
    """What a selection error is measured against: the weight of P and U; 1 where both are empty."""
    return float(weight[search.preselected | search.selected].sum()) or 1.0


def _ranking_loss(s: Floats, selected: Bools, weight: Floats) -> float:
    """1 - weighted average precision of (m,) scores; 0 where nothing is selected."""
    if not selected.any():
        return 0.0
    ordered = np.sort(s)
    ranks = len(s) - np.searchsorted(ordered, s[selected], side="left")
    order = np.argsort(ranks, kind="stable")
    precision = np.arange(1, len(ranks) + 1) / ranks[order]
    w = weight[selected][order]
    return float(1.0 - (w * precision).sum() / w.sum())
