"""Our own arm: the very policy and guards that the services call, week by week, in memory. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from feedback.propensity import PropensityModel, estimate
from search.retrieval.audit import AuditConfig, is_plain, place_audits
from search.retrieval.parameters import Parameters
from tuning.feedback_objective import LoggedSearch
from tuning.follow_up import FollowUpConfig, follow_up
from tuning.gate import GateConfig
from tuning.objective import HeldOut
from tuning.optimiser import SearchConfig
from tuning.policy import EARLIER, PolicyConfig, plan_week
from tuning.proposal import WeekPlan
from tuning.simulation.baselines import Static, Step, by_parameters
from tuning.simulation.evidence import EvidenceLog
from tuning.simulation.office import Logged, Served
from tuning.simulation.world import WorldQuery

__all__ = ["GUARDS", "Adaptive", "Guards"]


@dataclass(frozen=True)
class Guards:
    """Which guards are on. Each can be switched off to see what it is worth."""

    shrinkage: bool = True
    audits: bool = True
    propensities: bool = True
    cap: bool = True
    gate: bool = True
    follow_up: bool = True

    def policy(self, config: PolicyConfig) -> PolicyConfig:
        """The policy with the guards that are off taken out."""
        if not self.shrinkage:
            config = replace(config, shrinkage=1e-6)
        if not self.cap:
            config = replace(config, evidence_cap=1.0, feedback=replace(config.feedback, examiner_cap=1.0))
        if not self.gate:
            config = replace(config, gate=GateConfig.open())
        return config


GUARDS: Mapping[str, Guards] = {
    name: replace(Guards(), **{name: False})
    for name in ("shrinkage", "audits", "propensities", "cap", "gate", "follow_up")
}
"""Guard -> all guards but this one."""
SIMULATED = PolicyConfig(search=SearchConfig(rounds=8, cloud=48), threshold_range=(0.2, 0.98))
"""The service's policy with a shorter search for candidates, so that a year takes minutes."""


@dataclass
class Adaptive(Static):
    """Searches served with the live parameters; once a week follow-up, evidence, decision, search, gate."""

    fit: HeldOut
    validate: HeldOut
    clusters: int
    seed: int = 0
    guards: Guards = field(default_factory=Guards)
    config: PolicyConfig = SIMULATED
    audit: AuditConfig = field(default_factory=AuditConfig)
    after: FollowUpConfig = field(default_factory=FollowUpConfig)
    cooldown_weeks: int = 2
    evidence: EvidenceLog = field(default_factory=EvidenceLog)
    plans: list[WeekPlan] = field(default_factory=list)
    propensity: PropensityModel = field(default_factory=PropensityModel.flat)
    _promoted: tuple[int, Parameters] | None = None  # the week, and what was live before
    _resting: dict[int | None, int] = field(default_factory=dict)  # until which week

    def serve(self, query: WorldQuery, seed: int) -> Served:
        served = by_parameters(query, self.parameters.for_cluster(query.cluster), self.parameters.names)
        if self.guards.audits:
            order, audit = place_audits(served.preselected, config=self.audit, seed=seed)
            served = Served(
                served.rows[order], served.scores[order], served.preselected[order], audit,
                plain=is_plain(seed, self.audit.plain_share),
            )  # fmt: skip
        return served

    def learn(self, week: int, log: Sequence[Logged]) -> Step:
        self.evidence.add(week, log)
        self._look_at_places()
        back = self._follow_up(week) if self.guards.follow_up and self._promoted is not None else None
        plan = plan_week(
            self.parameters,
            [self._read(one) for one in self.evidence.fresh(self.parameters)],
            self.fit,
            self.validate,
            config=self._policy,
            resting={c: "It rests after a rollback." for c, until in self._resting.items() if week <= until},
            earlier=[self._read(one) for one in self.evidence.used(self.parameters, EARLIER)],
            seed=self.run_seed(week),
            turn=sum(plan.judged for plan in self.plans),
        )
        self.evidence.use(week, plan)
        self.plans.append(plan)
        if not plan.changed:
            return back or Step("rejected" if plan.judged else "none", plan.reason)
        self._promoted = (week, self.parameters)
        self.parameters = plan.parameters
        return Step("promoted", plan.reason)

    def run_seed(self, week: int) -> int:
        """The seed of a week's run; the service takes the run's number."""
        return self.seed * 1000 + week

    def _follow_up(self, week: int) -> Step | None:
        """Roll back when the searches since the last promotion agree better with what was live before."""
        assert self._promoted is not None  # noqa: S101 - the caller checked
        at, before = self._promoted
        searches: list[LoggedSearch] = [self._read(one) for one in self.evidence.since(at + 1)]
        found = follow_up(searches, before, self.parameters, self.parameters.names, config=self.after)
        if found.state != "contradicted":
            return None
        self._promoted = None
        for cluster in (None, *range(self.clusters)):
            if before.for_cluster(cluster) != self.parameters.for_cluster(cluster):
                self._resting[cluster] = week + self.cooldown_weeks
        self.parameters = before
        return Step("rolled_back", found.reason)

    @cached_property
    def _policy(self) -> PolicyConfig:
        return self.guards.policy(self.config)

    def _look_at_places(self) -> None:
        """Estimate the propensities from all audits so far."""
        if not (self.guards.propensities and self.guards.audits):
            return
        log = self.evidence.since(0)
        positions = np.concatenate([np.flatnonzero(one.audit) for one in log])
        if not len(positions):
            return
        changed = np.concatenate([one.search.selected[one.audit] for one in log])
        shown = np.concatenate([one.search.seen[one.audit] for one in log])
        self.propensity = estimate(positions, changed, shown)

    def _read(self, one: Logged) -> LoggedSearch:
        """A logged search as the service reads it: whenever it was, by what is known of the places now."""
        if self.propensity.is_flat:
            return one.search
        return replace(one.search, propensity=self.propensity.at(np.arange(len(one.search.selected))))
