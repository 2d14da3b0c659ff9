"""Optuna over weights and threshold, with a vectorised cloud of candidates around each of its points. Pure.

Optuna's bookkeeping costs a millisecond or more a trial, the objective much less a candidate. So Optuna
(TPE, seeded) chooses centres, each centre brings a cloud of neighbours that are evaluated in one matrix
product, and the best neighbour is handed back to the study as a trial of its own. Candidates are moved to
the nearest point of the allowed region (box around the live weights, simplex, threshold range).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from tuning.comparisons import Floats, Region, project
from tuning.feedback_objective import FeedbackConfig, FeedbackObjective, LoggedSearch
from tuning.objective import HeldOut, HeldOutObjective

__all__ = ["Found", "Objective", "Prepared", "SearchConfig", "Trial", "find", "quiet_optuna"]


@dataclass(frozen=True)
class SearchConfig:
    """How long to look, and what counts. The value of a candidate is its gain over the live parameters:

    feedback * (agreement with logged selections) + ranking * mAP@100 + selection * F1 of the pre-selection
    - guard * (losses of mAP@100, of safety and of F1) - stay * (share of the allowed step)

    Safety is the share of true conflicts that are pre-selected or on the first page (gate.py).
    """

    rounds: int = 32
    cloud: int = 64
    feedback: float = 0.2  # an examiner sees one list of one mark; the held-out queries know all relatives
    ranking: float = 0.5
    selection: float = 0.3
    guard: float = 5.0  # the gate tolerates next to no loss, so the search avoids it from the start
    average: float = 0.04  # share of all candidates, the best ones, whose mean is taken: one alone is luck
    stay: float = 0.002  # of two equally good candidates the nearer one wins
    smallest_gain: float = 0.003

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.cloud < 1:
            raise ValueError("A search needs at least one round and one candidate a round.")


Prepared = dict[tuple[float, ...], HeldOutObjective]


@dataclass(frozen=True)
class Trial:
    """The best candidate of one round, and the best value seen up to then."""

    number: int
    weights: tuple[float, ...]
    threshold: float
    value: float
    best: float


@dataclass(frozen=True)
class Found:
    """The best candidate. seconds: wall time of preparing and searching."""

    weights: Floats
    threshold: float
    value: float
    trials: tuple[Trial, ...]
    candidates: int
    seconds: float


class Objective:
    """The gain of many candidates over the live parameters, on logged searches and held-out queries."""

    def __init__(
        self,
        *,
        feedback: Sequence[LoggedSearch],
        feedback_config: FeedbackConfig,
        held_out: HeldOut,
        query_weights: Floats,
        region: Region,
        thresholds: tuple[float, float],
        live: tuple[Floats, float],
        config: SearchConfig,
        prepared: Prepared | None = None,
    ) -> None:
        """query_weights: (q,) that sum to 1. thresholds: where tau may go. live: weights and tau now.

        prepared: comparisons of the same held-out queries, kept by region and thresholds; filled here.
        """
        started = time.perf_counter()
        self.region, self.thresholds, self.live, self.config = region, thresholds, live, config
        self._query_weights = query_weights
        self._feedback = FeedbackObjective(feedback, region, feedback_config)
        asked = min(thresholds[0], live[1]), max(thresholds[1], live[1])
        prepared = {} if prepared is None else prepared
        key = (*np.round(region.centre, 9).tolist(), region.radius, *asked)
        if key not in prepared:
            prepared[key] = HeldOutObjective(held_out, region, thresholds=asked)
        self._held_out = prepared[key]
        mean = self._held_out.evaluate(live[0][None], np.array([live[1]])).mean()
        self._live_precision = float(mean.precision[0])
        self._live_parts = self._parts(live[0][None], np.array([live[1]]))
        self.seconds = time.perf_counter() - started

    def values(self, weights: ArrayLike, thresholds: ArrayLike) -> Floats:
        """(c, n) candidates and (c,) thresholds -> (c,) gains; 0 is as good as the live parameters."""
        w, tau = np.asarray(weights, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
        c = self.config
        feedback, ranking, f1, safety = (
            now - live for now, live in zip(self._parts(w, tau), self._live_parts, strict=True)
        )
        gain = c.feedback * feedback + c.ranking * ranking + c.selection * f1
        loss = np.maximum(0.0, -ranking) + np.maximum(0.0, -safety) + np.maximum(0.0, -f1)
        return np.asarray(gain - c.guard * loss - c.stay * self._distance(w, tau), dtype=np.float64)

    def _parts(self, w: Floats, tau: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        held_out = self._held_out.evaluate(w, tau)
        mean = self._query_weights
        value = self._feedback.evaluate(w, tau).value
        return value, held_out.ap100 @ mean, held_out.f1 @ mean, held_out.relied(self._live_precision) @ mean

    def _distance(self, w: Floats, tau: Floats) -> Floats:
        """How much of the allowed step a candidate uses, 0..1."""
        step = np.abs(w - self.live[0]).max(axis=1) / max(self.region.radius, 1e-9)
        width = max(abs(t - self.live[1]) for t in self.thresholds)
        return np.asarray((step + np.abs(tau - self.live[1]) / max(width, 1e-9)) / 2, dtype=np.float64)


class Climbed(Protocol):
    """What `find` needs of an objective."""

    @property
    def region(self) -> Region:
        """Where the weights may lie."""
        ...

    @property
    def thresholds(self) -> tuple[float, float]:
        """Where tau may lie."""
        ...

    @property
    def config(self) -> SearchConfig:
        """How long to look."""
        ...

    @property
    def seconds(self) -> float:
        """What preparing took."""
        ...

    def values(self, weights: ArrayLike, thresholds: ArrayLike) -> Floats:
        """(c, n) candidates and (c,) thresholds -> (c,): higher is better."""
        ...


def find(objective: Climbed, *, start: tuple[Floats, float], seed: int) -> Found:
    """The best of rounds * cloud candidates; the same seed finds the same.

    start: weights and threshold to try first.
    """
    import optuna

    began = time.perf_counter()
    c, region, (low, high) = objective.config, objective.region, objective.thresholds
    space: dict[str, optuna.distributions.BaseDistribution] = {
        "threshold": optuna.distributions.FloatDistribution(low, high)
    }
    n = region.centre.size
    if region.radius > 0:
        box = optuna.distributions.FloatDistribution(-region.radius, region.radius)
        space |= {f"u{i}": box for i in range(n)}
    with quiet_optuna():
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
        )
        study.enqueue_trial(_params(*start, region, (low, high)))
        rng = np.random.default_rng(seed)
        best_w, best_tau, best_value = start[0], start[1], -math.inf
        trials = []
        seen: list[tuple[Floats, Floats, Floats]] = []
        for number in range(c.rounds):
            trial = study.ask(space)
            offset = np.array([trial.params.get(f"u{i}", 0.0) for i in range(n)])
            centre = project(region.centre + offset, region)[0], float(trial.params["threshold"])
            # Rounds alternate between Optuna's centre, seen widely, and the best so far, ever closer.
            refine = number % 2 == 1
            middle = (best_w, best_tau) if refine else centre
            scale = 0.5 * (0.5 ** (number / c.rounds * 4)) if refine else 0.25
            w, tau = _cloud(middle, scale, c.cloud, objective, rng)
            w[0], tau[0] = centre
            values = objective.values(w, tau)
            seen.append((w, tau, values))
            top = int(values.argmax())
            study.tell(trial, float(values[0]))
            if top:
                params = _params(w[top], float(tau[top]), region, (low, high))
                study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=float(values[top])))
            if values[top] > best_value:
                best_w, best_tau, best_value = w[top], float(tau[top]), float(values[top])
            trials.append(Trial(number, tuple(map(float, w[top])), float(tau[top]), float(values[top]), best_value))
    best_w, best_tau, best_value = _mean_of_best(objective, seen, (best_w, best_tau, best_value))
    seconds = objective.seconds + time.perf_counter() - began
    return Found(best_w, best_tau, best_value, tuple(trials), c.rounds * c.cloud, seconds)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna tells of errors only; afterwards as before."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _mean_of_best(
    objective: Climbed, seen: list[tuple[Floats, Floats, Floats]], best: tuple[Floats, float, float]
) -> tuple[Floats, float, float]:
    """The mean of the best candidates where it gains at least half of what the best one does, else the best one.

    The region is convex, so a mean of candidates is a candidate. It gains a little less where it was looked for, and
    more elsewhere.
    """
    w, tau, values = (np.concatenate([part[i] for part in seen]) for i in range(3))
    many = max(1, round(objective.config.average * len(values)))
    top = np.argsort(-values, kind="stable")[:many]
    mean, cut = project(w[top].mean(axis=0), objective.region), np.clip(tau[top].mean(), *objective.thresholds)
    value = float(objective.values(mean, np.array([cut]))[0])
    return (mean[0], float(cut), value) if value > max(0.5 * best[2], objective.config.smallest_gain) else best


def _cloud(
    middle: tuple[Floats, float], scale: float, size: int, objective: Climbed, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """`size` candidates around a point: normal steps of `scale` times the allowed radius and range."""
    region, (low, high) = objective.region, objective.thresholds
    w = project(middle[0] + rng.normal(0.0, 1.0, (size, region.centre.size)) * scale * region.radius, region)
    tau = np.clip(middle[1] + rng.normal(0.0, 1.0, size) * scale * (high - low), low, high)
    return w, tau


def _params(weights: Floats, threshold: float, region: Region, thresholds: tuple[float, float]) -> dict[str, float]:
    params = {"threshold": float(np.clip(threshold, *thresholds))}
    if region.radius > 0:
        u = np.clip(weights - region.centre, -region.radius, region.radius)
        params |= {f"u{i}": float(v) for i, v in enumerate(u)}
    return params
