"""Which logged searches no decision has used yet: the rules of tuning/evidence.py, in memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from search.retrieval.parameters import Parameters
from tuning.decision_table import UNDECIDED
from tuning.proposal import WeekPlan
from tuning.simulation.office import Logged

__all__ = ["EvidenceLog"]


class EvidenceLog:
    """All searches in the order of their conclusion, and until which week each cluster's have been used."""

    def __init__(self) -> None:
        self._log: list[tuple[int, Logged]] = []
        self._used: dict[int | None, int] = {}

    def add(self, week: int, searches: Iterable[Logged]) -> None:
        """The searches concluded in a week."""
        self._log += [(week, one) for one in searches]

    def fresh(self, live: Parameters) -> list[Logged]:
        """What a run in this week reads."""
        return [one for week, one in self._log if self._is_fresh(week, one.search.cluster, live)]

    def used(self, live: Parameters, most: int) -> list[Logged]:
        """What earlier runs have decided by, the latest `most` of it."""
        past = [one for week, one in self._log if not self._is_fresh(week, one.search.cluster, live)]
        return past[-most:]

    def since(self, week: int) -> list[Logged]:
        """Everything concluded in this week or later."""
        return [one for at, one in self._log if at >= week]

    def use(self, week: int, plan: WeekPlan) -> None:
        """Note what a run decided. A decision for want of evidence uses nothing up, nor does looking at the default."""
        for proposal in plan.proposals:
            if proposal.action.kind in UNDECIDED:
                continue
            if proposal.cluster is None and not (proposal.state == "accepted" and plan.changed):
                continue
            self._used[proposal.cluster] = week

    def _is_fresh(self, week: int, cluster: int | None, live: Parameters) -> bool:
        if cluster is not None and week <= self._used.get(cluster, -1):
            return False
        return week > self._used.get(None, -1) or cluster in live.clusters
