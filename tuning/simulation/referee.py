"""The referee: how good parameters really are, on groups that nothing else reads; and the best there could be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.retrieval.parameters import Parameters
from tuning.comparisons import Floats, split, weighed
from tuning.evaluation.simplex import climb
from tuning.objective import judge_list
from tuning.optimiser import quiet_optuna
from tuning.simulation.world import WorldQuery

__all__ = ["Ceiling", "Figures", "Referee"]

_CUTS = np.round(np.arange(0.2, 0.985, 0.01), 2)
_STEPS = (0.1, 0.05)
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
    """The best a single set of parameters can do on the test queries, for each figure by itself."""

    map100: float
    map_weights: tuple[float, ...]
    f1: float
    f1_weights: tuple[float, ...]
    f1_threshold: float

    @classmethod
    def of(cls, referee: Referee, *, seed: int = 0, trials: int = 80) -> Ceiling:
        """Optuna (TPE, seeded) over the whole simplex, then climbing from the best and from equal weights."""
        n = len(referee.names)
        equal = np.full(n, 1 / n)

        def by_map(w: Floats) -> float:
            return referee.weights(w, np.array(0.5)).map100

        def by_f1(w: Floats) -> float:
            return referee.best_cut(w)[0]

        best_map, map100 = climb(by_map, [_tpe(by_map, n, seed, trials), equal], steps=_STEPS)
        best_f1, f1 = climb(by_f1, [_tpe(by_f1, n, seed, trials), best_map], steps=_STEPS)
        return cls(map100, tuple(best_map.tolist()), f1, tuple(best_f1.tolist()), referee.best_cut(best_f1)[1])


def _tpe(score: Callable[[Floats], float], n: int, seed: int, trials: int) -> Floats:
    """The best of some trials on the simplex (softmax-free: exponentials of uniform draws, normalised)."""
    import optuna

    def weights(trial: optuna.Trial) -> Floats:
        x = -np.log(1.0 - np.array([trial.suggest_float(f"x{i}", 0.0, 1.0 - 1e-6) for i in range(n)]))
        return np.asarray(x / max(x.sum(), 1e-12)) if x.sum() > 0 else np.full(n, 1 / n)

    with quiet_optuna():
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(lambda trial: score(weights(trial)), n_trials=trials)
        return weights(study.best_trial)  # type: ignore[arg-type]


class Referee:
    """Ranks every test query in full; ties count against the relatives."""

    def __init__(self, queries: Sequence[WorldQuery], names: Sequence[str]) -> None:
        """Raises ValueError without queries."""
        if not queries:
            raise ValueError("The referee has no test queries: the set is too small for three splits.")
        self.queries, self.names = tuple(queries), tuple(names)
        self._values = [split(q.similarities) for q in self.queries]

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
            rows.append(_figures(s, s >= cut, query.relevant))
        return Figures(*(float(v) for v in np.mean(rows, axis=0)))

    def best_cut(self, weights: Floats) -> tuple[float, float]:
        """The highest mean F1 of the pre-selection over all cuts in steps of 0.01, and that cut."""
        f1 = np.zeros(len(_CUTS))
        for (values, present), query in zip(self._values, self.queries, strict=True):
            s = weighed(values, present, weights)
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
