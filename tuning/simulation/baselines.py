"""The alternatives: nothing, the paper's tree with random steps, a grid of global weights, a learnt ranker. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.retrieval.parameters import ClusterParameters, Parameters
from tuning.comparisons import Floats, scores, split, weighed
from tuning.decision_table import ActionKind, TableConfig, decide
from tuning.feedback_objective import LoggedSearch
from tuning.policy import PolicyConfig, evidence_of
from tuning.simulation.office import SHOWN, Logged, Served
from tuning.simulation.referee import Figures, Referee
from tuning.simulation.world import WorldQuery

__all__ = ["Arm", "Grid", "Learned", "PaperTree", "Static", "Step", "by_parameters"]


@dataclass(frozen=True)
class Step:
    """What an arm did after a week: "none", "promoted", "rejected" or "rolled_back", and why."""

    kind: str
    reason: str = ""


class Arm(Protocol):
    """Serves searches, and learns from the week's log."""

    def serve(self, query: WorldQuery, seed: int) -> Served:
        """One search."""
        ...

    def learn(self, week: int, log: Sequence[Logged]) -> Step:
        """After the week's last search."""
        ...

    def figures(self, referee: Referee) -> Figures:
        """How good what it serves now is."""
        ...


def by_parameters(query: WorldQuery, own: ClusterParameters, names: Sequence[str]) -> Served:
    """The best 240 by Eq 1, pre-selected at the threshold; no audit."""
    s = scores(query.similarities, own.weight_vector(names))
    return _best(s, s >= own.threshold + query.cut_shift)


def _best(s: Floats, preselected: NDArray[np.bool_]) -> Served:
    rows = np.argsort(-s, kind="stable")[:SHOWN]
    none = np.zeros(len(rows), dtype=bool)
    return Served(rows=rows, scores=np.clip(s[rows], 0.0, 1.0), preselected=preselected[rows], audit=none)


@dataclass
class Static:
    """Never changes."""

    parameters: Parameters
    _judged: tuple[Referee, Parameters, Figures] | None = field(default=None, init=False, repr=False)

    def serve(self, query: WorldQuery, seed: int) -> Served:
        return by_parameters(query, self.parameters.for_cluster(query.cluster), self.parameters.names)

    def learn(self, week: int, log: Sequence[Logged]) -> Step:
        return Step("none")

    def figures(self, referee: Referee) -> Figures:
        # Most weeks change nothing.
        if self._judged is None or self._judged[0] is not referee or self._judged[1] != self.parameters:
            self._judged = referee, self.parameters, referee.parameters(self.parameters)
        return self._judged[2]


@dataclass
class PaperTree(Static):
    """DarwinGSE as printed: the tree's random step, kept when next week's reward 1 - PC fell by no more than 0.01.

    Clusters with too few searches share one set of parameters, stepped by what they show together.
    """

    seed: int = 0
    table: TableConfig = field(default_factory=TableConfig)
    eta: float = 0.10
    limits: tuple[float, float] = (0.2, 0.98)
    _tried: dict[int | None, tuple[ClusterParameters, float]] = field(default_factory=dict)

    def learn(self, week: int, log: Sequence[Logged]) -> Step:
        rng = np.random.default_rng([self.seed, week])
        kinds = set()
        for cluster, searches in _scopes(log, self.table.min_searches).items():
            now = self._now(cluster)
            evidence = evidence_of(searches, PolicyConfig(evidence_cap=1.0))
            reward = 1.0 - evidence.pc
            before = self._tried.pop(cluster, None)
            if before is not None and reward < before[1] - 0.01:
                self._put(cluster, before[0])
                kinds.add("rolled_back")
                continue
            action = decide(
                pc=evidence.pc, dc=evidence.dc, ac=evidence.ac, searches=evidence.searches,
                examiners=evidence.examiners, config=self.table,
            )  # fmt: skip
            if action.kind is ActionKind.WEIGHTS:
                after = replace(now, weights=_random_step(now, action.radius, rng))
            elif action.kind is ActionKind.THRESHOLD:
                sign = 1 if evidence.additions >= evidence.removals else -1
                after = replace(
                    now, threshold=float(np.clip(now.threshold - self.eta * evidence.dc * sign, *self.limits))
                )
            else:
                continue
            self._tried[cluster] = (now, reward)
            self._put(cluster, after)
            kinds.add("promoted")
        return Step(next((k for k in ("promoted", "rolled_back") if k in kinds), "none"))

    def _now(self, cluster: int | None) -> ClusterParameters:
        return self.parameters.for_cluster(cluster)

    def _put(self, cluster: int | None, values: ClusterParameters) -> None:
        if cluster is None:
            self.parameters = replace(self.parameters, default=values)
        else:
            self.parameters = replace(self.parameters, clusters={**self.parameters.clusters, cluster: values})


def _scopes(log: Sequence[Logged], least: int) -> dict[int | None, list[LoggedSearch]]:
    """Clusters with enough searches of their own, and the rest together."""
    found: dict[int | None, list[LoggedSearch]] = {}
    for one in log:
        found.setdefault(one.search.cluster, []).append(one.search)
    rest = [s for searches in found.values() if len(searches) < least for s in searches]
    scopes = {cluster: searches for cluster, searches in found.items() if len(searches) >= least}
    return {**scopes, None: rest} if rest else scopes


