"""Marks by words: by what they are called (`/words/`) and by what they show (`/words/shows/`)."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from search.concepts import LONGEST, concept_ask, marks_found
from search.errors import Refused
from search.retrieval.records import Filters
from search.roles import IsExaminer, is_administrator, is_examiner
from search.selectors import register_facets
from search.serializers import FilterInput
from search.words import index, normalise
from search.words.finding import words_find
from tmportal.overview import register_is_demo

SHOWN = 48
EXAMPLES = ("coffee cup", "lion with a crown", "sailing ship", "two hands shaking", "oak leaf", "lightning")


@require_safe
def names(request: HttpRequest) -> HttpResponse:
    """`?q=` is a name, an owner or a number; what was typed decides."""
    context = _context(request, longest=normalise.LONGEST)
    if is_administrator(request.user):
        context["trouble"] = index.complaint()
    if context["words"]:
        try:
            found = words_find(text=context["words"], filters=_filters(request), top=SHOWN)
            context |= {"query": found.query, "found": found.hits}
        except Refused as refusal:
            context["problem"] = str(refusal)
    return render(request, "words.html", context)


@require_safe
def shows(request: HttpRequest) -> HttpResponse:
    """`?q=` says what a mark shows."""
    context = _context(request, longest=LONGEST) | {"examples": EXAMPLES}
    if context["words"]:
        try:
            answer = concept_ask(text=context["words"], filters=_filters(request), top=SHOWN)
            context |= {"scanned": answer["scanned"], "found": marks_found(answer)}
        except Refused as refusal:
            context["problem"] = str(refusal)
    return render(request, "concepts.html", context)


@require_safe
def moved(request: HttpRequest) -> HttpResponse:
    """The search by what marks show had an address of its own."""
    _need_role(request)
    asked = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(reverse("words-shows") + (f"?{asked}" if asked else ""))


def _context(request: HttpRequest, *, longest: int) -> dict[str, Any]:
    _need_role(request)
    return {
        "asked": "q" in request.GET,
        "words": request.GET.get("q", "").strip(),
        "longest": longest,
        "facets": register_facets(),
        "chosen": {name: request.GET.getlist(name) for name in ("jurisdiction", "status", "nice")},
        "demo": register_is_demo(),
    }


def _filters(request: HttpRequest) -> Filters:
    form = FilterInput(data=request.GET)
    if not form.is_valid():
        raise Refused("One of the filters is not valid: clear them and try again.")
    return form.filters()


def _need_role(request: HttpRequest) -> None:
    if not is_examiner(request.user):
        raise PermissionDenied(IsExaminer.message)
