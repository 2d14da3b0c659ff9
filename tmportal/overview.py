"""Reads that join rooms for the pages: a search with its selection, conclusion and parameters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Max

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
    """Whether the register holds demonstration marks: they come first or not at all, and name their source."""
    first = Mark.objects.order_by("pk").values_list("source", flat=True).first()
    return bool(first)


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
    """Rows of the history in the given order; a fixed number of queries however many searches there are."""
    ids = [search.pk for search in searches]
    first_choice = set(
        SearchResult.objects.filter(search__in=ids, preselected=True).order_by().values_list("search_id", "mark_id")
    )
    preselected = Counter(search_id for search_id, _ in first_choice)
    last_words = Selection.objects.filter(search__in=ids).order_by().values("search", "mark").annotate(last=Max("id"))
    words = Selection.objects.filter(pk__in=last_words.values("last")).values_list("search_id", "mark_id", "selected")
    added = Counter(row[0] for row in words if row[2] and row[:2] not in first_choice)
    removed = Counter(row[0] for row in words if not row[2] and row[:2] in first_choice)
    conclusions = list(Conclusion.objects.filter(search__in=ids).order_by("id"))
    concluded = {conclusion.search_id: conclusion for conclusion in conclusions}
    reported = {conclusion.search_id for conclusion in conclusions if conclusion.kind == Conclusion.Kind.REPORT}
    lines = []
    for search in searches:
        before, plus, minus = (table[search.pk] for table in (preselected, added, removed))
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
