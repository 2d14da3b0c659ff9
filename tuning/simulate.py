"""Simulated years: examiners over real families, week by week, through the policy that the services call. Pure.

    world (real similarities) -> searches of a week -> what examiners change -> an arm learns -> the referee measures

The referee alone reads the test groups. The same seed gives the same year, and all arms of a seed meet the same
searches by the same examiners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from feedback.change_metrics import aggregate
from search.retrieval.parameters import ClusterParameters, Parameters
from tuning.objective import HeldOut
from tuning.simulation.adaptive import GUARDS, Adaptive
from tuning.simulation.baselines import Arm, Grid, Learned, PaperTree, Static
from tuning.simulation.examiners import MIXED, staff
from tuning.simulation.office import serve_week
from tuning.simulation.referee import Ceiling, Figures, Referee
from tuning.simulation.traffic import week_of
from tuning.simulation.world import World

__all__ = ["ARMS", "STARTS", "Scenario", "Week", "Year", "simulate", "start_of"]

STARTS = ("equal", "worst-weights", "threshold-high", "threshold-low", "drift")
"""The paper's equal weights; all weight on the worst descriptor; cut too high; too low; new marks in mid-year."""
ARMS = (
    "static", "paper-tree", "ours", "grid", "learned", "elsewhere", "oracle",
    *(f"ours-without-{guard}" for guard in GUARDS),
)  # fmt: skip
_DRIFT_WEEK = 6
_FIT_QUERIES, _GATE_QUERIES = 2, 4  # of each group: a year should take minutes
_HIGH, _LOW, _EXTENSION = 0.9, 0.25, 0.15


@dataclass(frozen=True)
class Scenario:
    """start: one of STARTS. searches: a week, by the ten examiners of the profile."""

    start: str = "equal"
    profile: str = MIXED
    weeks: int = 12
    searches: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise ValueError(f"There is no start {self.start}; known are {', '.join(STARTS)}.")
        if self.weeks < 1 or self.searches < 1:
            raise ValueError("A simulation needs at least one week and one search a week.")
        staff(self.profile)

    @property
    def late(self) -> int:
        """Weeks before the new marks come; 0 where all are there from the first."""
        return _DRIFT_WEEK if self.start == "drift" else 0

    @property
    def length(self) -> int:
        """Weeks in all: a drift is waited for first."""
        return self.weeks + self.late


@dataclass(frozen=True)
class Week:
    """number: from 1. pc: of the searches of this week. figures: of what is live after it; begun: of the start."""

    number: int
    searches: int
    pc: float
    step: str
    reason: str
    figures: Figures
    begun: Figures

    @property
    def drop_points(self) -> float:
        """By how much the live set's test mAP@100 lies under the start's, in points; 0 when it does not."""
        return max(0.0, 100 * (self.begun.map100 - self.figures.map100))


@dataclass(frozen=True)
class Year:
    """One arm over one scenario. ceiling: the best there could be on the test groups."""

    arm: str
    scenario: Scenario
    ceiling: Ceiling
    weeks: tuple[Week, ...]
    parameters: Parameters | None = field(default=None, compare=False)

    def summary(self) -> dict[str, Any]:
        """gap_closed_*: share of the way from the start to the ceiling; *_gap, *_left: in points, before and after."""
        last = self.weeks[-1]
        best_map, best_f1 = self.ceiling.map100, self.ceiling.f1
        gap_map, gap_f1 = best_map - last.begun.map100, best_f1 - last.begun.f1
        count = {kind: sum(w.step == kind for w in self.weeks) for kind in ("promoted", "rejected", "rolled_back")}
        return {
            "gap_closed_map": _closed(last.begun.map100, last.figures.map100, best_map),
            "gap_closed_f1": _closed(last.begun.f1, last.figures.f1, best_f1),
            "map_gap_points": 100 * gap_map,
            "f1_gap_points": 100 * gap_f1,
            "map_left_points": 100 * (best_map - last.figures.map100),
            "f1_left_points": 100 * (best_f1 - last.figures.f1),
            "worst_drop_points": max(w.drop_points for w in self.weeks),
            "worst_safety_drop_points": max(0.0, *(100 * (w.begun.safety - w.figures.safety) for w in self.weeks)),
            "weeks_to_80": self._weeks_to(0.8),
            "pc_first": self.weeks[0].pc,
            "pc_last": float(np.mean([w.pc for w in self.weeks[-3:]])),
            "promotions": count["promoted"],
            "rejections": count["rejected"],
            "rollbacks": count["rolled_back"],
        }

    def _weeks_to(self, share: float) -> int | None:
        """The first week after which both gaps are closed, counted from the drift where there is one."""
        late, best = self.scenario.late, self.ceiling
        for week in self.weeks[late:]:
            pairs = ((week.begun.map100, week.figures.map100, best.map100), (week.begun.f1, week.figures.f1, best.f1))
            if all(_reached(*pair, share) for pair in pairs):
                return week.number - late
        return None

    def to_json(self) -> dict[str, Any]:
        """Every week's figures, and the summary."""
        return {
            "arm": self.arm,
            "scenario": asdict(self.scenario),
            "ceiling": asdict(self.ceiling),
            "summary": self.summary(),
            "weeks": [asdict(w) for w in self.weeks],
        }


