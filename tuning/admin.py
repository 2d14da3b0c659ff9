"""The tuning history in Django's admin: read-only. The schedule itself is edited under "Periodic tasks"."""

from django.contrib import admin

from search.admin import ReadOnlyAdmin
from tuning.models import ClusterDecision, TuningRun


@admin.register(TuningRun)
class TuningRunAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "kind", "state", "requested_by", "searches", "base", "proposed"]
    list_filter = ["state", "kind"]
    date_hierarchy = "created_at"
    list_select_related = ["base", "proposed"]


@admin.register(ClusterDecision)
class ClusterDecisionAdmin(ReadOnlyAdmin):
    list_display = ["run", "cluster", "action", "step", "searches", "examiners", "pc", "dc", "ac"]
    list_filter = ["action"]
    list_select_related = ["run"]
