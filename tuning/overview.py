"""Reads for the tuning pages: evidence so far, the line over time, what each run did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone

from feedback.change_metrics import ChangeMetrics, aggregate
from feedback.models import Conclusion, Impression
from search.models import ParameterSet, ParameterSetEvent
from search.selectors import live_parameter_set
from tuning.charts import TimelineEvent, TimelinePoint
from tuning.evidence import fresh_conclusions
from tuning.models import ClusterDecision, TuningRun

_CHART_RUNS = 40


@dataclass(frozen=True)
class ClusterEvidence:
    """What has gathered for one cluster since its last decision."""

    cluster: int | None
    searches: int
    examiners: int
    added: int
    removed: int
    pc: float

    @property
    def share(self) -> float:
        """How much of what a decision needs is there, 0..1: of searches or of examiners, whichever lacks more."""
        wanted = settings.TM_TUNING_MIN_SEARCHES, settings.TM_TUNING_MIN_EXAMINERS
        return min(1.0, self.searches / wanted[0], self.examiners / wanted[1])

    @property
    def enough(self) -> bool:
        return self.searches >= settings.TM_TUNING_MIN_SEARCHES and self.examiners >= settings.TM_TUNING_MIN_EXAMINERS

    @property
    def words(self) -> str:
        if self.enough:
            return (
                f"enough: {self.searches} search{'' if self.searches == 1 else 'es'} "
                f"by {self.examiners} examiner{'' if self.examiners == 1 else 's'}"
            )
        return (
            f"not enough yet: {self.searches} of {settings.TM_TUNING_MIN_SEARCHES} searches, "
            f"{self.examiners} of {settings.TM_TUNING_MIN_EXAMINERS} examiners"
        )


def evidence_so_far(now: datetime | None = None) -> list[ClusterEvidence]:
    """What the next run would read, counted in the database per cluster."""
    live_set = live_parameter_set()
    if live_set is None:
        return []
    # A search shown plain is counted by what the cut would have pre-selected, as in the run itself.
    Outcome = Impression.Outcome
    seen, above = Q(impressions__seen=True), Q(impressions__above_cut=True)
    left_out = seen & above & Q(impressions__outcome=Outcome.UNTOUCHED)
    below = Q(impressions__above_cut=False) | Q(impressions__above_cut=None)
    rows = (
        Conclusion.objects.filter(pk__in=fresh_conclusions(live_set.unpack(), now or timezone.now()).values("pk"))
        .order_by()
        .values("pk", "at", "by_id", "search__cluster")
        .annotate(
            evaluated=Count("impressions", filter=seen),
            before=Count("impressions", filter=seen & (above | Q(impressions__preselected=True))),
            plus=Count("impressions", filter=below & Q(impressions__outcome=Outcome.ADDED)),
            minus=Count("impressions", filter=left_out | Q(impressions__outcome=Outcome.REMOVED)),
        )
    )
    gathered: dict[int | None, list[tuple[int, ChangeMetrics]]] = {}
    for row in rows:
        if row["evaluated"]:
            gathered.setdefault(row["search__cluster"], []).append((row["by_id"], _counted(row)))
    found = []
    for cluster, searches in gathered.items():
        total = aggregate([metrics for _, metrics in searches], [examiner for examiner, _ in searches])
        found.append(
            ClusterEvidence(cluster, total.searches, total.examiners, total.additions, total.removals, total.pc)
        )
    return sorted(found, key=lambda one: (-one.searches, one.cluster if one.cluster is not None else -1))


def evidence_of_cluster(cluster: int | None) -> ClusterEvidence | None:
    """The same for one cluster, 0 searches where nothing has gathered; None for the register, which reads them all."""
    if cluster is None:
        return None
    empty = ClusterEvidence(cluster, 0, 0, 0, 0, 0.0)
    return next((one for one in evidence_so_far() if one.cluster == cluster), empty)


def _counted(row: Mapping[str, Any]) -> ChangeMetrics:
    """PC of one search from its counts; DC and AC, which need every rank, are left to the run."""
    changed, before = row["plus"] + row["minus"], row["before"]
    pc = min(1.0, changed / before) if before else float(changed > 0)
    return ChangeMetrics(pc, 0.0, 0.0, 0.0, row["evaluated"], before, row["plus"], row["minus"])


def finished_runs() -> list[TuningRun]:
    """The latest finished real runs of parameters, oldest first; dry runs changed nothing and are no part of the line,
    nor are encoders: none serves before an administrator says so. A follow-up shows as the rollback that it is."""
    rows = (
        TuningRun.objects.filter(finished_at__isnull=False)
        .exclude(kind__in=(TuningRun.Kind.DRY_RUN, TuningRun.Kind.ENCODER, TuningRun.Kind.FOLLOW_UP))
        .order_by("-finished_at")
    )
    return list(rows.exclude(state=TuningRun.State.FAILED).prefetch_related("decisions")[:_CHART_RUNS])[::-1]


def timeline_points(runs: Sequence[TuningRun]) -> list[TimelinePoint]:
    points = []
    for run in runs:
        metrics = run.metrics or {}
        mean_ap = metrics.get("map100") or {}
        pc = metrics.get("pc")
        accuracy = metrics.get("accuracy")
        if pc is None:
            pc = _mean_pc(run.decisions.all())
        if accuracy is None and pc is not None:
            accuracy = 1 - pc
        points.append(
            TimelinePoint(
                label=f"run {run.pk}",
                link=reverse("tuning-run", args=[run.pk]),
                at=timezone.localtime(run.finished_at or run.created_at),
                pc=pc,
                accuracy=accuracy,
                map100=mean_ap.get("value"),
                low=mean_ap.get("low"),
                high=mean_ap.get("high"),
            )
        )
    return points


def timeline_events(runs: Sequence[TuningRun]) -> list[TimelineEvent]:
    """Every set that went live since the first run shown, at its run or between the runs around it."""
    if not runs:
        return []
    at_run = {run.proposed_id: index for index, run in enumerate(runs) if run.proposed_id}
    left_by_rollback = {
        (event.reason, event.actor): event
        for event in ParameterSetEvent.objects.filter(kind=ParameterSetEvent.Kind.ROLLED_BACK)
    }
    first = runs[0].created_at
    events = []
    for event in ParameterSetEvent.objects.filter(kind=ParameterSetEvent.Kind.LIVE, at__gte=first).order_by("id"):
        left = left_by_rollback.get((event.reason, event.actor))
        back = left is not None and left.pk == event.pk - 1
        before = sum((run.finished_at or run.created_at) <= event.at for run in runs)
        place = before - 0.5 if back or event.parameter_set_id not in at_run else float(at_run[event.parameter_set_id])
        verb = "rolled back to" if back else "went live:"
        when = timezone.localtime(event.at)
        text = f"{when:%d %b %Y %H:%M}: {verb} P{event.parameter_set_id}, by {event.actor}. {event.reason}"
        label = f"{'↩' if back else ''}P{event.parameter_set_id}"
        link = reverse("parameter-set", args=[event.parameter_set_id])
        events.append(TimelineEvent(place, label, text, back, link))
    return events


def live_history(most: int = 8) -> list[ParameterSetEvent]:
    """The latest sets that went live or came back, newest first."""
    events = ParameterSetEvent.objects.filter(kind=ParameterSetEvent.Kind.LIVE).select_related("parameter_set")
    return list(events.order_by("-id")[:most])


def rollback_targets(events: Sequence[ParameterSetEvent], live: ParameterSet | None) -> dict[int, ParameterSet]:
    """Sets among these events that can serve again: not live, and made for the descriptors of the live one."""
    if live is None:
        return {}
    fitting = live.unpack().descriptors_version
    return {
        event.parameter_set_id: event.parameter_set
        for event in events
        if event.parameter_set_id != live.pk and event.parameter_set.unpack().descriptors_version == fitting
    }


def waiting_proposals() -> list[TuningRun]:
    """Runs whose parameter set waits for an administrator's word, oldest first."""
    rows = TuningRun.objects.filter(state=TuningRun.State.PROPOSED, proposed__isnull=False)
    return list(rows.select_related("base", "proposed").order_by("pk"))


def _mean_pc(decisions: Any) -> float | None:
    rows: list[ClusterDecision] = [one for one in decisions if one.pc is not None and one.searches]
    total = sum(one.searches for one in rows)
    return sum(float(one.pc or 0) * one.searches for one in rows) / total if total else None


def can_roll_back(target: ParameterSet, live: ParameterSet | None) -> bool:
    """Whether the button makes sense; the service checks again."""
    was_live = target.events.filter(kind=ParameterSetEvent.Kind.LIVE).exists()
    return was_live and (live is None or live.pk != target.pk)
