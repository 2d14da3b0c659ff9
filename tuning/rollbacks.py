"""Going back to an older set, and the rest that follows: what was just taken back is not tried again at once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from search.models import ParameterSet, ParameterSetEvent
from search.parameter_sets import parameter_set_roll_back
from search.retrieval.parameters import Parameters
from search.selectors import live_parameter_set
from tuning.models import TuningRun

State = TuningRun.State
_EventKind = ParameterSetEvent.Kind


def roll_back(*, target: ParameterSet, actor: str, reason: str, leaving: ParameterSet | None = None) -> None:
    """Serve an older set again; the run whose set is left is marked, and so is the one that returns.

    The clusters whose parameters this changes rest for `TM_TUNING_COOLDOWN_WEEKS`, whoever rolled back. leaving:
    what must be live still; Conflict when something else is.
    """
    with transaction.atomic():
        left = live_parameter_set()
        parameter_set_roll_back(target=target, actor=actor, reason=reason, leaving=leaving)
        TuningRun.objects.filter(proposed=left, state=State.LIVE).update(state=State.ROLLED_BACK)
        TuningRun.objects.filter(proposed=target).update(state=State.LIVE)


def resting_clusters(*, clusters_version: str, count: int, now: datetime) -> dict[int | None, str]:
    """Which of `count` clusters, and whether the register's default (None), may not change now, each with the reason.

    clusters_version: of the clustering in use; sets made for another one count with their default only.
    """
    weeks = timedelta(weeks=settings.TM_TUNING_COOLDOWN_WEEKS)
    resting: dict[int | None, str] = {}
    for event, target in _rollbacks(since=now - weeks):
        left, back = (fitted(one.unpack(), clusters_version) for one in (event.parameter_set, target))
        until = event.at + weeks
        words = (
            f"It rests until {until:%d %B %Y}: {event.parameter_set} was rolled back to {target} on "
            f"{event.at:%d %B %Y}, and its parameters had changed between the two."
        )
        if left.default != back.default:
            resting[None] = words
        resting |= {n: words for n in range(count) if left.for_cluster(n) != back.for_cluster(n)}
    return resting


def fitted(parameters: Parameters, clusters_version: str) -> Parameters:
    """After a reclustering the old clusters' parameters mean nothing; the default goes on."""
    if parameters.clusters_version == clusters_version:
        return parameters
    return replace(parameters, clusters={}, clusters_version=clusters_version)


def _rollbacks(*, since: datetime) -> Iterator[tuple[ParameterSetEvent, ParameterSet]]:
    """(event of the set that was left, set that came back), oldest first. The two events are written together."""
    left = ParameterSetEvent.objects.filter(kind=_EventKind.ROLLED_BACK, at__gt=since).order_by("id")
    for event in left.select_related("parameter_set"):
        came = ParameterSetEvent.objects.filter(kind=_EventKind.LIVE, pk__gt=event.pk).order_by("id")
        back = came.select_related("parameter_set").first()
        if back is not None:
            yield event, back.parameter_set
