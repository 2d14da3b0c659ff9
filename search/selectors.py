"""Reads of the register, of searches and of parameter sets."""

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from search import waiting
from search.errors import NotThere
from search.models import LivePointer, Mark, ParameterSet, Search, SearchResult
from search.queue import ahead
from search.retrieval.parameters import Parameters
from search.roles import is_administrator

_PATIENCE = timedelta(seconds=4)


def searches_of(user: Any) -> QuerySet[Search]:
    """An examiner's own searches; all of them for an administrator."""
    rows = Search.objects.select_related("owner")
    return rows if is_administrator(user) else rows.filter(owner=user)


def search_get(*, user: Any, search_id: uuid.UUID | str) -> Search:
    search = searches_of(user).filter(pk=search_id).first()
    if search is None:
        raise NotThere("There is no such search among yours.")
    return search


def results_of(search: Search) -> QuerySet[SearchResult]:
    """In the order in which they are shown."""
    return search.results.select_related("mark").order_by("position")


def result_get(*, search: Search, number: str) -> SearchResult:
    result = results_of(search).filter(mark__number=number).first()
    if result is None:
        raise NotThere(f"Mark {number} is not among the results of this search.")
    return result


def mark_get(number: str) -> Mark:
    mark = Mark.objects.filter(number=number).first()
    if mark is None:
        raise NotThere(f"There is no mark {number} in the register.")
    return mark


def live_pointer() -> LivePointer | None:
    """What is live and what is being compared with it, read at one moment."""
    return LivePointer.objects.select_related("parameter_set", "candidate").first()


def live_parameter_set() -> ParameterSet | None:
    pointer = LivePointer.objects.select_related("parameter_set").first()
    return pointer.parameter_set if pointer else None


def live_parameters() -> Parameters | None:
    """The parameters that serve now; None on an empty database."""
    live = live_parameter_set()
    return live.unpack() if live else None


def register_facets() -> dict[str, list[Any]]:
    """The values that filters can take, as they occur in the register."""
    return {
        "jurisdictions": list(
            Mark.objects.exclude(jurisdiction="")
            .values_list("jurisdiction", flat=True)
            .distinct()
            .order_by("jurisdiction")
        ),
        "statuses": list(
            Mark.objects.exclude(status="").values_list("status", flat=True).distinct().order_by("status")
        ),
        "nice": list(range(1, 46)),
    }


def progress_sentence(search: Search) -> str:
    """What a waiting user is told."""
    if search.status == Search.Status.FAILED:
        return search.error
    if search.status == Search.Status.DONE:
        return f"{search.count} of {search.scanned:,} marks shown."
    if search.status == Search.Status.RUNNING:
        return "Comparing with the register." if search.attempts < 2 else "The worker stopped; another one took over."
    return _waiting_sentence(search)


def _waiting_sentence(search: Search) -> str:
    patient = timezone.now() - search.created_at <= _PATIENCE
    why = "" if patient else waiting.sentence_now()
    if why:
        return f"{why} Your search is kept and starts by itself."
    before = ahead(search)
    if before:
        return f"Waiting: {before} searches are before yours." if before > 1 else "Waiting: one search is before yours."
    if before is None and not patient:
        return "The search service does not answer just now. Your search is kept and starts as soon as it is back."
    return "Waiting for a search worker."
