"""Reads that join rooms for the pages: a search with its selection, conclusion and parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q

from feedback.models import Conclusion, Selection
from feedback.reports import filters_in_words
from feedback.selectors import latest_report, selection_changes
from search.models import Mark, Search, SearchResult


@dataclass(frozen=True)
class SelectionCounts:
    """How many marks are selected now, and how that differs from the pre-selection."""

    selected: int = 0
    preselected: int = 0
    added: int = 0
    removed: int = 0


@dataclass(frozen=True)
class SearchLine:
    """One row of the history."""

    search: Search
    filters: str
    counts: SelectionCounts
    conclusion: Conclusion | None
    has_report: bool


def register_is_demo() -> bool:
    """Whether the register holds demonstration marks: only those say where their picture comes from."""
    return Mark.objects.exclude(source="").exists()


def selection_counts(search: Search) -> SelectionCounts:
    preselected = set(search.results.filter(preselected=True).values_list("mark__number", flat=True))
    changes = selection_changes(search)
    added = sum(chosen and number not in preselected for number, chosen in changes.items())
    removed = sum(not chosen and number in preselected for number, chosen in changes.items())
    return SelectionCounts(len(preselected) + added - removed, len(preselected), added, removed)


def conclusion_state(search: Search) -> dict[str, Any]:
    """The latest conclusion, whether there is a report, and whether the selection changed since."""
    latest = Conclusion.objects.filter(search=search).order_by("-id").first()
    changed = latest is not None and Selection.objects.filter(search=search, at__gt=latest.at).exists()
    return {"conclusion": latest, "report": latest_report(search), "changed_since": changed}


def weights_used(search: Search) -> dict[str, float]:
    """The weights W of Eq 1 that ranked this search; empty while it is not done."""
    if search.parameter_set is None:
        return {}
    return dict(search.parameter_set.unpack().for_cluster(search.cluster).weights)


def history_lines(searches: Sequence[Search]) -> list[SearchLine]:
    """Rows of the history in the given order; four queries however many searches there are."""
    ids = [search.pk for search in searches]
    preselected = dict(
        SearchResult.objects.filter(search__in=ids, preselected=True)
        .order_by()
        .values_list("search")
        .annotate(marks=Count("pk"))
        .values_list("search", "marks")
    )
    last_words = Selection.objects.filter(search__in=ids).order_by().values("search", "mark").annotate(last=Max("id"))
    added: dict[UUID, int] = {}
    removed: dict[UUID, int] = {}
    first_choice = {
        (row[0], row[1])
        for row in SearchResult.objects.filter(search__in=ids, preselected=True).values_list("search_id", "mark_id")
    }
    for search_id, mark_id, chosen in Selection.objects.filter(pk__in=[row["last"] for row in last_words]).values_list(
        "search_id", "mark_id", "selected"
    ):
        if chosen and (search_id, mark_id) not in first_choice:
            added[search_id] = added.get(search_id, 0) + 1
        if not chosen and (search_id, mark_id) in first_choice:
            removed[search_id] = removed.get(search_id, 0) + 1
    concluded: dict[UUID, Conclusion] = {}
    reported: set[UUID] = set()
    rows = Conclusion.objects.filter(search__in=ids).annotate(reports=Count("report", filter=Q(report__isnull=False)))
    for conclusion in rows.order_by("id"):
        concluded[conclusion.search_id] = conclusion
        if conclusion.reports:
            reported.add(conclusion.search_id)
    lines = []
    for search in searches:
        before, plus, minus = (table.get(search.pk, 0) for table in (preselected, added, removed))
        lines.append(
            SearchLine(
                search=search,
                filters=filters_in_words(search.filters),
                counts=SelectionCounts(before + plus - minus, before, plus, minus),
                conclusion=concluded.get(search.pk),
                has_report=search.pk in reported,
            )
        )
    return lines
