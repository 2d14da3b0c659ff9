"""The complete, append-only record of what examiners were shown and what they did (design.md 4)."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from search.models import Immutable, Mark, ParameterSet, Search


class PageView(Immutable):
    """The owner reached this page of results. Only seen results can count as judged."""

    search = models.ForeignKey(Search, on_delete=models.CASCADE, related_name="page_views")
    page = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["search", "page"], name="one_view_per_page")]

    def __str__(self) -> str:
        return f"{self.search_id} page {self.page}"


class Selection(Immutable):
    """One change of one mark's selection; the latest row per mark is the state."""

    search = models.ForeignKey(Search, on_delete=models.CASCADE, related_name="selections")
    mark = models.ForeignKey(Mark, on_delete=models.PROTECT)
    selected = models.BooleanField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["search", "mark"], name="selection_by_mark")]

    def __str__(self) -> str:
        return f"{self.search_id} {self.mark_id} {'+' if self.selected else '-'}"


class Conclusion(Immutable):
    """The examiner made a report or said "done": from here on the search counts as evidence."""

    class Kind(models.TextChoices):
        REPORT = "report", "report"
        DONE = "done", "done"

    search = models.ForeignKey(Search, on_delete=models.CASCADE, related_name="conclusions")
    kind = models.CharField(max_length=8, choices=Kind)
    last_change = models.PositiveBigIntegerField(
        default=0, help_text="the latest change of the selection that this concludes; 0 where there was none"
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.search_id} {self.kind}"


class Impression(Immutable):
    """One result as it stood when the search was concluded: the row that tuning learns from."""

    class Outcome(models.TextChoices):
        KEPT = "kept", "kept"
        REMOVED = "removed", "removed"
        ADDED = "added", "added"
        UNTOUCHED = "untouched", "untouched"

    SELECTED = (Outcome.ADDED, Outcome.KEPT)  # what the examiner ended with

    conclusion = models.ForeignKey(Conclusion, on_delete=models.CASCADE, related_name="impressions")
    mark = models.ForeignKey(Mark, on_delete=models.PROTECT)
    rank = models.PositiveIntegerField(help_text="in the engine's answer, 1 is best")
    position = models.PositiveIntegerField(help_text="in the list as shown, 1 is first")
    page = models.PositiveIntegerField()
    seen = models.BooleanField()
    similarities = models.JSONField()
    score = models.FloatField()
    preselected = models.BooleanField(help_text="as shown")
    above_cut = models.BooleanField(
        null=True, help_text="whether the live cut would pre-select it, where that was not shown; null: as shown"
    )
    audit = models.BooleanField(default=False, help_text="from below the cut, at a random position")
    arm = models.PositiveSmallIntegerField(null=True, help_text="whose pick: 0 live, 1 candidate; null: nobody's")
    plain = models.BooleanField(default=False, help_text="the search was shown without pre-selection")
    outcome = models.CharField(max_length=10, choices=Outcome)
    examiner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    parameter_set = models.ForeignKey(ParameterSet, on_delete=models.PROTECT)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conclusion", "mark"], name="one_impression_per_mark")]

    def __str__(self) -> str:
        return f"{self.conclusion_id} #{self.rank} {self.outcome}"


class Report(Immutable):
    """A report as it was handed out; made again, it is a new report."""

    conclusion = models.OneToOneField(Conclusion, on_delete=models.CASCADE, related_name="report")
    pdf = models.CharField(max_length=200)
    csv = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"report {self.pk}"
