"""Reads of feedback: the state of a selection, the evidence of a week."""

from datetime import datetime

from django.db.models import Max, QuerySet

from feedback.models import Conclusion, Impression, Report, Selection
from feedback.propensity import PropensityModel, estimate
from search.models import Search


def selection_changes(search: Search) -> dict[str, bool]:
    """Mark number -> selected, for the marks whose selection was ever touched; the latest word counts."""
    return dict(Selection.objects.filter(search=search).order_by("id").values_list("mark__number", "selected"))


def selected_numbers(search: Search) -> set[str]:
    """The final selection U of a search: pre-selected ones minus removals plus additions."""
    changes = selection_changes(search)
    preselected = set(search.results.filter(preselected=True).values_list("mark__number", flat=True))
    return {number for number in preselected if changes.get(number, True)} | {
        n for n, chosen in changes.items() if chosen
    }


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
