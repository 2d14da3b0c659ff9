"""Records in Django's admin. Marks can be corrected; everything that is history can only be read."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from search.models import LivePointer, Mark, ParameterSet, ParameterSetEvent, Search, SearchResult
from search.services import snapshot_request

admin.site.site_header = "tmportal records"
admin.site.site_title = "tmportal records"
admin.site.index_title = "Records"


class ReadOnlyAdmin(admin.ModelAdmin):
    """Audit rows: seen by administrators, changed by nobody."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Mark)
class MarkAdmin(admin.ModelAdmin):
    """Register data can be corrected; number and image come from ingest. Filters follow with the next snapshot."""

    list_display = ["number", "name", "owner", "nice", "jurisdiction", "status", "filing_date"]
    list_filter = ["jurisdiction", "status"]
    search_fields = ["number", "name", "owner"]
    readonly_fields = ["number", "image", "image_sha256", "width", "height", "created_at", "updated_at"]
    list_per_page = 50
    show_full_result_count = False
    actions = ["publish"]

    @admin.action(description="Let filters follow the corrections (new snapshot of the register)")
    def publish(self, request: HttpRequest, marks: QuerySet[Mark]) -> None:
        if snapshot_request():
            self.message_user(request, "A new snapshot is being built; searches switch to it when it is whole.")
        else:
            self.message_user(request, "The broker does not answer: try again in a moment.", messages.ERROR)

    @admin.display(description="Nice classes")
    def nice(self, mark: Mark) -> str:
        return ", ".join(map(str, mark.nice_classes))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a mark without a described image could never be found: ingest makes marks

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # results, selections and reports refer to it


@admin.register(ParameterSet)
class ParameterSetAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "made_by", "created_at", "parent", "page"]
    list_select_related = ["parent"]

    @admin.display(description="Page")
    def page(self, found: ParameterSet) -> SafeString:
        return format_html('<a href="/tuning/parameter-sets/{}/">open</a>', found.pk)


@admin.register(LivePointer)
class LivePointerAdmin(ReadOnlyAdmin):
    list_display = ["parameter_set", "since", "candidate"]
    list_select_related = ["parameter_set", "candidate"]


@admin.register(ParameterSetEvent)
class ParameterSetEventAdmin(ReadOnlyAdmin):
    list_display = ["at", "parameter_set", "kind", "actor", "reason"]
    list_filter = ["kind"]
    list_select_related = ["parameter_set"]


@admin.register(Search)
class SearchAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at",
        "owner",
        "image_name",
        "status",
        "depth",
        "count",
        "parameter_set",
        "snapshot",
    ]
    list_filter = ["status", "depth"]
    search_fields = ["image_name", "owner__username"]
    date_hierarchy = "created_at"
    list_select_related = ["owner", "parameter_set"]


@admin.register(SearchResult)
class SearchResultAdmin(ReadOnlyAdmin):
    list_display = ["search", "position", "rank", "mark", "score", "preselected", "audit", "refined"]
    list_select_related = ["search", "mark"]
    search_fields = ["search__id", "mark__number"]
