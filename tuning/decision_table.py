"""What a week's evidence calls for: the decision table of science.md 1.8, and a small tree that equals it.

    fewer searches or examiners than asked for   -> NO_DATA
    PC < 0.08                                    -> NONE
    PC > 0.25                                    -> WEIGHTS(0.15)
    otherwise two levels 0, 1, 2
        of DC: < 0.15, up to 0.60, above         of AC: < 0.20, up to 0.70, above
        combined by max (or min, or DC alone)    -> THRESHOLD | WEIGHTS(0.03) | WEIGHTS(0.06)

Every point of the cube has exactly one action. The tree (scikit-learn, depth <= 5) exists to be drawn; it is
fitted to the table and checked against it, so the picture on the admin page cannot differ from what is done.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["UNDECIDED", "Action", "ActionKind", "Combiner", "TableConfig", "Test", "decide"]

Combiner = Literal["max", "min", "dc"]


class ActionKind(enum.StrEnum):
    """What is to be done for a cluster."""

    NO_DATA = "no_data"
    RESTING = "resting"
    NONE = "none"
    THRESHOLD = "threshold"
    WEIGHTS = "weights"


UNDECIDED = (ActionKind.NO_DATA.value, ActionKind.RESTING.value)
"""Actions for want of evidence or put off: nothing was decided, and no evidence is used up."""


@dataclass(frozen=True)
class TableConfig:
    """Borders of the table; the defaults are science.md 1.8. Raises ValueError when out of order."""

    combiner: Combiner = "max"
    pc_low: float = 0.08
    pc_high: float = 0.25
    dc_low: float = 0.15
    dc_high: float = 0.60
    ac_low: float = 0.20  # 0.21 is the seed's other reading
    ac_high: float = 0.70
    min_searches: int = 30
    min_examiners: int = 3
    radius_large: float = 0.15
    radius_small: float = 0.03
    radius_middle: float = 0.06

    def __post_init__(self) -> None:
        for low, high in (
            (self.pc_low, self.pc_high),
            (self.dc_low, self.dc_high),
            (self.ac_low, self.ac_high),
        ):
            if not 0.0 < low < high < 1.0 or high - low < 1e-3:
                raise ValueError(f"The borders {low} and {high} must rise and lie between 0 and 1.")
        if self.combiner not in ("max", "min", "dc"):
            raise ValueError(f"{self.combiner!r} is no way to combine DC and AC; use max, min or dc.")
        if self.min_searches < 0 or self.min_examiners < 0:
            raise ValueError("The smallest numbers of searches and examiners cannot be negative.")


@dataclass(frozen=True)
class Test:
    """One test on the way to the action, e.g. ("pc", "<", 0.08, False)."""

    __test__ = False  # not a pytest class

    feature: str
    operator: str
    border: float
    holds: bool

    def __str__(self) -> str:
        return f"{self.feature.upper()} {self.operator} {self.border:.0%}: {'yes' if self.holds else 'no'}"


@dataclass(frozen=True)
class Action:
    """The answer of the table.

    radius: largest change of one weight (0 unless WEIGHTS). reason: a sentence for the administrator.
    path: the tests in order. off_diagonal: DC and AC called for different steps and the combiner chose
    (science.md asks to log how often that happens).
    """

    kind: ActionKind
    radius: float
    reason: str
    path: tuple[Test, ...] = ()
    off_diagonal: bool = False

    @property
    def label(self) -> str:
        """Short name: "no data", "no change", "threshold", "weights 3 %"."""
        names = {
            ActionKind.NO_DATA: "no data",
            ActionKind.RESTING: "resting",
            ActionKind.NONE: "no change",
            ActionKind.THRESHOLD: "threshold",
        }
        return names.get(self.kind) or f"weights {self.radius:.0%}".replace("%", " %")


def decide(
    *,
    pc: float,
    dc: float,
    ac: float,
    searches: int,
    examiners: int,
    config: TableConfig | None = None,
) -> Action:
    """The one action for this evidence. pc, dc, ac are shares; raises ValueError outside [0, 1]."""
    c = config or TableConfig()
    for name, value in (("PC", pc), ("DC", dc), ("AC", ac)):
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise ValueError(f"{name} is {value}; it must lie between 0 and 1.")
    if searches < c.min_searches or examiners < c.min_examiners or searches <= 0:
        return Action(
            ActionKind.NO_DATA,
            0.0,
            f"Not enough evidence yet: {searches} of {c.min_searches} searches, "
            f"{examiners} of {c.min_examiners} examiners.",
        )
    return _decide_point(pc, dc, ac, c)


def _decide_point(pc: float, dc: float, ac: float, c: TableConfig) -> Action:
    path = [Test("pc", "<", c.pc_low, pc < c.pc_low)]
    share = f"Examiners changed {pc:.1%} of the pre-selection"
    if path[0].holds:
        reason = f"{share}, under {c.pc_low:.0%}: the parameters fit and stay."
        return Action(ActionKind.NONE, 0.0, reason, tuple(path))
    path.append(Test("pc", ">", c.pc_high, pc > c.pc_high))
    if path[1].holds:
        reason = f"{share}, over {c.pc_high:.0%}: the weights are looked for anew, each within {c.radius_large:.0%}."
        return Action(ActionKind.WEIGHTS, c.radius_large, reason, tuple(path))

    dc_level = _level("dc", dc, c.dc_low, c.dc_high, path)
    ac_level = dc_level
    if c.combiner != "dc":
        ac_level = _level("ac", ac, c.ac_low, c.ac_high, path)
    step = min(dc_level, ac_level) if c.combiner == "min" else max(dc_level, ac_level)
    off = dc_level != ac_level
    where = f"{share}, {dc:.0%} down the list on average and {ac:.0%} away in likeness"
    how = f" (distance and likeness disagree; the {'smaller' if c.combiner == 'min' else 'larger'} step counts)"
    if step == 0:
        kind, radius, rest = ActionKind.THRESHOLD, 0.0, "the ranking is right and only the cut moves"
    elif step == 1:
        kind, radius = ActionKind.WEIGHTS, c.radius_small
        rest = f"the weights are fine-tuned, each within {radius:.0%}"
    else:
        kind, radius = ActionKind.WEIGHTS, c.radius_middle
        rest = f"likely conflicts were ranked low, so the weights change, each within {radius:.0%}"
    return Action(kind, radius, f"{where}: {rest}{how if off else ''}.", tuple(path), off)


def _level(feature: str, value: float, low: float, high: float, path: list[Test]) -> int:
    path.append(Test(feature, "<", low, value < low))
    if value < low:
        return 0
    path.append(Test(feature, ">", high, value > high))
    return 2 if value > high else 1
