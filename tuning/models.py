"""The tuning history: every run, what it saw, what it decided, what the gate said."""

from django.db import models
from django.utils import timezone

from search.models import ParameterSet


class TuningRun(models.Model):
    """One pass from evidence to a verdict. Dry runs leave everything as it was.

    A run of kind ENCODER proposes an encoder that was trained on the office's feedback (tuning/encoder_training.py).
    One of kind FOLLOW_UP took a set back because examiners contradicted it (tuning/aftercare.py). One that is PROPOSED
    made a set that waits: for the searches that compare it with the live one, or for an administrator.
    """

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", "scheduled"
        MANUAL = "manual", "by hand"
        DRY_RUN = "dry_run", "dry run"
        ENCODER = "encoder", "encoder"
        FOLLOW_UP = "follow_up", "follow-up"

    class State(models.TextChoices):
        QUEUED = "queued", "waiting"
        RUNNING = "running", "running"
        NO_CHANGE = "no_change", "no change"
        PROPOSED = "proposed", "proposed"
        VALIDATED = "validated", "validated"
        REJECTED = "rejected", "rejected"
        LIVE = "live", "live"
        RETIRED = "retired", "retired"
        ROLLED_BACK = "rolled_back", "rolled back"
        FAILED = "failed", "failed"

    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED, db_index=True)
    # A scheduled run belongs to one instant of the schedule, a further try has its number too: tuning/schedule.py.
    # Rows of older releases have the week ("2026-W47").
    period = models.CharField(max_length=24, null=True, blank=True, unique=True)
    only_cluster = models.IntegerField(null=True, blank=True)
    # Of kind ENCODER: the directory's name under TM_DATA_DIR/encoders.
    encoder = models.CharField(max_length=64, blank=True, db_index=True)
    requested_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True, help_text="when what was proposed was promoted or rejected")
    attempts = models.PositiveSmallIntegerField(default=0)
    progress = models.FloatField(default=0.0)
    evidence_from = models.DateTimeField(null=True)
    evidence_until = models.DateTimeField(null=True)
    searches = models.PositiveIntegerField(default=0)
    base = models.ForeignKey(ParameterSet, null=True, on_delete=models.PROTECT, related_name="runs_from")
    proposed = models.ForeignKey(ParameterSet, null=True, on_delete=models.PROTECT, related_name="runs_to")
    reason = models.TextField(blank=True)
    metrics = models.JSONField(default=dict)
    gate = models.JSONField(default=dict)
    candidates = models.PositiveIntegerField(default=0)
    candidates_per_second = models.FloatField(default=0.0)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.state})"


class ClusterDecision(models.Model):
    """What one run saw and decided for one cluster (science.md 1.7, 1.8)."""

    run = models.ForeignKey(TuningRun, on_delete=models.CASCADE, related_name="decisions")
    cluster = models.IntegerField(null=True, help_text="null: the register's default parameters")
    searches = models.PositiveIntegerField()
    examiners = models.PositiveIntegerField()
    pc = models.FloatField(null=True)
    dc = models.FloatField(null=True)
    ac = models.FloatField(null=True)
    action = models.CharField(max_length=16)
    state = models.CharField(max_length=10, default="none", help_text="no_data, resting, none, rejected or accepted")
    step = models.FloatField(default=0.0)
    path = models.JSONField(default=list)
    reason = models.TextField()
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["cluster"]
        constraints = [models.UniqueConstraint(fields=["run", "cluster"], name="one_decision_per_cluster")]

    def __str__(self) -> str:
        return f"run {self.run_id} {self.scope}: {self.action}"

    @property
    def scope(self) -> str:
        return "whole register" if self.cluster is None else f"cluster {self.cluster}"
