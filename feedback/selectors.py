"""Reads of feedback: the state of a selection, the evidence of a week."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Max, QuerySet

from feedback.models import Conclusion, Impression, Report, Selection
from feedback.propensity import PropensityModel, estimate
from search.models import Search, SearchResult


class Change(NamedTuple):
    """The latest word on a mark's selection. `number` grows with every change; 0 where there was none."""

    selected: bool
    number: int


def selection_changes(search: Search) -> dict[str, Change]:
    """Mark number -> the latest change, for the marks whose selection was ever touched."""
    rows = Selection.objects.filter(search=search).order_by("id").values_list("mark__number", "selected", "id")
    return {number: Change(selected, change) for number, selected, change in rows}


def last_change(search: Search) -> int:
    """The number of the latest change of its selection; 0 where there was none."""
    return Selection.objects.filter(search=search).aggregate(last=Max("id"))["last"] or 0


@dataclass(frozen=True)
class Chosen:
    """The selection of one search as sets of mark numbers: what was pre-selected, and U, what is selected."""

    preselected: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()

    @property
    def added(self) -> int:
        return len(self.numbers - self.preselected)

    @property
    def removed(self) -> int:
        return len(self.preselected - self.numbers)


def selections_of(searches: Iterable[UUID], *, through: Mapping[UUID, int] | None = None) -> dict[UUID, Chosen]:
    """Search -> its selection: the pre-selected marks minus removals plus additions. Two queries for any number.

    through: search -> the last change that counts, for a selection as it was; the newest without. Whatever counts
    selected marks counts these.
    """
    ids = list(searches)
    before: dict[UUID, set[str]] = {pk: set() for pk in ids}
    rows = SearchResult.objects.filter(search__in=ids, preselected=True).order_by()
    for pk, number in rows.values_list("search_id", "mark__number"):
        before[pk].add(number)
    now = {pk: set(numbers) for pk, numbers in before.items()}
    changes = Selection.objects.filter(search__in=ids).order_by("id")
    for change, pk, number, selected in changes.values_list("id", "search_id", "mark__number", "selected"):
        if through is None or change <= through[pk]:
            (now[pk].add if selected else now[pk].discard)(number)
    return {pk: Chosen(frozenset(before[pk]), frozenset(now[pk])) for pk in ids}


def selection_of(search: Search, *, through: int | None = None) -> Chosen:
    """The same for one search."""
    return selections_of([search.pk], through=None if through is None else {search.pk: through})[search.pk]


def conclusions_between(start: datetime | None, end: datetime) -> QuerySet[Conclusion]:
    """The evidence of (start, end]: the latest conclusion of each search that was concluded in it.

    A search that nobody concluded is missing data, not agreement, and so is not here.
    """
    window = Conclusion.objects.filter(at__lte=end)
    if start is not None:
        window = window.filter(at__gt=start)
    latest = window.order_by().values("search").annotate(last=Max("id")).values("last")
    return Conclusion.objects.filter(pk__in=latest).select_related("search").order_by("id")


def propensity_at(moment: datetime) -> PropensityModel:
    """How likely a place of the list is looked at, from every audit slot concluded until then."""
    slots = list(
        Impression.objects.filter(audit=True, conclusion__in=conclusions_between(None, moment).order_by().values("pk"))
        .order_by("id")
        .values_list("position", "outcome", "seen")
    )
    return estimate(
        positions=[position - 1 for position, _, _ in slots],
        changed=[outcome == Impression.Outcome.ADDED for _, outcome, _ in slots],
        shown=[seen for _, _, seen in slots],
    )


def latest_report(search: Search) -> Report | None:
    return Report.objects.filter(conclusion__search=search).select_related("conclusion").order_by("-id").first()
