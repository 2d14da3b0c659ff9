"""The administrators' status page and the metrics for Prometheus: the same figures, drawn and as text."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import Count
from django.db.models.functions import TruncHour
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, Metric
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from search.models import Search
from search.roles import is_administrator
from tmportal import metrics
from tmportal.health import health
from tuning.svg import node, words
from tuning.views import administrators

_LAST_SEARCHES = 200  # whose stages are shown
_FAILURES = 5
_HOURS = 24


@dataclass
class RouteRow:
    """One route since the service started: requests, those refused (4xx, and 503: not now), failed, mean seconds."""

    route: str
    count: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def mean_ms(self) -> float:
        return 1000 * self.seconds / self.count if self.count else 0.0


@dataclass(frozen=True)
class StageRow:
    """Milliseconds of one stage of a search over the last searches."""

    name: str
    p50: float
    p95: float


@require_safe
@never_cache
@administrators
def page(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    hours = _hours(now)
    context: dict[str, Any] = {
        "health": health(),
        "figures": _by_name(metrics.figures()),
        "stages": _stages(),
        "stages_of": _LAST_SEARCHES,
        "hours": hours,
        "made": any(total for _, total, _ in hours),
        "chart": hours_chart(hours),
        "failures": Search.objects.filter(status=Search.Status.FAILED).select_related("owner")[:_FAILURES],
        "routes": route_rows(metrics.counters()),
    }
    return render(request, "status.html", context)


class MayMeasure(BasePermission):
    """Administrators, and monitors that send TM_METRICS_TOKEN as `Authorization: Bearer ...`."""

    message = "Metrics are for administrators, and for monitors that send TM_METRICS_TOKEN as a bearer token."

    def has_permission(self, request: Request, view: Any) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = settings.TM_METRICS_TOKEN
        known = bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())
        return known or is_administrator(request.user)


class MetricsApi(APIView):
    """Counters, times, queues, sizes and ages in Prometheus' text format."""

    permission_classes = [MayMeasure]

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _by_name(found: Iterable[metrics.Figure]) -> dict[str, list[metrics.Figure]]:
    rows: dict[str, list[metrics.Figure]] = {}
    for figure in found:
        rows.setdefault(figure.name.removeprefix("tmportal_"), []).append(figure)
    return rows


def _stages() -> list[StageRow]:
    done = Search.objects.filter(status=Search.Status.DONE).order_by("-created_at").values_list("timings", flat=True)
    columns: dict[str, list[float]] = {}
    for timings in done[:_LAST_SEARCHES]:
        for stage, value in timings.items():
            columns.setdefault(stage, []).append(float(value))
    # JSON of the database may come in any order; the whole stands below its parts.
    names = sorted(columns, key=lambda name: name == "total")
    return [StageRow(name, *np.percentile(columns[name], (50, 95))) for name in names]


def _hours(now: datetime) -> list[tuple[datetime, int, int]]:
    """(hour, searches made in it, of which failed) for the last day, oldest first, hours without searches included."""
    first = (now - timedelta(hours=_HOURS - 1)).replace(minute=0, second=0, microsecond=0)
    made = Search.objects.filter(created_at__gte=first).order_by().annotate(hour=TruncHour("created_at"))
    counts = {(row["hour"], row["status"]): row["n"] for row in made.values("hour", "status").annotate(n=Count("pk"))}
    rows = []
    for step in range(_HOURS):
        hour = first + timedelta(hours=step)
        total = sum(n for (at, _), n in counts.items() if at == hour)
        rows.append((hour, total, counts.get((hour, Search.Status.FAILED), 0)))
    return rows


def hours_chart(rows: list[tuple[datetime, int, int]]) -> SafeString:
    """A bar per hour; the failed part stands at its foot in another colour and has its own words."""
    width, height, foot = 24.0, 96.0, 18.0
    most = max((total for _, total, _ in rows), default=0) or 1
    bars = []
    for place, (hour, total, failed) in enumerate(rows):
        tall, short = height * total / most, height * failed / most
        local = timezone.localtime(hour)
        title = node("title", f"{local:%H:%M}: {total} searches, {failed} failed")
        x = place * width + 2
        bars.append(node("rect", title, cls="bar made", x=x, y=height - tall, width=width - 4, height=tall))
        if failed:
            bars.append(node("rect", title, cls="bar failed", x=x, y=height - short, width=width - 4, height=short))
        if place % 4 == 0:
            bars.append(words(x + width / 2, height + foot - 4, f"{local:%H}", cls="hour"))
    label = f"Searches per hour over the last {len(rows)} hours, at most {most}"
    return node(
        "svg",
        *bars,
        cls="chart hours",
        viewBox=f"0 0 {width * len(rows):.0f} {height + foot:.0f}",
        role="img",
        aria_label=label,
    )


def route_rows(families: Iterable[Metric]) -> list[RouteRow]:
    """The counters of requests as a table, the busiest route first."""
    rows: dict[str, RouteRow] = {}
    for family in families:
        for sample in family.samples:
            if sample.name not in ("tmportal_requests_total", "tmportal_request_seconds_sum"):
                continue
            row = rows.setdefault(sample.labels["route"], RouteRow(sample.labels["route"]))
            if sample.name == "tmportal_request_seconds_sum":
                row.seconds += sample.value
                continue
            row.count += int(sample.value)
            status = sample.labels["status"]
            if status >= "500" and status != "503":
                row.failed += int(sample.value)
            elif status >= "400":
                row.refused += int(sample.value)
    return sorted(rows.values(), key=lambda row: -row.count)
