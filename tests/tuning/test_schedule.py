"""A run for every instant of the schedule, whatever it is, once; and again when one failed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import crontab
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from tuning import schedule, services, tasks
from tuning.models import TuningRun
from tuning.services import recover, run_scheduled

pytestmark = pytest.mark.django_db
State = TuningRun.State
MONDAY = datetime(2026, 11, 23, 3, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(minute: str = "0", hour: str = "3", day_of_week: str = "*", zone: str = "UTC", **more: str) -> PeriodicTask:
    times = CrontabSchedule.objects.create(
        minute=minute, hour=hour, day_of_week=day_of_week, timezone=ZoneInfo(zone), **more
    )
    return PeriodicTask.objects.create(name=f"Tuning {times.pk}", task=schedule.TASK, crontab=times)


@pytest.fixture
def instant_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end at once: these tests are about when there is one."""

    def done(run: TuningRun) -> None:
        services._close(run, State.NO_CHANGE, "Nothing to do.")

    monkeypatch.setattr(services, "_carry_out", done)


def periods() -> list[str | None]:
    return list(TuningRun.objects.order_by("pk").values_list("period", flat=True))


def test_a_daily_schedule_runs_daily(db: Any, instant_work: None) -> None:
    at()
    for day in range(3):
        assert run_scheduled(now=MONDAY + day * DAY) == State.NO_CHANGE
    assert periods() == ["2026-11-23T03:00", "2026-11-24T03:00", "2026-11-25T03:00"]


@pytest.mark.parametrize(
    ("fields", "moments", "runs"),
    [
        ({"day_of_week": "1"}, [MONDAY, MONDAY + 6 * DAY, MONDAY + 7 * DAY], 2),
        ({"hour": "*/6"}, [MONDAY, MONDAY + 3 * HOUR, MONDAY + 9 * HOUR], 3),
        ({"minute": "*", "hour": "*"}, [MONDAY, MONDAY + MINUTE, MONDAY + 2 * MINUTE], 3),
        ({"day_of_month": "1"}, [MONDAY + 8 * DAY, MONDAY + 20 * DAY, MONDAY + 39 * DAY], 2),
        ({"day_of_month": "29", "month_of_year": "2"}, [MONDAY, MONDAY + 400 * DAY, MONDAY + 900 * DAY], 2),
    ],
)
def test_there_is_one_run_for_each_instant_of_the_schedule(
    db: Any, instant_work: None, fields: dict[str, str], moments: list[datetime], runs: int
) -> None:
    at(**fields)
    for moment in moments:
        run_scheduled(now=moment)
    assert len(set(periods())) == runs


def test_a_message_that_comes_twice_or_late_or_from_a_clock_behind_is_one_run(db: Any, instant_work: None) -> None:
    at()
    for late in (timedelta(), timedelta(seconds=1), MINUTE, 7 * HOUR, timedelta(seconds=-20), 23 * HOUR + 59 * MINUTE):
        assert run_scheduled(now=MONDAY + late) == State.NO_CHANGE
    assert periods() == ["2026-11-23T03:00"]
    assert tasks.scheduled.apply().get() == State.NO_CHANGE and len(periods()) == 2  # now, by the task


def test_an_edited_schedule_is_followed_from_then_on(db: Any, instant_work: None) -> None:
    entry = at(day_of_week="1")
    run_scheduled(now=MONDAY)
    entry.crontab = CrontabSchedule.objects.create(minute="30", hour="4", timezone=ZoneInfo("Europe/Berlin"))
    entry.save()
    for day in (1, 2):
        run_scheduled(now=MONDAY + day * DAY + 30 * MINUTE)
    assert periods() == ["2026-11-23T03:00", "2026-11-24T03:30", "2026-11-25T03:30"]
    assert schedule.next_scheduled(MONDAY) == MONDAY + 30 * MINUTE
    assert schedule.in_words() == "At 04:30 AM Europe/Berlin"


