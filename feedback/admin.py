"""The feedback log in Django's admin: append-only, so read-only."""

from django.contrib import admin

from feedback.models import Conclusion, Impression, PageView, Report, Selection
from search.admin import ReadOnlyAdmin


@admin.register(Conclusion)
class ConclusionAdmin(ReadOnlyAdmin):
    list_display = ["at", "kind", "by", "search"]
    list_filter = ["kind"]
    date_hierarchy = "at"
    list_select_related = ["by", "search"]


@admin.register(Impression)
class ImpressionAdmin(ReadOnlyAdmin):
    list_display = [
        "conclusion",
        "position",
        "rank",
        "mark",
        "score",
        "preselected",
        "seen",
        "audit",
        "outcome",
        "examiner",
        "parameter_set",
    ]
    list_filter = ["outcome", "seen", "audit", "plain"]
    list_select_related = ["conclusion", "mark", "examiner", "parameter_set"]


@admin.register(Selection)
class SelectionAdmin(ReadOnlyAdmin):
    list_display = ["at", "by", "mark", "selected", "search"]
    date_hierarchy = "at"
    list_select_related = ["by", "mark", "search"]


@admin.register(PageView)
class PageViewAdmin(ReadOnlyAdmin):
    list_display = ["at", "search", "page"]
    list_select_related = ["search"]


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ["id", "conclusion", "pdf"]
    list_select_related = ["conclusion"]
