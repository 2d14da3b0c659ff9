"""The pages of an examiner: search, results, history. Reads through selectors; writes go through the API."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from feedback.reports import filters_in_words
from feedback.selectors import selection_changes
from search import waiting
from search.errors import NotThere
from search.models import Search
from search.refining import MOST
from search.retrieval.imaging import MAX_BYTES
from search.roles import IsExaminer, is_administrator, is_examiner
from search.selectors import progress_sentence, register_facets, search_get, searches_of
from tmportal import nice
from tmportal.health import health
from tmportal.overview import (
    conclusion_state,
    history_lines,
    register_is_demo,
    weights_used,
)

HISTORY_PAGE = 20


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """The form. `?again=<id>` fills in the filters of an earlier search."""
    _need_role(request)
    facets = register_facets()
    earlier = _earlier(request)
    filters = earlier.filters if earlier else {}
    context: dict[str, Any] = {
        "classes": [
            {"number": n, "title": title, "service": n >= nice.FIRST_SERVICE} for n, title in nice.TITLES.items()
        ],
        "facets": facets,
        "filters": filters,
        "depth": earlier.depth if earlier else Search.Depth.REGISTER,
        "earlier": earlier,
        "demo": register_is_demo(),
        "max_megabytes": MAX_BYTES // 2**20,
        "max_bytes": MAX_BYTES,
        "recent": history_lines(list(_own(request)[:6])),
        "waiting": waiting.sentence_now(),
        "troubles": health().troubles if is_administrator(request.user) else [],
    }
    return render(request, "search.html", context)


@require_safe
def results(request: HttpRequest, search_id: UUID) -> HttpResponse:
    """Progress while the search runs, then the grid."""
    _need_role(request)
    try:
        found = search_get(user=request.user, search_id=search_id)
    except NotThere as missing:
        raise Http404(str(missing)) from None
    may_change = found.owner_id == request.user.pk
    context: dict[str, Any] = {
        "search": found,
        "filters": filters_in_words(found.filters),
        "may_change": may_change,
        "message": progress_sentence(found),
        "demo": register_is_demo(),
        "nice_titles": nice.TITLES,
        "refine_most": MOST,
    }
    if found.status == Search.Status.DONE:
        context |= {
            "weights": weights_used(found),
            **conclusion_state(found),
            "changes": selection_changes(found),
        }
    return render(request, "results.html", context)


@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """One's own searches; an administrator may look at everybody's with `?of=everyone`."""
    _need_role(request)
    everyone = request.GET.get("of") == "everyone" and is_administrator(request.user)
    rows = searches_of(request.user) if everyone else _own(request)
    page = Paginator(rows, HISTORY_PAGE).get_page(request.GET.get("page"))
    return render(request, "history.html", {"page": page, "lines": history_lines(list(page)), "everyone": everyone})


def _own(request: HttpRequest) -> Any:
    return searches_of(request.user).filter(owner_id=request.user.pk)


def _earlier(request: HttpRequest) -> Search | None:
    asked = request.GET.get("again")
    if not asked:
        return None
    try:
        return search_get(user=request.user, search_id=asked)
    except (NotThere, ValidationError):
        return None  # filters that are gone are no reason to refuse the form


def _need_role(request: HttpRequest) -> None:
    if not is_examiner(request.user):
        raise PermissionDenied(IsExaminer.message)
