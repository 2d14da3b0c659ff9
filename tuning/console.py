"""More pages for the administrator: one cluster, two sets side by side, the word on a proposal."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from search import media
from search.errors import NotThere, Refused
from tuning.cluster_view import cluster_context
from tuning.compare_view import compare_context
from tuning.held_out_pictures import held_out_thumbnail
from tuning.models import TuningRun
from tuning.views import administrators, reason_given


@require_safe
@administrators
def cluster(request: HttpRequest, number: int | None = None) -> HttpResponse:
    """One cluster; without a number the register's own parameters."""
    try:
        context = cluster_context(number)
    except NotThere as missing:
        raise Http404(str(missing)) from None
    return render(request, "tuning/cluster.html", context)


@require_safe
@administrators
def compare(request: HttpRequest) -> HttpResponse:
    return render(request, "tuning/compare.html", compare_context(request.GET.dict()))


@require_POST
@administrators
def proposal_decide(request: HttpRequest, run_id: int) -> HttpResponse:
    """`decision`: approve or reject; `reason` is kept with the history."""
    from tuning import services

    run = get_object_or_404(TuningRun, pk=run_id)
    decision, reason = request.POST.get("decision"), reason_given(request)
    decide = {"approve": services.proposal_promote, "reject": services.proposal_reject}.get(decision or "")
    try:
        if decide is None:
            raise Refused("Choose whether to approve or to reject the proposal.")
        if not reason:
            raise Refused("Nothing was changed: say in a few words why, it is kept with the history.")
        decide(run=run, actor=request.user.get_username(), reason=reason)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        live = f"P{run.proposed_id} is live: every new search uses it."
        messages.success(request, live if decision == "approve" else f"Run {run.pk} is rejected: nothing was changed.")
    return redirect("tuning-run", run_id=run_id)


@require_safe
@administrators
def held_out_picture(request: HttpRequest, name: str) -> HttpResponse:
    try:
        data = held_out_thumbnail(name)
    except NotThere as missing:
        raise Http404(str(missing)) from None
    return HttpResponse(data, content_type="image/webp", headers=media.SERVED_HEADERS)
