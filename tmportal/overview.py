"""Reads that join rooms for the pages: a search with its selection, conclusion and parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from feedback.models import Conclusion
from feedback.reports import filters_in_words
from feedback.selectors import Chosen, latest_report, selection_of, selections_of
from search.models import Mark, Search


@dataclass(frozen=True)
class SearchLine:
    """One row of the history."""

    search: Search
    filters: str
    chosen: Chosen
    conclusion: Conclusion | None
    in_report: Chosen | None
    """What the latest report holds; None without one."""
    changed_since: bool
    """The selection is no longer what was concluded."""


def register_is_demo() -> bool:
    """Whether the register holds demonstration marks: they come first or not at all, and name their source."""
    first = Mark.objects.order_by("pk").values_list("source", flat=True).first()
    return bool(first)


def conclusion_state(search: Search) -> dict[str, Any]:
    """The selection, the latest conclusion, whether there is a report, and whether the selection changed since."""
    latest = Conclusion.objects.filter(search=search).order_by("-id").first()
    now = selection_of(search)
    changed = latest is not None and selection_of(search, through=latest.last_change) != now
    return {"chosen": now, "conclusion": latest, "report": latest_report(search), "changed_since": changed}


def weights_used(search: Search) -> dict[str, float]:
    """The weights W of Eq 1 that ranked this search; empty while it is not done."""
    if search.parameter_set is None:
        return {}
    return dict(search.parameter_set.unpack().for_cluster(search.cluster).weights)


def history_lines(searches: Sequence[Search]) -> list[SearchLine]:
    """Rows of the history in the given order; a fixed number of queries however many searches there are."""
    ids = [search.pk for search in searches]
    now = selections_of(ids)
    conclusions = list(Conclusion.objects.filter(search__in=ids).order_by("id"))
    concluded = {conclusion.search_id: conclusion for conclusion in conclusions}
    reported = {one.search_id: one.last_change for one in conclusions if one.kind == Conclusion.Kind.REPORT}
    in_report = selections_of(reported, through=reported)
    at_end = selections_of(concluded, through={pk: one.last_change for pk, one in concluded.items()})
    return [
        SearchLine(
            search=search,
            filters=filters_in_words(search.filters),
            chosen=now[search.pk],
            conclusion=concluded.get(search.pk),
            in_report=in_report.get(search.pk),
            changed_since=search.pk in at_end and at_end[search.pk] != now[search.pk],
        )
        for search in searches
    ]
