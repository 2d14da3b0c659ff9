"""Beat under a clock that is set."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from search import recovery
from search.retrieval import progress
from tests.steps import SteppedClock
from tmportal import timetable
from tmportal.bootstrap import ensure_schedule
from tmportal.celery import app
from tuning import schedule
from tuning.models import TuningRun

pytestmark = pytest.mark.django_db


def monday() -> PeriodicTask:
    times = CrontabSchedule.objects.create(minute="0", hour="3", day_of_week="1", timezone="UTC")
    return PeriodicTask.objects.create(name="Tuning", task=schedule.TASK, crontab=times, last_run_at=timezone.now())


def test_a_task_that_ran_while_the_clock_was_ahead_is_due_at_its_next_time() -> None:
    task = monday()
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=timezone.now() + timedelta(days=40))
    entry = timetable.Entry(PeriodicTask.objects.get(pk=task.pk), app=app)
    assert entry.is_due().next <= 7 * 86_400
    task.refresh_from_db()
    assert task.last_run_at <= timezone.now()


def test_beat_begins_anew_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = timetable.Scheduler(app=app, lazy=True)
    monkeypatch.setattr(scheduler, "_finalize", None)
    monkeypatch.setattr(timetable.DatabaseScheduler, "tick", lambda *_, **__: 5.0)
    assert scheduler.tick() == 5.0
    real = time.time
    for days in (40, -40):
        monkeypatch.setattr(time, "time", lambda days=days: real() + days * 86_400)
        with pytest.raises(SystemExit):
            scheduler.tick()


def test_beat_may_wait_for_the_database_or_the_broker_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock(monkeypatch)
    monkeypatch.setattr(progress, "_chains", {})
    scheduler = timetable.Scheduler(app=app, lazy=True)

    def tick(*_: Any, **__: Any) -> float:
        with progress.work("a statement of the database", limit=progress.DATABASE_SECONDS):
            clock.now += 30
            assert not progress.standing()
        return 5.0

    monkeypatch.setattr(timetable.DatabaseScheduler, "tick", tick)
    monkeypatch.setattr(scheduler, "_offset", time.time() - clock.now)
    for _ in range(3):
        assert scheduler.tick() == 5.0
        monkeypatch.setattr(scheduler, "_offset", time.time() - clock.now)
        clock.now += 5
        assert not progress.standing()
    clock.now += 6
    assert "the loop of beat" in progress.standing()


def test_runs_of_instants_to_come_do_not_stand_for_them() -> None:
    now = timezone.now()
    make = TuningRun.objects.create
    ahead = make(
        kind="scheduled", state="no_change", requested_by="x", period=schedule.period(now + timedelta(days=38))
    )
    past = make(kind="scheduled", state="no_change", requested_by="x", period=schedule.period(now - timedelta(days=3)))
    schedule.disown_future(now)
    assert [TuningRun.objects.get(pk=run.pk).period for run in (ahead, past)] == [None, past.period]


def test_the_services_own_upkeep_is_no_entry_that_a_clock_or_a_person_stops(settings: Any) -> None:
    often = IntervalSchedule.objects.create(every=5, period=IntervalSchedule.SECONDS)
    for name in ("search.tasks.sweep", "tuning.tasks.recover"):
        PeriodicTask.objects.create(name=name, task=name, interval=often)
    ensure_schedule()
    assert set(PeriodicTask.objects.values_list("task", flat=True)) == {schedule.TASK}
    app.autodiscover_tasks(["search", "tuning"], force=True)  # as a worker does
    assert len(recovery._jobs) == 2