def _random_step(now: ClusterParameters, v: float, rng: np.random.Generator) -> dict[str, float]:
    """WEIGHTS(v) of science.md 1.8: u uniform in [-v, v]^n, mean taken off, rescaled; redrawn while a weight is < 0."""
    names = list(now.weights)
    w = np.array([now.weights[name] for name in names])
    moved = w
    for _ in range(100):
        u = rng.uniform(-v, v, len(w))
        u -= u.mean()
        u *= min(1.0, v / np.abs(u).max())
        moved = w + u
        if (moved >= 0).all():
            break
    moved = np.maximum(moved, 0.0)
    moved = moved / moved.sum()
    return {name: float(x) for name, x in zip(names, moved, strict=True)}


@dataclass
class Grid(Static):
    """A grid of global weights judged by NDCG@10 on what examiners selected, as OpenSearch's hybrid optimiser does.

    The best of all goes live at once, and with it the cut that agrees best with the selections.
    """

    step: float = 0.2
    weeks: int = 8
    _log: list[tuple[int, LoggedSearch]] = field(default_factory=list)

    def learn(self, week: int, log: Sequence[Logged]) -> Step:
        self._log = [(w, s) for w, s in self._log if w > week - self.weeks] + [(week, one.search) for one in log]
        judged = [(s.similarities[r], s.selected[r], s.cut_shift) for _, s in self._log for r in [s.evaluated()]]
        judged = [(x, y, shift) for x, y, shift in judged if y.any()]
        if not judged:
            return Step("none")
        names = self.parameters.names
        grid = _simplex(len(names), round(1 / self.step))
        best = grid[int(np.argmax(_ndcg10([(x, y) for x, y, _ in judged], grid)))]
        s = np.concatenate([scores(x, best) - shift for x, _, shift in judged])
        y = np.concatenate([y for _, y, _ in judged])
        cuts = np.arange(0.2, 0.96, 0.05)
        chosen = s[:, None] >= cuts
        f1 = 2 * (chosen & y[:, None]).sum(axis=0) / np.maximum(chosen.sum(axis=0) + y.sum(), 1)
        now = self.parameters.default
        after = replace(
            now,
            weights=dict(zip(names, map(float, best), strict=True)),
            threshold=round(float(cuts[int(f1.argmax())]), 2),
        )
        if after == now:
            return Step("none")
        self.parameters = replace(self.parameters, default=after, clusters={})
        return Step("promoted")


def _simplex(n: int, parts: int) -> Floats:
    """All points of the simplex in steps of 1 / parts."""
    cuts = np.array(list(combinations(range(parts + n - 1), n - 1)))
    ends = np.full((len(cuts), 1), parts + n - 1)
    return np.asarray((np.diff(np.concatenate([np.full_like(ends, -1), cuts, ends], axis=1)) - 1) / parts)


def _ndcg10(judged: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], grid: Floats) -> Floats:
    """Mean NDCG@10 (binary gains) of each of (c, n) weights."""
    discount = 1 / np.log2(np.arange(2, 12))
    total = np.zeros(len(grid))
    for x, y in judged:
        s = weighed(*split(x), grid.T)
        top = min(10, len(y))
        best = np.argpartition(-s, top - 1, axis=0)[:top]
        order = np.take_along_axis(best, np.argsort(-np.take_along_axis(s, best, axis=0), axis=0), axis=0)
        total += discount[:top] @ y[order] / discount[: min(10, int(y.sum()))].sum()
    return np.asarray(total / len(judged))


@dataclass
class Learned(Static):
    """Logistic regression on the logged similarities (Metarank's way): it ranks and, at one half, pre-selects."""

    weeks: int = 8
    _log: list[tuple[int, LoggedSearch]] = field(default_factory=list)
    _model: tuple[Floats, float] | None = None

    def serve(self, query: WorldQuery, seed: int) -> Served:
        if self._model is None:
            return super().serve(query, seed)
        s, preselected = self._score(query)
        return _best(s, preselected)

    def learn(self, week: int, log: Sequence[Logged]) -> Step:
        from sklearn.linear_model import LogisticRegression

        self._log = [(w, s) for w, s in self._log if w > week - self.weeks] + [(week, one.search) for one in log]
        x = np.concatenate([np.nan_to_num(s.similarities[s.evaluated()]) for _, s in self._log])
        y = np.concatenate([s.selected[s.evaluated()] for _, s in self._log])
        if y.all() or not y.any():
            return Step("none")
        fitted = LogisticRegression(C=10.0, max_iter=500).fit(x, y)
        self._model = (np.asarray(fitted.coef_[0], dtype=np.float64), float(fitted.intercept_[0]))
        return Step("promoted")

    def figures(self, referee: Referee) -> Figures:
        return super().figures(referee) if self._model is None else referee.scored(self._score)

    def _score(self, query: WorldQuery) -> tuple[Floats, NDArray[np.bool_]]:
        assert self._model is not None  # noqa: S101 - both callers checked
        weights, bias = self._model
        raw = np.nan_to_num(query.similarities.astype(np.float64)) @ weights + bias
        chance = 1 / (1 + np.exp(-raw))
        return chance, chance >= 0.5
