"""The status page and the metrics: who may see them, and that they say what happened."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from search.models import Search
from tests.factories import done_search
from tmportal.status import hours_chart

pytestmark = pytest.mark.django_db


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def measured(client: Any, **headers: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/api/metrics/", **headers)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    return samples(answer.content.decode())


def test_metrics_are_for_administrators_and_for_whoever_has_the_monitors_token(
    api: APIClient, administrator: Any, settings: Any
) -> None:
    anonymous = APIClient()
    assert anonymous.get("/api/metrics/").status_code == 401
    assert anonymous.get("/api/metrics/", HTTP_AUTHORIZATION="Bearer ").status_code == 401  # no token is set
    assert api.get("/api/metrics/").status_code == 403
    settings.TM_METRICS_TOKEN = "for-the-monitor"
    assert anonymous.get("/api/metrics/", HTTP_AUTHORIZATION="Bearer guess").status_code == 401
    assert measured(anonymous, HTTP_AUTHORIZATION="Bearer for-the-monitor")
    api.force_authenticate(administrator)
    assert measured(api)


def test_metrics_count_requests_by_route_and_tell_the_queue(api: APIClient, administrator: Any, examiner: Any) -> None:
    api.force_authenticate(administrator)
    key = frozenset(
        {"method": "GET", "route": "api/searches/<uuid:search_id>/", "status": "404", "process": "web"}.items()
    )
    before = measured(api).get(("tmportal_requests_total", key), 0)
    api.get("/api/searches/00000000-0000-0000-0000-000000000000/")
    old = Search.objects.create(owner=examiner, image="x", created_at=timezone.now() - timedelta(seconds=90))
    found = measured(api)
    assert found["tmportal_requests_total", key] == before + 1
    assert found["tmportal_searches_open", frozenset({("state", "queued")})] == 1
    assert 90 <= found["tmportal_oldest_search_wait_seconds", frozenset()] < 120
    old.delete()
    assert measured(api)["tmportal_searches_open", frozenset({("state", "queued")})] == 0


def test_the_status_page_shows_what_failed_and_why_to_administrators_only(
    client: Client, examiner: Any, administrator: Any
) -> None:
    client.force_login(examiner)
    assert client.get("/status/").status_code == 403
    client.force_login(administrator)
    empty = client.get("/status/").content.decode()
    assert "None: every search" in empty and "No search was made in the last day" in empty
    done_search(examiner, scores=[0.9], threshold=0.5)
    Search.objects.filter().update(timings={"decode": 12.0, "total": 1500.0})
    Search.objects.create(
        owner=examiner, image="x", image_name="torn.png", status=Search.Status.FAILED, error="It was torn."
    )
    full = client.get("/status/").content.decode()
    assert "torn.png" in full and "It was torn." in full
    assert "12 ms" in full and "1.5 s" in full
    assert "2 searches, 1 failed" in full
    assert "not ready" in full  # no worker runs here, and the page says so
    assert "broken" in full


def test_bars_are_as_tall_as_their_hours_have_searches() -> None:
    now = timezone.now()
    drawn = hours_chart([(now, 4, 0), (now, 2, 1)])
    assert 'height="96.0"' in drawn and 'height="48.0"' in drawn and 'height="24.0"' in drawn
    assert drawn.count("<rect") == 3
