"""The referee: how good parameters really are, on groups that nothing else reads; and the best there could be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval.parameters import Parameters
from tuning.comparisons import Floats, Region, split, weighed
from tuning.objective import ap_and_recall, judge_list
from tuning.optimiser import SearchConfig, find
from tuning.simulation.world import Part, World, WorldQuery

__all__ = ["Ceiling", "Figures", "Referee", "best_set"]

_CUTS = np.round(np.arange(0.2, 0.985, 0.01), 2)
_DEPTH = 100
_OTHERS: tuple[Part, ...] = ("traffic", "fit", "validate")
"""All parts that an office and its tuning know."""
Score = Callable[[WorldQuery], tuple[Floats, NDArray[np.bool_]]]
"""A query to (m,) scores and which marks are pre-selected."""


@dataclass(frozen=True)
class Figures:
    """Means over the test queries, shares in [0, 1].

    safety: share of the relatives within the pre-selection or on the first page (what an examiner cannot miss).
    """

    map100: float
    f1: float
    recall: float
    precision: float
    safety: float


@dataclass(frozen=True)
class Ceiling:
    """The best single set of parameters, looked for directly on the test queries, and what it reaches there.

    "Best" is the sum of mAP@100 and F1: only one set can be live. elsewhere_*: the best set on the queries of all other
    parts; nothing that learns one set for all can be expected to do better than that one does on the test queries.
    """

    map100: float
    f1: float
    weights: tuple[float, ...]
    threshold: float
    elsewhere_weights: tuple[float, ...]
    elsewhere_threshold: float

    @classmethod
    def of(cls, world: World, *, seed: int = 0, rounds: int = 16, cloud: int = 48) -> Ceiling:
        """rounds * cloud candidates for each of the two sets (Optuna, seeded, each trial with its neighbours)."""
        test = Referee(world.of("test"), world.names)
        others = Referee([query for part in _OTHERS for query in world.of(part)], world.names)
        (w, tau), (w_else, tau_else) = (best_set(r, seed=seed, rounds=rounds, cloud=cloud) for r in (test, others))
        best = test.weights(w, np.array(tau))
        return cls(best.map100, best.f1, tuple(w.tolist()), tau, tuple(w_else.tolist()), tau_else)


def best_set(referee: Referee, *, seed: int = 0, rounds: int = 16, cloud: int = 48) -> tuple[Floats, float]:
    """Weights anywhere on the simplex and a cut with the highest sum of mAP@100 and F1 on a referee's queries."""
    n = len(referee.names)
    start = np.full(n, 1 / n), 0.5
    config = SearchConfig(rounds=rounds, cloud=cloud, average=0.0)
    found = find(_Directly(referee, config), start=start, seed=seed)
    return found.weights, referee.best_cut(found.weights)[1]


class _Directly:
    """What `find` climbs: mAP@100 + F1 of all queries of a referee."""

    def __init__(self, referee: Referee, config: SearchConfig) -> None:
        self._referee, self.config, self.seconds = referee, config, 0.0
        self.region = Region.simplex(len(referee.names))
        self.thresholds = float(_CUTS[0]), float(_CUTS[-1])

    def values(self, weights: ArrayLike, thresholds: ArrayLike) -> Floats:
        """(c, n) and (c,) -> (c,)."""
        map100, f1 = self._referee.each(np.asarray(weights, dtype=np.float64), np.asarray(thresholds))
        return map100 + f1


class Referee:
    """Ranks every test query in full; ties count against the relatives."""

    def __init__(self, queries: Sequence[WorldQuery], names: Sequence[str]) -> None:
        """Raises ValueError without queries."""
        if not queries:
            raise ValueError("The referee has no test queries: the set is too small for three splits.")
        self.queries, self.names = tuple(queries), tuple(names)
        self._values = [split(q.similarities) for q in self.queries]

    @cached_property
    def _single(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """In single precision, for many candidates at once."""
        return [(values.astype(np.float32), present.astype(np.float32)) for values, present in self._values]

    def parameters(self, parameters: Parameters) -> Figures:
        """Each query under its own cluster's parameters."""
        own = [parameters.for_cluster(q.cluster) for q in self.queries]
        weights = np.array([p.weight_vector(self.names) for p in own])
        return self.weights(weights, np.array([p.threshold for p in own]))

    def weights(self, weights: Floats, thresholds: Floats) -> Figures:
        """weights (q, n) or (n,), thresholds (q,) or one."""
        q = len(self.queries)
        w = np.broadcast_to(np.asarray(weights, dtype=np.float64), (q, len(self.names)))
        tau = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), (q,))
        rows = []
        for (values, present), query, own, cut in zip(self._values, self.queries, w, tau, strict=True):
            s = weighed(values, present, own)
            rows.append(_figures(s, s >= cut + query.cut_shift, query.relevant))
        return Figures(*(float(v) for v in np.mean(rows, axis=0)))

    def each(self, weights: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
        """mAP@100 and F1, each (c,), of (c, n) weights and (c,) thresholds that serve all queries alike."""
        ap, f1 = np.zeros(len(weights)), np.zeros(len(weights))
        w, tau = weights.T.astype(np.float32), thresholds.astype(np.float32)
        for (values, present), query in zip(self._single, self.queries, strict=True):
            s = weighed(values, present, w)
            own = s[query.relevant]
            ranks = np.sort([(s >= row).sum(axis=0) for row in own], axis=0).T
            ap += ap_and_recall(ranks[:, None], np.array([len(own)]), _DEPTH)[0][:, 0]
            cut = tau + np.float32(query.cut_shift)
            f1 += 2 * (own >= cut).sum(axis=0) / ((s >= cut).sum(axis=0) + len(own))
        return ap / len(self.queries), f1 / len(self.queries)

    def best_cut(self, weights: Floats) -> tuple[float, float]:
        """The highest mean F1 of the pre-selection over all cuts in steps of 0.01, and that cut."""
        f1 = np.zeros(len(_CUTS))
        for (values, present), query in zip(self._values, self.queries, strict=True):
            s = weighed(values, present, weights) - query.cut_shift
            hits = _at_least(s[query.relevant], _CUTS)
            f1 += 2 * hits / (_at_least(s, _CUTS) + int(query.relevant.sum()))
        f1 /= len(self.queries)
        return float(f1.max()), float(_CUTS[int(f1.argmax())])

    def scored(self, score: Score) -> Figures:
        """Any other way of scoring."""
        return Figures(*(float(v) for v in np.mean([_figures(*score(q), q.relevant) for q in self.queries], axis=0)))


def _at_least(values: Floats, cuts: Floats) -> NDArray[np.intp]:
    """(c,) how many values reach each cut."""
    return np.asarray(len(values) - np.searchsorted(np.sort(values), cuts, side="left"))


def _figures(scored: Floats, preselected: NDArray[np.bool_], relevant: NDArray[np.bool_]) -> tuple[float, ...]:
    """One list, in the order of Figures."""
    found = judge_list(scored, preselected, relevant)
    return found.ap100, found.f1, found.recall, found.precision, found.safety
