"""Many simulated years: which arms meet which starts and examiners, and what they come to together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuning.simulate import STARTS, Scenario, Year, simulate
from tuning.simulation.adaptive import GUARDS
from tuning.simulation.examiners import MIXED, PROFILES
from tuning.simulation.referee import Ceiling
from tuning.simulation.world import World

__all__ = ["ARM_WORDS", "BASELINES", "FIGURES", "Task", "campaign", "ceiling_of", "curves", "run_task", "summarise"]

ARM_WORDS = {
    "ours": "this service",
    "static": "never changes",
    "paper-tree": "the paper's tree, random steps",
    "grid": "grid over global weights (OpenSearch's way)",
    "learned": "logistic regression on logged similarities (Metarank's way)",
    "elsewhere": "the best set on all groups but test: what can be learned elsewhere",
    "oracle": "oracle: the best set on the test groups",
}
"""Arm -> what it is, in the order of the tables."""
BASELINES = ("static", "paper-tree", "grid", "learned", "elsewhere", "oracle")
FIGURES = (
    "map_left_points", "f1_left_points", "map_gap_points", "f1_gap_points",
    "worst_drop_points", "worst_safety_drop_points", "weeks_to_80", "pc_first", "pc_last",
    "promotions", "rejections", "rollbacks",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One year to simulate. label: the start under which it is reported; guards are tried under hostile examiners."""

    arm: str
    scenario: Scenario
    label: str


def campaign(
    seeds: Sequence[int],
    *,
    side_seeds: int | None = None,
    side_weeks: int | None = None,
    weeks: int = 12,
    searches: int = 200,
) -> list[Task]:
    """Every arm from every start with the mixed profile; ours with every other profile; each guard left out where an
    examiner in ten is hostile. side_seeds, side_weeks: of the other profiles and the guards, None = as the rest."""

    def task(arm: str, start: str, profile: str, seed: int) -> Task:
        if profile == MIXED:
            return Task(arm, Scenario(start, profile, weeks, searches, seed), start)
        side = Scenario(start, profile, side_weeks or weeks, searches, seed)
        return Task(arm, side, f"{start}, {profile} examiners")

    found = [task(arm, start, MIXED, seed) for seed in seeds for start in STARTS for arm in ("ours", *BASELINES)]
    others = [profile for profile in PROFILES if profile != MIXED]
    some = seeds[:side_seeds]
    found += [task("ours", "equal", profile, seed) for seed in some for profile in others]
    found += [task(f"ours-without-{guard}", "equal", "adversarial", seed) for seed in some for guard in GUARDS]
    return found


def ceiling_of(world: World, seed: int) -> Ceiling:
    """The best there is on the test groups of a seed."""
    return Ceiling.of(world.dealt(seed), seed=seed)


def run_task(world: World, task: Task, ceiling: Ceiling) -> Year:
    """Simulate one year."""
    return simulate(world, task.arm, task.scenario, ceiling=ceiling)


def summarise(done: Sequence[tuple[Task, Year]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm -> start -> figure -> {"mean", "low", "high"} with the 95 % interval over seeds (bootstrap).

    gap_closed_* is the points gained over the points of the gap, both summed over seeds: a seed whose gap is next to
    nothing would make the mean of shares mean nothing. weeks_to_80 is the mean of the seeds that got there; "reached"
    says how many of "seeds" did.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for arm in dict.fromkeys(task.arm for task, _ in done):
        for label in dict.fromkeys(task.label for task, _ in done if task.arm == arm):
            rows = [year.summary() for task, year in done if (task.arm, task.label) == (arm, label)]
            reached = [row["weeks_to_80"] for row in rows if row["weeks_to_80"] is not None]
            figures = {name: _interval([row[name] for row in rows if row[name] is not None]) for name in FIGURES}
            for measure in ("map", "f1"):
                gaps = [row[f"{measure}_gap_points"] for row in rows]
                gained = [gap - row[f"{measure}_left_points"] for gap, row in zip(gaps, rows, strict=True)]
                figures[f"gap_closed_{measure}"] = _interval(gained, gaps)
            found.setdefault(arm, {})[label] = {**figures, "seeds": len(rows), "reached": len(reached)}
            worst = max(row["worst_drop_points"] for row in rows)
            found[arm][label]["worst_drop_of_any_seed"] = worst
    return found


def curves(done: Sequence[tuple[Task, Year]]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Start -> arm -> mean by week of "map100", "f1", "pc" (percent), and under "ceiling" the two ceilings."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for label in dict.fromkeys(task.label for task, _ in done):
        here = [(task, year) for task, year in done if task.label == label]
        arms: dict[str, dict[str, list[float]]] = {}
        for arm in dict.fromkeys(task.arm for task, _ in here):
            years = [year for task, year in here if task.arm == arm]
            arms[arm] = {
                "map100": _mean([[w.figures.map100 for w in year.weeks] for year in years]),
                "f1": _mean([[w.figures.f1 for w in year.weeks] for year in years]),
                "pc": _mean([[w.pc for w in year.weeks] for year in years]),
            }
        best = [year.ceiling for _, year in here]
        arms["ceiling"] = {"map100": _mean([[c.map100] for c in best]), "f1": _mean([[c.f1] for c in best])}
        found[label] = arms
    return found


def _mean(rows: Sequence[Sequence[float]]) -> list[float]:
    return [round(100 * float(v), 3) for v in np.mean(np.array(rows), axis=0)]


def _interval(values: Sequence[float], out_of: Sequence[float] | None = None) -> Mapping[str, float] | None:
    """Mean and interval over seeds; with `out_of` the sum of the values over its sum. None without values, or where
    `out_of` is nothing worth the name (a tenth of a point on average)."""
    if not values or (out_of is not None and np.mean(out_of) <= 0.1):
        return None
    v, whole = np.array(values, dtype=np.float64), np.array(out_of if out_of is not None else np.ones(len(values)))
    drawn = np.random.default_rng(0).integers(len(v), size=(2000, len(v)))
    low, high = np.percentile(v[drawn].sum(axis=1) / whole[drawn].sum(axis=1), [2.5, 97.5])
    return {"mean": round(float(v.sum() / whole.sum()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
