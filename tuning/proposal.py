"""What a week of tuning comes to, as plain data: a proposal per cluster, and the plan they form together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from feedback.change_metrics import ChangeEvidence
from search.retrieval.parameters import ClusterParameters, Parameters
from tuning.decision_table import Action
from tuning.gate import Verdict
from tuning.optimiser import Trial

__all__ = ["JUDGED", "Proposal", "State", "WeekPlan"]

State = Literal["no_data", "resting", "none", "rejected", "accepted"]
JUDGED: tuple[State, ...] = ("rejected", "accepted")
"""States of proposals that came before the gate."""


@dataclass(frozen=True)
class Proposal:
    """One cluster (None: the register's default): evidence, decision, what was found, what the gate said.

    after equals before unless something better was found; best is that before shrinkage. replayed: PC, DC,
    AC had before / after served the same searches. seconds is left out of comparisons.
    """

    cluster: int | None
    evidence: ChangeEvidence
    action: Action
    before: ClusterParameters
    after: ClusterParameters
    state: State
    reason: str
    best: ClusterParameters | None = None
    trials: tuple[Trial, ...] = ()
    verdict: Verdict | None = None
    replayed: tuple[ChangeEvidence, ChangeEvidence] | None = None
    candidates: int = 0
    seconds: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data for storing and for the page; trials as [number, weights, threshold, value, best]."""
        return {
            "cluster": self.cluster,
            "state": self.state,
            "reason": self.reason,
            "evidence": asdict(self.evidence),
            "action": {
                "kind": self.action.kind.value,
                "label": self.action.label,
                "radius": self.action.radius,
                "reason": self.action.reason,
                "path": [str(test) for test in self.action.path],
                "off_diagonal": self.action.off_diagonal,
            },
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "best": self.best.to_json() if self.best else None,
            "replayed": [asdict(e) for e in self.replayed] if self.replayed else None,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "trials": [[t.number, list(t.weights), t.threshold, t.value, t.best] for t in self.trials],
            "candidates": self.candidates,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class WeekPlan:
    """All proposals, and the parameters they come to; changed is False when those are the live ones."""

    parameters: Parameters
    proposals: tuple[Proposal, ...]
    verdict: Verdict | None
    changed: bool
    reason: str
    candidates: int = 0
    seconds: float = field(default=0.0, compare=False)

    @property
    def judged(self) -> bool:
        """Whether anything was found that the gate had to judge."""
        return any(p.state in JUDGED for p in self.proposals)

    @property
    def candidates_per_second(self) -> float:
        """Weight candidates evaluated per second of searching; 0 when none were."""
        return self.candidates / self.seconds if self.candidates and self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data for storing and for `tune --json`."""
        return {
            "changed": self.changed,
            "reason": self.reason,
            "parameters": self.parameters.to_json(),
            "proposals": [p.to_json() for p in self.proposals],
            "verdict": self.verdict.to_json() if self.verdict else None,
            "candidates": self.candidates,
            "candidates_per_second": self.candidates_per_second,
        }
