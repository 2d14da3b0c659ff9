"""The administrator's pages: what is live, why, what it did, and how to take it back."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from feedback.judgements import examiners_agree
from search.errors import Refused
from search.models import LivePointer, ParameterSet
from search.roles import is_administrator
from search.selectors import live_parameter_set
from tuning import decision_view, overview, schedule
from tuning.charts import timeline
from tuning.exemplars import clustering_now, exemplars_of
from tuning.models import TuningRun
from tuning.rollbacks import since_live

RUNS_PER_PAGE = 15
EXEMPLARS = 5
AGREEMENT_WINDOW = timedelta(days=365)
BUSY = (TuningRun.State.QUEUED, TuningRun.State.RUNNING)


def administrators(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_administrator(request.user):
            raise PermissionDenied("Tuning is for administrators. Your searches and reports are not affected.")
        return view(request, *args, **kwargs)

    return guarded


def reason_given(request: HttpRequest) -> str:
    """Why, in the administrator's words; a NUL is nothing that every database can hold."""
    return request.POST.get("reason", "").replace("\0", "").strip()


@require_safe
@administrators
def index(request: HttpRequest) -> HttpResponse:
    runs = overview.finished_runs()
    points = overview.timeline_points(runs)
    events = overview.timeline_events(runs)
    live = live_parameter_set()
    failed = schedule.failed_run()
    went_live = overview.live_history()
    page = Paginator(TuningRun.objects.select_related("proposed"), RUNS_PER_PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "live": live,
        "live_since": LivePointer.objects.values_list("since", flat=True).first(),
        "parameters": decision_view.parameter_rows(live) if live else None,
        "next_run": schedule.next_scheduled(),
        "schedule_words": schedule.in_words(),
        "failed_last": failed,
        "failed_follows": schedule.what_follows(failed) if failed else "",
        "live_parent": live.parent if live else None,
        "waiting": overview.waiting_proposals(),
        **_evidence(),
        "min_searches": settings.TM_TUNING_MIN_SEARCHES,
        "min_examiners": settings.TM_TUNING_MIN_EXAMINERS,
        "timeline": timeline(points, events),
        "points": list(reversed(points)),
        "live_events": went_live,
        "targets": overview.rollback_targets(went_live, live),
        "page": page,
        "run_rows": _run_rows(list(page)),
        "busy": TuningRun.objects.filter(state__in=BUSY).first(),
        "tree": decision_view.plain_tree(),
    }
    return render(request, "tuning/index.html", context)


def _run_rows(runs: list[TuningRun]) -> list[dict[str, Any]]:
    """Runs with what became of their sets: the newest word, where they went live and do not serve any more."""
    since = since_live(runs)
    return [{"run": run, "since": next(iter(since[run.pk]), None)} for run in runs]


def _evidence() -> dict[str, Any]:
    """What has gathered per cluster with the marks that stand for it, and the clusters where nothing has."""
    clustering = clustering_now()
    rows = overview.evidence_so_far()
    gathered = {row.cluster for row in rows}
    count = len(clustering.shares) if clustering else 0
    quiet = [number for number in range(count) if number not in gathered]
    exemplars = exemplars_of(range(count), most=EXEMPLARS)
    now = timezone.now()
    return {
        "evidence": [
            {"row": row, "marks": exemplars.get(row.cluster, []) if row.cluster is not None else []} for row in rows
        ],
        "quiet": [{"cluster": number, "mark": next(iter(exemplars.get(number, [])), None)} for number in quiet],
        "agreement": examiners_agree(since=now - AGREEMENT_WINDOW, until=now),
        "agreement_days": AGREEMENT_WINDOW.days,
    }


@require_POST
@administrators
def run_start(request: HttpRequest) -> HttpResponse:
    from tuning.services import run_request

    kind = TuningRun.Kind.DRY_RUN if request.POST.get("kind") == "dry_run" else TuningRun.Kind.MANUAL
    run = run_request(kind=kind, requested_by=request.user.get_username())
    return redirect("tuning-run", run_id=run.pk)


@require_safe
@administrators
def run_detail(request: HttpRequest, run_id: int) -> HttpResponse:
    run = get_object_or_404(TuningRun.objects.select_related("base", "proposed"), pk=run_id)
    decisions = list(run.decisions.all())
    since = since_live([run])[run.pk]
    context = {
        "run": run,
        "busy": run.state in BUSY,
        "waits": run.state == TuningRun.State.PROPOSED and run.proposed_id is not None,
        "what_follows": schedule.what_follows(run),
        "since": since,
        "decisions": [decision_view.DecisionRow(decision) for decision in decisions],
        "tree": decision_view.tree_of(decisions),
        "gate": decision_view.gate_rows(run.gate or {}),
        "metrics": decision_view.metric_rows(run.metrics or {}),
        "worst": decision_view.worst_queries(run.gate or {}),
    }
    return render(request, "tuning/run.html", context)


@require_safe
@never_cache
@administrators
def run_state(request: HttpRequest, run_id: int) -> JsonResponse:
    """For the progress bar of the page of a run."""
    run = get_object_or_404(TuningRun, pk=run_id)
    waited = (timezone.now() - run.created_at).total_seconds()
    message = run.reason or "Waiting for the tuning worker."
    if run.state == TuningRun.State.QUEUED and waited > 10:
        message = "The tuning worker does not answer just now. The run is kept and starts as soon as it is back."
    return JsonResponse(
        {"state": run.state, "label": run.get_state_display(), "progress": run.progress, "message": message}
    )


@require_safe
@administrators
def parameter_set(request: HttpRequest, set_id: int) -> HttpResponse:
    found = get_object_or_404(ParameterSet.objects.select_related("parent"), pk=set_id)
    live = live_parameter_set()
    context = {
        "set": found,
        "live": live,
        "is_live": live is not None and live.pk == found.pk,
        "parameters": decision_view.parameter_rows(found),
        "events": found.events.all(),
        "children": found.children.order_by("id"),
        "runs": found.runs_to.order_by("-id"),
        "can_roll_back": overview.can_roll_back(found, live),
    }
    return render(request, "tuning/parameter_set.html", context)


@require_POST
@administrators
def roll_back(request: HttpRequest, set_id: int) -> HttpResponse:
    from tuning import services

    target = get_object_or_404(ParameterSet, pk=set_id)
    reason = reason_given(request)
    back_to = ("tuning",) if request.POST.get("from") == "overview" else ("parameter-set", set_id)
    if request.POST.get("sure") != "yes":
        messages.error(
            request,
            f"Nothing was changed: tick the box to confirm that P{target.pk} shall serve all new searches.",
        )
        return redirect(*back_to)
    try:
        services.roll_back(target=target, actor=request.user.get_username(), reason=reason)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"P{target.pk} is live again. Every new search uses it.")
    return redirect(*back_to)