def simulate(
    world: World,
    arm: str,
    scenario: Scenario,
    *,
    ceiling: Ceiling | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Year:
    """One arm through one scenario.

    The groups are dealt anew for every seed. ceiling: of this world and seed, where it is known already.
    Raises ValueError with a sentence for an unknown arm or start, or when the world is too small for its splits.
    """
    whole = world.dealt(scenario.seed)
    phases = [(whole, range(scenario.late, scenario.length))]
    if scenario.late:
        phases.insert(0, (whole.early(), range(scenario.late)))
    start = start_of(whole, scenario.start)
    players = staff(scenario.profile)
    ceiling = ceiling or Ceiling.of(whole, seed=scenario.seed)
    playing = _arm(arm, whole, start, scenario, ceiling)
    weeks: list[Week] = []
    for now, numbers in phases:
        referee, queries = Referee(now.of("test"), world.names), now.of("traffic")
        begun = referee.parameters(start)
        if isinstance(playing, Adaptive):
            playing.fit, playing.validate = _held_out(now)
        for number in numbers:
            asked = week_of(queries, len(players), searches=scenario.searches, seed=scenario.seed, week=number)
            log = serve_week(playing, queries, players, asked)
            step = playing.learn(number, log)
            evidence = aggregate([one.search.metrics() for one in log], [one.search.examiner for one in log])
            figures = playing.figures(referee)
            weeks.append(Week(number + 1, len(log), evidence.pc, step.kind, step.reason, figures, begun))
            progress(number + 1, scenario.length)
    return Year(arm, scenario, ceiling, tuple(weeks), getattr(playing, "parameters", None))


def start_of(world: World, start: str) -> Parameters:
    """The parameters a scenario starts with. The worst descriptor is the worst on the fit groups."""
    n = len(world.names)
    weights = dict.fromkeys(world.names, 1 / n)
    threshold = {"threshold-high": _HIGH, "threshold-low": _LOW}.get(start, 0.5)
    if start == "worst-weights":
        fit = Referee(world.of("fit"), world.names)
        alone = [fit.weights(np.eye(n)[axis], np.array(threshold)).map100 for axis in range(n)]
        worst = world.names[int(np.argmin(alone))]
        weights = {name: float(name == worst) for name in world.names}
    return Parameters(ClusterParameters(weights, threshold, _EXTENSION), clusters_version="simulated")


def _arm(name: str, world: World, start: Parameters, scenario: Scenario, ceiling: Ceiling) -> Arm:
    def fixed(weights: Sequence[float], threshold: float) -> Static:
        named = dict(zip(world.names, weights, strict=True))
        return Static(replace(start, default=ClusterParameters(named, threshold, start.default.extension)))

    made: Mapping[str, Callable[[], Arm]] = {
        "static": lambda: Static(start),
        "paper-tree": lambda: PaperTree(start, seed=scenario.seed),
        "grid": lambda: Grid(start),
        "learned": lambda: Learned(start),
        "elsewhere": lambda: fixed(ceiling.elsewhere_weights, ceiling.elsewhere_threshold),
        "oracle": lambda: fixed(ceiling.weights, ceiling.threshold),
        "ours": lambda: _ours(world, start, scenario),
    }
    if name in made:
        return made[name]()
    guard = name.removeprefix("ours-without-")
    if guard not in GUARDS:
        raise ValueError(f"There is no arm {name}; known are {', '.join(ARMS)}.")
    return replace(_ours(world, start, scenario), guards=GUARDS[guard])


def _ours(world: World, start: Parameters, scenario: Scenario) -> Adaptive:
    fit, validate = _held_out(world)
    return Adaptive(start, fit=fit, validate=validate, clusters=world.clusters, seed=scenario.seed)


def _held_out(world: World) -> tuple[HeldOut, HeldOut]:
    """What the tuning may look at: fit, validate."""
    return world.thinned(_FIT_QUERIES).held_out("fit"), world.thinned(_GATE_QUERIES).held_out("validate")


def _reached(start: float, end: float, best: float, share: float) -> bool:
    """Whether a gap is closed by `share`, or a gap of under two points to within half a point."""
    return best - end <= 0.005 if best - start < 0.02 else end - start >= share * (best - start)


def _closed(start: float, end: float, best: float) -> float | None:
    """Share of the gap that is closed; None where there is none worth the name (a tenth of a point)."""
    return (end - start) / (best - start) if best - start > 0.001 else None
