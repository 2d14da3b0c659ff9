"""The administrator's pages: guarded, complete, and forgiving toward old or half-written rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from feedback.services import page_seen, search_conclude, selection_set
from search.models import ParameterSet, ParameterSetEvent, Search
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.parameters import ClusterParameters, Parameters
from search.selectors import live_parameter_set
from tests.factories import done_search, live_set
from tuning import overview, schedule
from tuning.models import ClusterDecision, TuningRun

pytestmark = pytest.mark.django_db

OTHERS = dict.fromkeys(DESCRIPTORS[3:], 0.0)
BEFORE = {"weights": {"general": 0.4, "edges": 0.3, "objects": 0.3, **OTHERS}, "threshold": 0.8, "extension": 0.15}
AFTER = {"weights": {"general": 0.5, "edges": 0.2, "objects": 0.3, **OTHERS}, "threshold": 0.75, "extension": 0.15}
FIGURE = {"before": 0.61, "after": 0.63, "difference": 0.02, "low": 0.01, "high": 0.03}


@pytest.fixture
def page(client: Client, administrator: Any) -> Client:
    client.force_login(administrator)
    return client


def body(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status
    return answer.content.decode()


def second_set() -> ParameterSet:
    """A child of the first set that went live after it, with parameters of its own for cluster 3."""
    first = live_set()
    content = first.unpack()
    own = ClusterParameters.from_json(AFTER)
    changed = Parameters(content.default, {3: own}, "k1", "d1", "c1")
    made = parameter_set_create(parameters=changed, made_by="tuning", reason="Cluster 3 is better.", parent=first)
    parameter_set_promote(parameter_set=made, expected=first, actor="tuning run 1", reason="Cluster 3 is better.")
    return made


def finished_run(**values: Any) -> TuningRun:
    now = timezone.now()
    given = {"kind": "manual", "state": "no_change", "requested_by": "ada", "finished_at": now, "progress": 1.0}
    return TuningRun.objects.create(**given | values)


def test_examiners_are_turned_away_from_everything(client: Client, examiner: Any) -> None:
    client.force_login(examiner)
    for address in ("", "runs/1/", "runs/1/state/", "parameter-sets/1/"):
        assert "for administrators" in body(client.get(f"/tuning/{address}"), 403)
    for address in ("runs/", "parameter-sets/1/roll-back/"):
        assert client.post(f"/tuning/{address}").status_code == 403
    assert not TuningRun.objects.exists()


def test_an_empty_service_says_what_will_come(page: Client) -> None:
    text = body(page.get("/tuning/"))
    for words in (
        "No parameter set is live yet",
        "No concluded search",
        "No run has finished yet",
        "No run yet",
        "Switched off",
    ):
        assert words in text


def test_the_front_page_shows_what_is_live_and_when_the_next_run_comes(page: Client) -> None:
    made = second_set()
    monday, _ = CrontabSchedule.objects.get_or_create(minute="0", hour="3", day_of_week="1")
    PeriodicTask.objects.create(name="Tuning", task=schedule.TASK, crontab=monday)
    due = schedule.next_scheduled()
    assert due is not None and timedelta() < due - timezone.now() <= timedelta(days=7, minutes=1)
    assert (due.isoweekday(), due.hour, due.minute) == (1, 3, 0)
    text = body(page.get("/tuning/"))
    assert f"P{made.pk}" in text and "Cluster 3" in text and "75.0 %" in text and "03:00" in text


def test_evidence_counts_concluded_searches_since_the_last_decision(examiner: Any, make_user: Any) -> None:
    for owner, cluster in ((examiner, 3), (make_user("olaf"), 3), (examiner, 5)):
        search = done_search(owner, scores=[0.9, 0.85, 0.4], threshold=0.8, cluster=cluster)
        Search.objects.filter(pk=search.pk).update(clusters_version="k1")
        page_seen(search=search, page=1, user=owner)
        selection_set(search=search, number="M3", selected=True, user=owner)
        search_conclude(search=search, kind="done", user=owner)
    done_search(examiner, scores=[0.9], threshold=0.8, cluster=3)  # abandoned: no evidence
    three, five = overview.evidence_so_far()
    assert (three.cluster, three.searches, three.examiners, three.added, three.removed) == (3, 2, 2, 2, 0)
    assert three.pc == pytest.approx(0.5)  # one change, two pre-selected
    assert five.cluster == 5

    run = finished_run(evidence_until=timezone.now())
    ClusterDecision.objects.create(run=run, cluster=3, searches=2, examiners=2, action="none", reason="Fits.")
    assert [one.cluster for one in overview.evidence_so_far()] == [5]
    # New parameters of the register serve cluster 5 too: what was recorded under the old ones is past.
    changed = finished_run(evidence_until=timezone.now(), state="live", proposed=live_set())
    ClusterDecision.objects.create(
        run=changed, cluster=None, searches=1, examiners=1, action="weights", state="accepted", reason="Better."
    )
    assert overview.evidence_so_far() == []


def test_evidence_under_another_clustering_does_not_count(examiner: Any) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8, cluster=5)
    Search.objects.filter(pk=search.pk).update(clusters_version="k1")
    page_seen(search=search, page=1, user=examiner)
    search_conclude(search=search, kind="done", user=examiner)
    assert [one.cluster for one in overview.evidence_so_far()] == [5]
    Search.objects.filter(cluster=5).update(clusters_version="k0")  # clustered anew since
    assert overview.evidence_so_far() == []


def test_run_now_and_dry_run_ask_for_a_run_each(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuning import services

    monkeypatch.setattr(services, "_send", lambda run: True)
    for kind, stored in (("manual", "manual"), ("dry_run", "dry_run"), ("anything", "manual")):
        answer = page.post("/tuning/runs/", {"kind": kind})
        run = TuningRun.objects.latest("id")
        assert answer.headers["Location"] == f"/tuning/runs/{run.pk}/"
        assert (run.kind, run.requested_by, run.state) == (stored, "ada", "queued")
    assert page.get("/tuning/runs/").status_code == 405


def test_a_run_shows_evidence_decision_gate_and_both_parameters(page: Client) -> None:
    made = second_set()
    gate = {"passed": True, "reason": "Not worse.", "metrics": [{"name": "map100", **FIGURE}]}
    metrics = {"map100": {"value": 0.63, "low": 0.55, "high": 0.7}, "pc": 0.19, "accuracy": 0.81}
    run = finished_run(
        state="live", proposed=made, base=made.parent, gate=gate, metrics=metrics, searches=44, reason="New parameters."
    )
    ClusterDecision.objects.create(
        run=run, cluster=3, searches=44, examiners=3, pc=0.19, dc=0.3, ac=0.5, action="weights", step=0.03,
        state="accepted", path=["PC < 8%: no"], reason="Fine-tuned.", before=BEFORE, after=AFTER,
        detail={"candidates": 512, "trials": [[0, [0.4, 0.3, 0.3], 0.8, 0.1, 0], [1, [0.5, 0.2, 0.3], 0.7, 0.4, 0.5]]},
    )  # fmt: skip
    text = body(page.get(f"/tuning/runs/{run.pk}/"))
    for words in (
        "Cluster 3", "weights within 3 %", "accepted", "PC &lt; 8%: no", "Fine-tuned.", "Not worse.", "passed",
        "Whole mark: 40.0 % before, 50.0 % after", "Threshold: 80.0 % before, 75.0 % after",
        "+2.00 points, 95 % between +1.00 and +3.00", "55.0 % to 70.0 %", 'data-way="cluster 3"', "512 candidates",
    ):  # fmt: skip
        assert words in text, words
    assert 'data-ways="cluster 3"' in text
    front = body(page.get("/tuning/"))
    assert f">{run.pk}</a>" in front and "held-out mAP@100 63.0%" in front


def test_old_or_half_written_rows_are_shown_as_far_as_they_go(page: Client) -> None:
    run = finished_run(
        metrics={"map100": {"value": None}, "pc": None, "odd": "x"},
        gate={"passed": False, "metrics": [{"name": "map100"}, "odd"]},
    )
    for cluster, values in enumerate(({}, {"before": BEFORE}, {"detail": {"trials": [[], 3], "replayed": [1]}})):
        ClusterDecision.objects.create(
            run=run, cluster=cluster, searches=1, examiners=1, action="weights", reason="?", **values
        )
    ClusterDecision.objects.create(run=run, cluster=None, searches=0, examiners=0, action="no_data", reason="Little.")
    assert "Register" in body(page.get(f"/tuning/runs/{run.pk}/"))
    body(page.get("/tuning/"))
    assert body(page.get("/tuning/runs/999/"), 404)


def test_a_run_at_work_can_be_followed(page: Client) -> None:
    run = TuningRun.objects.create(kind="manual", requested_by="ada", state="running", progress=0.4, reason="Now: 3.")
    assert "data-state=" in body(page.get(f"/tuning/runs/{run.pk}/"))
    answer = page.get(f"/tuning/runs/{run.pk}/state/")
    assert answer.json() == {"state": "running", "label": "running", "progress": 0.4, "message": "Now: 3."}
    assert "no-store" in answer.headers["Cache-Control"]
    old = timezone.now() - timedelta(minutes=1)
    waiting = TuningRun.objects.create(kind="manual", requested_by="ada", created_at=old)
    assert "does not answer" in page.get(f"/tuning/runs/{waiting.pk}/state/").json()["message"]


def test_rolling_back_needs_a_reason_and_a_tick(page: Client) -> None:
    second = second_set()
    first = second.parent
    assert first is not None
    assert "Roll back to" in body(page.get(f"/tuning/parameter-sets/{first.pk}/"))
    address = f"/tuning/parameter-sets/{first.pk}/roll-back/"
    for form, words in (
        ({"reason": "Complaints."}, "tick the box"),
        ({"reason": " ", "sure": "yes"}, "why you roll back"),
    ):
        assert words in body(page.post(address, form, follow=True))
        assert live_parameter_set() == second
    text = body(page.post(address, {"reason": "Complaints.", "sure": "yes"}, follow=True))
    assert live_parameter_set() == first
    assert f"P{first.pk} is live again" in text and "Complaints." in text
    assert "is live already" in body(page.post(address, {"reason": "Again.", "sure": "yes"}, follow=True))


def test_the_line_over_time_marks_promotions_at_their_run_and_rollbacks_after_it(page: Client) -> None:
    first = live_set()
    finished_run(metrics={"pc": 0.3}, finished_at=timezone.now(), created_at=timezone.now())
    made = second_set()
    finished_run(state="live", proposed=made, metrics={"pc": 0.2})
    page.post(f"/tuning/parameter-sets/{first.pk}/roll-back/", {"reason": "Complaints.", "sure": "yes"})
    runs = overview.finished_runs()
    points = overview.timeline_points(runs)
    assert [one.pc for one in points] == [0.3, 0.2]
    assert [one.accuracy for one in points] == pytest.approx([0.7, 0.8])
    live, back = overview.timeline_events(runs)
    assert (live.place, live.rolled_back, live.label) == (1.0, False, f"P{made.pk}")
    assert (back.place, back.rolled_back, back.label) == (1.5, True, f"↩P{first.pk}")
    assert "Complaints." in back.text


def test_the_line_over_time_keeps_the_offices_time(page: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    live_set()
    night = datetime(2026, 1, 31, 20, 15, tzinfo=UTC)  # the next morning there
    finished_run(finished_at=night, created_at=night, metrics={"pc": 0.3})
    second_set()
    ParameterSetEvent.objects.filter(actor="tuning run 1").update(at=night)
    chart = body(page.get("/tuning/"))
    assert chart.count("01 Feb 2026 01:45") >= 2, "the run and what went live"
    assert "31 Jan 2026" not in chart and "20:15" not in chart


def test_dry_and_failed_runs_are_no_part_of_the_line() -> None:
    finished_run(kind="dry_run", state="validated", metrics={"pc": 0.1})
    finished_run(state="failed")
    assert overview.finished_runs() == []
