"""The register, the searches made in it, and the parameter sets that serve them."""

import uuid
from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone

from search.retrieval.parameters import Parameters
from search.retrieval.records import MarkRecord
from search.words.fields import KeysField


class Immutable(models.Model):
    """Rows that are written once: history must not change under the people who rely on it."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError(f"{type(self).__name__} rows are immutable: write a new one instead.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__} rows are never deleted.")


class Mark(models.Model):
    """One registered trade mark. The image is kept by content: `media/marks/<sha256>`."""

    number = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200, db_index=True)
    owner = models.CharField(max_length=200, blank=True)
    nice_classes = models.JSONField(default=list, blank=True)
    jurisdiction = models.CharField(max_length=8, blank=True, db_index=True)
    status = models.CharField(max_length=24, blank=True, db_index=True)
    filing_date = models.DateField(null=True, blank=True)
    image = models.CharField(max_length=200)
    image_sha256 = models.CharField(max_length=64, db_index=True)
    width = models.PositiveIntegerField(default=0, help_text="pixels; boxes of parts refer to it")
    height = models.PositiveIntegerField(default=0)
    source = models.CharField(max_length=200, blank=True)
    licence = models.CharField(max_length=64, blank=True)
    # What the search by words compares (search/words): each follows from the field that it names.
    spelled = KeysField(source="name", kind="forms")
    sounds = KeysField(source="name", kind="sounds")
    owner_spelled = KeysField(source="owner", kind="forms")
    numbers = KeysField(source="number", kind="numbers")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def record(self) -> MarkRecord:
        """What the engine and the filters know of the mark."""
        return MarkRecord(
            number=self.number,
            nice=tuple(self.nice_classes),
            jurisdiction=self.jurisdiction,
            status=self.status,
            filing_date=self.filing_date,
            image_sha256=self.image_sha256,
        )


class ParameterSet(Immutable):
    """Weights, thresholds and extensions per cluster (design.md 3). Immutable; one is live."""

    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    parameters = models.JSONField()
    made_by = models.CharField(max_length=150)
    reason = models.TextField()
    evidence = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"P{self.pk}"

    def unpack(self) -> Parameters:
        return Parameters.from_json(self.parameters)


class LivePointer(models.Model):
    """The single row that says which parameter set is live. Changed only by a conditional UPDATE."""

    parameter_set = models.ForeignKey(ParameterSet, on_delete=models.PROTECT)
    since = models.DateTimeField(default=timezone.now)
    candidate = models.ForeignKey(
        ParameterSet, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="compared with the live set in a share of searches; gone when another set goes live",
    )  # fmt: skip

    def __str__(self) -> str:
        return f"live: P{self.parameter_set_id}"


class ParameterSetEvent(Immutable):
    """Audit: every move of the live pointer, by whom and why."""

    class Kind(models.TextChoices):
        LIVE = "live", "went live"
        RETIRED = "retired", "retired"
        ROLLED_BACK = "rolled_back", "rolled back"

    parameter_set = models.ForeignKey(ParameterSet, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=16, choices=Kind)
    actor = models.CharField(max_length=150)
    reason = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"P{self.parameter_set_id} {self.kind}"


class Search(models.Model):
    """One search by one user, stamped with the parameter set and the snapshot that served it."""

    class Status(models.TextChoices):
        QUEUED = "queued", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    class Depth(models.TextChoices):
        REGISTER = "register", "whole register"
        CLUSTER = "cluster", "own and near clusters"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="searches")
    image = models.CharField(max_length=200)
    image_sha256 = models.CharField(max_length=64, blank=True)
    image_name = models.CharField(max_length=200, blank=True)
    width = models.PositiveIntegerField(default=0, help_text="pixels; boxes of parts refer to it")
    height = models.PositiveIntegerField(default=0)
    filters = models.JSONField(default=dict)
    depth = models.CharField(max_length=16, choices=Depth, default=Depth.REGISTER)
    status = models.CharField(max_length=8, choices=Status, default=Status.QUEUED, db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True, help_text="who has claimed it")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    parameter_set = models.ForeignKey(ParameterSet, null=True, on_delete=models.PROTECT)
    snapshot = models.CharField(max_length=64, blank=True)
    cluster = models.IntegerField(null=True)
    clusters_version = models.CharField(max_length=64, blank=True)
    threshold = models.FloatField(
        null=True, help_text="the cut of this search: the parameters' threshold and the shift"
    )
    cut_shift = models.FloatField(default=0.0, help_text="how much the crowd around the query moved the cut")
    scanned = models.PositiveIntegerField(default=0)
    count = models.PositiveIntegerField(default=0)
    plain = models.BooleanField(default=False, help_text="shown without pre-selection, to see what is no inertia")
    candidate_set = models.ForeignKey(
        ParameterSet, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="the list was drafted from the live set's ranking and this one's",
    )  # fmt: skip
    concluded_at = models.DateTimeField(null=True, blank=True, db_index=True, help_text="report made, or said done")
    timings = models.JSONField(default=dict)
    vienna = models.JSONField(default=dict, help_text="suggested Vienna codes: categories and divisions, with shares")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "searches"
        indexes = [
            models.Index(fields=["owner", "started_at"], name="search_served_last"),
            models.Index(fields=["started_at"], name="search_begun_last"),
        ]

    def __str__(self) -> str:
        return f"search {self.pk}"


class SearchResult(models.Model):
    """What the engine answered for one mark in one search. Written once, with every similarity."""

    search = models.ForeignKey(Search, on_delete=models.CASCADE, related_name="results")
    mark = models.ForeignKey(Mark, on_delete=models.PROTECT)
    rank = models.PositiveIntegerField(help_text="in the engine's answer, 1 is best")
    position = models.PositiveIntegerField(help_text="in the list as shown, 1 is first")
    score = models.FloatField(help_text="calibrated fused similarity, 0 to 1")
    similarities = models.JSONField(help_text="calibrated similarity per descriptor, 0 to 1; null where missing")
    preselected = models.BooleanField(help_text="as shown")
    above_cut = models.BooleanField(
        null=True, help_text="whether the live cut would pre-select it, where that was not shown; null: as shown"
    )
    audit = models.BooleanField(default=False, help_text="from below the cut, at a random position")
    arm = models.PositiveSmallIntegerField(null=True, help_text="whose pick: 0 live, 1 candidate; null: nobody's")
    boxes = models.JSONField(null=True, help_text="[query box, mark box] of the best matching parts, pixels")
    refined = models.BooleanField(
        default=False, help_text="not of the answer: found by refining, selected later; in the report, in no evidence"
    )

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["search", "mark"], name="one_result_per_mark")]
        indexes = [models.Index(fields=["search", "position"], name="result_by_position")]

    def __str__(self) -> str:
        return f"{self.search_id} #{self.rank}"


class RefinedHit(models.Model):
    """A mark that a refined list has shown besides the results of the search: it may be selected as they may."""

    search = models.ForeignKey(Search, on_delete=models.CASCADE, related_name="refined_hits")
    mark = models.ForeignKey(Mark, on_delete=models.CASCADE)
    score = models.FloatField(help_text="calibrated fused similarity with the query, 0 to 1")
    similarities = models.JSONField()
    boxes = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["search", "mark"], name="one_refined_hit_per_mark")]

    def __str__(self) -> str:
        return f"{self.search_id} {self.mark_id}"
