"""Going back to an older set, what became of the sets of runs, and the rest that follows a rollback: what was just
taken back is not tried again at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from search.models import ParameterSet, ParameterSetEvent
from search.parameter_sets import parameter_set_roll_back
from search.retrieval.parameters import Parameters
from tuning.models import TuningRun

State = TuningRun.State
_EventKind = ParameterSetEvent.Kind


def roll_back(*, target: ParameterSet, actor: str, reason: str, leaving: ParameterSet | None = None) -> None:
    """Serve an older set again; the run whose set is left is marked, and so is the one that returns.

    The clusters whose parameters this changes rest for `TM_TUNING_COOLDOWN_WEEKS`, whoever rolled back. leaving:
    what must be live still; Conflict when something else is.
    """
    with transaction.atomic():
        parameter_set_roll_back(target=target, actor=actor, reason=reason, leaving=leaving)
        TuningRun.objects.filter(proposed=target).update(state=State.LIVE)


_LEFT: dict[str, State] = {_EventKind.RETIRED: State.RETIRED, _EventKind.ROLLED_BACK: State.ROLLED_BACK}


@receiver(post_save, sender=ParameterSetEvent)
def _left(instance: ParameterSetEvent, created: bool, **_: Any) -> None:
    """A run says "live" only as long as its set is, whoever moved the pointer: a run, a person or a command."""
    if created and instance.kind in _LEFT:
        runs = TuningRun.objects.filter(proposed=instance.parameter_set_id, state=State.LIVE)
        runs.update(state=_LEFT[instance.kind])


@dataclass(frozen=True)
class Since:
    """What happened to the set of a run after it had gone live."""

    event: ParameterSetEvent
    words: str
    other: int | None
    """The set that came in its place."""


def since_live(runs: Sequence[TuningRun]) -> dict[int, list[Since]]:
    """Run -> what happened since its set went live, newest first; two queries for any number of runs."""
    sets = {run.proposed_id for run in runs if run.proposed_id}
    events = list(ParameterSetEvent.objects.filter(parameter_set__in=sets).order_by("id"))
    came = list(
        ParameterSetEvent.objects.filter(kind=_EventKind.LIVE).order_by("id").values_list("id", "parameter_set_id")
    )
    found: dict[int, list[Since]] = {}
    for run in runs:
        own = [event for event in events if event.parameter_set_id == run.proposed_id]
        # A follow-up's set had been live before: what counts begins with its own return.
        mine = (one for one in own if one.kind == _EventKind.LIVE)
        first = next((e for e in mine if run.kind != TuningRun.Kind.FOLLOW_UP or e.reason == run.reason), None)
        later = [event for event in own if first is not None and event.pk > first.pk]
        found[run.pk] = [_since(event, came) for event in reversed(later)]
    return found


def _since(event: ParameterSetEvent, came: Sequence[tuple[int, int]]) -> Since:
    if event.kind == _EventKind.LIVE:
        return Since(event, "Brought back", None)
    other = next((made for pk, made in came if pk > event.pk), None)
    words = "Rolled back" if event.kind == _EventKind.ROLLED_BACK else "Replaced"
    return Since(event, f"{words}{'' if other is None else ' to' if words == 'Rolled back' else ' by'}", other)


def resting_clusters(*, clusters_version: str, count: int, now: datetime) -> dict[int | None, str]:
    """Which of `count` clusters, and whether the register's default (None), may not change now, each with the reason.

    clusters_version: of the clustering in use; sets made for another one count with their default only.
    """
    weeks = timedelta(weeks=settings.TM_TUNING_COOLDOWN_WEEKS)
    resting: dict[int | None, str] = {}
    for event, target in _rollbacks(since=now - weeks):
        left, back = (fitted(one.unpack(), clusters_version) for one in (event.parameter_set, target))
        until = timezone.localtime(event.at + weeks)
        words = (
            f"It rests until {until:%d %B %Y}: {event.parameter_set} was rolled back to {target} on "
            f"{timezone.localtime(event.at):%d %B %Y}, and its parameters had changed between the two."
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
