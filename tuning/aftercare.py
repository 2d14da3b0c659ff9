"""After a set went live: do the examiners agree with it? When they contradict it, it is taken back by itself."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from feedback.models import Conclusion
from feedback.selectors import conclusions_between, propensity_at
from search.errors import Conflict
from search.models import LivePointer, ParameterSet, ParameterSetEvent
from search.selectors import live_pointer
from tuning.evidence import as_logged
from tuning.follow_up import FollowUp, FollowUpConfig, follow_up
from tuning.models import TuningRun
from tuning.rollbacks import fitted, roll_back

ACTOR = "follow-up"


def follow_up_live(*, now: datetime | None = None) -> FollowUp | None:
    """Judge the live set by the searches it has served since it was promoted; roll back to its parent if contradicted.

    None when there is nothing to judge: only sets that the tuning made are taken back by themselves, and only once
    (what came back by a rollback stays until a run or an administrator changes it). The rollback is a run of kind
    FOLLOW_UP in the history, written in the transaction that moves the live pointer.
    """
    pointer = live_pointer()
    if pointer is None or not _made_by_tuning(pointer.parameter_set):
        return None
    live, parent = pointer.parameter_set, pointer.parameter_set.parent
    if parent is None:
        return None
    after, before = live.unpack(), fitted(parent.unpack(), live.unpack().clusters_version)
    if (before.descriptors_version, before.calibration_version) != (
        after.descriptors_version,
        after.calibration_version,
    ):
        return None
    moment = now or timezone.now()
    searches = as_logged(_served(pointer, moment), propensity_at(moment), names=after.names)
    verdict = follow_up(searches, before, after, after.names, config=FollowUpConfig())
    if verdict.state == "contradicted":
        _take_back(live, parent, verdict, moment)
    return verdict


def _made_by_tuning(live: ParameterSet) -> bool:
    """Promoted by the tuning, and not brought back by a rollback."""
    times_live = live.events.filter(kind=ParameterSetEvent.Kind.LIVE).count()
    return times_live == 1 and TuningRun.objects.filter(proposed=live, state=TuningRun.State.LIVE).exists()


def _served(pointer: LivePointer, until: datetime) -> QuerySet[Conclusion]:
    """The searches that this set has answered since it went live, each with its latest conclusion."""
    live = pointer.parameter_set
    return conclusions_between(pointer.since, until).filter(
        search__parameter_set=live,
        search__clusters_version=live.unpack().clusters_version,
        search__candidate_set=None,
    )


def _take_back(live: ParameterSet, parent: ParameterSet, verdict: FollowUp, moment: datetime) -> None:
    clusters = ", ".join("no cluster" if n is None else f"cluster {n}" for n in verdict.clusters)
    reason = (
        f"After {live} went live, {verdict.searches} searches by {verdict.examiners} examiners agreed better with "
        f"{parent}: its loss on them is {-100 * verdict.difference:.1f} points lower (95 % interval "
        f"{-100 * verdict.high:.1f} to {-100 * verdict.low:.1f}; {clusters}). {parent} serves again."
    )
    try:
        with transaction.atomic():
            roll_back(target=parent, actor=ACTOR, reason=reason, leaving=live)
            TuningRun.objects.create(
                kind=TuningRun.Kind.FOLLOW_UP, state=TuningRun.State.LIVE, requested_by=ACTOR, base=live,
                proposed=parent, reason=reason, searches=verdict.searches, evidence_until=moment,
                finished_at=timezone.now(), progress=1.0,
            )  # fmt: skip
    except Conflict:
        return  # somebody moved the pointer in the meantime: what was contradicted is gone already