def test_two_entries_are_both_followed_and_one_that_is_off_is_not(db: Any, instant_work: None) -> None:
    at(day_of_week="1")
    at(day_of_week="4", hour="12")
    off = at(day_of_week="2")
    PeriodicTask.objects.filter(pk=off.pk).update(enabled=False)
    for moment in (MONDAY, MONDAY + DAY, MONDAY + 3 * DAY + 9 * HOUR):
        run_scheduled(now=moment)
    assert periods() == ["2026-11-23T03:00", "2026-11-26T12:00"]
    assert schedule.next_scheduled(MONDAY + DAY) == MONDAY + 3 * DAY + 9 * HOUR


def test_every_twelve_hours_is_followed_too(db: Any, instant_work: None) -> None:
    every = IntervalSchedule.objects.create(every=12, period=IntervalSchedule.HOURS)
    PeriodicTask.objects.create(name="Tuning", task=schedule.TASK, interval=every)
    start = timezone.now()
    run_scheduled(now=start)
    for seconds in (1, 59, 61, 3600):
        run_scheduled(now=start + timedelta(seconds=seconds))
    assert len(periods()) == 1
    run_scheduled(now=start + 12 * HOUR)
    assert len(periods()) == 2


def test_the_latest_instant_is_the_one_that_walking_every_minute_finds() -> None:
    for fields in ({"minute": "17", "hour": "*/5"}, {"minute": "5,50", "hour": "2-4", "day_of_week": "sat,sun"}):
        times = crontab(**fields)
        for step in range(0, 9 * 24 * 60, 137):
            moment = MONDAY + step * MINUTE
            walked = moment
            while not (
                walked.minute in times.minute
                and walked.hour in times.hour
                and walked.isoweekday() % 7 in times.day_of_week
            ):
                walked -= MINUTE
            assert schedule._latest(times, moment) == walked, (fields, moment)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs fail with the first of these sentences as long as there are any."""
    sentences = ["The disk is full."]

    def carry_out(run: TuningRun) -> None:
        if sentences:
            raise ValueError(sentences[0])
        services._close(run, State.NO_CHANGE, "Nothing to do.")

    monkeypatch.setattr(services, "_carry_out", carry_out)
    monkeypatch.setattr(services, "_send", lambda run: services.run_carry_out(run_id=run.pk) != "")
    return sentences


def ago(run: TuningRun, age: timedelta) -> None:
    """Date a run back, as if its failure were so long ago."""
    TuningRun.objects.filter(pk=run.pk).update(finished_at=timezone.now() - age)


def test_a_failed_monday_is_tried_again_until_it_holds(failing: list[str]) -> None:
    at(day_of_week="1")
    assert run_scheduled() == State.FAILED
    first = TuningRun.objects.get()
    assert recover()["again"] == 0  # not at once
    assert "It is tried again by itself on " in schedule.what_follows(first) and "try 2 of 5" in schedule.what_follows(
        first
    )
    ago(first, schedule.TRY_AGAIN_AFTER[0] - MINUTE)
    assert recover()["again"] == 0
    ago(first, schedule.TRY_AGAIN_AFTER[0])
    assert recover()["again"] == 1
    second = TuningRun.objects.latest("pk")
    assert (second.state, second.period, second.kind) == (State.FAILED, f"{first.period}/2", "scheduled")
    failing.clear()
    ago(second, schedule.TRY_AGAIN_AFTER[1])
    assert (recover()["again"], recover()["again"]) == (1, 0)
    third = TuningRun.objects.latest("pk")
    assert third.state == State.NO_CHANGE and TuningRun.objects.count() == 3
    first.refresh_from_db()
    assert first.state == State.FAILED and first.reason == "The disk is full."  # the history keeps it
    assert schedule.what_follows(first) == f"Run {second.pk} tried it again."
    assert schedule.what_follows(third).startswith("Try 3 of the run of ")
    assert schedule.failed_run() is None


def test_the_console_says_that_it_failed_why_and_when_it_is_tried_again(failing: list[str], administrator: Any) -> None:
    at(day_of_week="1")
    run_scheduled()
    run = TuningRun.objects.get()
    client = Client()
    client.force_login(administrator)
    for address in ("/tuning/", f"/tuning/runs/{run.pk}/"):
        text = " ".join(client.get(address).content.decode().split())
        assert "The disk is full." in text and "It is tried again by itself on " in text, address
    front = " ".join(client.get("/tuning/").content.decode().split())
    assert "At 03:00 AM, only on Monday UTC" in front and "weekly" not in front
    failing.clear()
    ago(run, DAY)
    recover()
    assert "It is tried again" not in client.get("/tuning/").content.decode()
    assert "tried it again." in client.get(f"/tuning/runs/{run.pk}/").content.decode()


def test_a_run_that_fails_every_time_is_given_up_and_says_so(failing: list[str]) -> None:
    at(day_of_week="1")
    run_scheduled()
    for _ in range(8):
        ago(TuningRun.objects.latest("pk"), DAY)
        recover()
    assert TuningRun.objects.count() == 1 + len(schedule.TRY_AGAIN_AFTER)
    last = schedule.what_follows(TuningRun.objects.latest("pk"))
    assert last.startswith("It is not tried again, because it failed 5 times. Start a run by hand")


def test_the_next_instant_a_run_by_hand_and_a_schedule_switched_off_end_the_trying(failing: list[str]) -> None:
    entry = at()
    run_scheduled(now=MONDAY)
    monday = TuningRun.objects.get()
    run_scheduled(now=MONDAY + DAY)
    tuesday = TuningRun.objects.latest("pk")
    assert schedule.what_follows(monday) == "A later run has taken its place."
    PeriodicTask.objects.filter(pk=entry.pk).update(enabled=False)
    ago(tuesday, DAY)
    assert recover()["again"] == 0 and "switched off" in schedule.what_follows(tuesday)
    PeriodicTask.objects.filter(pk=entry.pk).update(enabled=True)
    by_hand = TuningRun.objects.create(kind="manual", requested_by="ada", state=State.FAILED)
    assert schedule.failed_run() == tuesday  # it failed as well, so nothing has made up for it
    TuningRun.objects.filter(pk=by_hand.pk).update(state=State.NO_CHANGE)
    assert recover()["again"] == 0 and TuningRun.objects.count() == 3


def test_a_failure_dated_in_the_future_is_tried_again_all_the_same(failing: list[str]) -> None:
    at(day_of_week="1")
    run_scheduled()
    ago(TuningRun.objects.get(), -40 * DAY)  # the clock was ahead
    assert recover()["again"] == 1


@pytest.mark.django_db(transaction=True)
def test_an_old_data_directory_keeps_its_schedule_and_its_weeks(request: pytest.FixtureRequest) -> None:
    def to(targets: list[tuple[str, str]]) -> Any:
        MigrationExecutor(connection).migrate(targets)
        return MigrationExecutor(connection).loader.project_state(targets).apps

    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    request.addfinalizer(lambda: MigrationExecutor(connection).migrate(newest))
    to([("tuning", "0003_guards")])
    times = CrontabSchedule.objects.create(minute="0", hour="5")
    PeriodicTask.objects.create(name="Weekly tuning", task="tuning.tasks.weekly", crontab=times)
    TuningRun.objects.create(kind="scheduled", state=State.LIVE, period="2026-W47", requested_by="schedule")
    to(newest)
    entry = PeriodicTask.objects.get(task=schedule.TASK)
    assert (entry.name, entry.crontab.hour) == ("Tuning", "5")
    old = TuningRun.objects.get()
    assert (old.period, schedule.what_follows(old)) == ("2026-W47", "")
