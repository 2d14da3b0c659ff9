"""When tuning runs by itself: at the times that administrators keep under "Periodic tasks", and again after a failure.

A scheduled run belongs to the instant that the schedule named (in UTC, "2026-11-23T03:00"), whenever its message
arrives: delivered twice, late, or sent by two beats, it is one run. One that failed is tried again as a run of its own
("2026-11-23T03:00/2"), so that every failure stays in the history with its reason; the next instant ends that.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from tuning.models import TuningRun

TASK = "tuning.tasks.scheduled"
TRY_AGAIN_AFTER = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
"""How long after each failure in turn; then it is given up until the next instant."""
_LOOK_BACK = (timedelta(minutes=2), timedelta(hours=1), *(timedelta(days=d) for d in (1, 7, 31, 366, 4 * 366)))
_CLOCKS_DIFFER = timedelta(seconds=30)
"""A worker whose clock is behind beat's by so much still knows which instant is meant."""

Kind, State = TuningRun.Kind, TuningRun.State


def entries() -> list[PeriodicTask]:
    """What starts tuning by itself and is switched on."""
    return list(PeriodicTask.objects.filter(task=TASK, enabled=True).order_by("pk"))


def next_scheduled(now: datetime | None = None) -> datetime | None:
    """When beat will start the next run; None when it is switched off."""
    moment = now or timezone.now()
    return min((_after(entry.schedule, moment) for entry in entries()), default=None)


def in_words() -> str:
    """The schedule as a person reads it: "At 03:00 AM, only on Monday UTC"; empty when it is switched off."""
    return "; ".join(getattr(entry.crontab, "human_readable", "") or str(entry.schedule) for entry in entries())


def instant(now: datetime) -> datetime:
    """The latest instant that the schedule names up to now, to the minute: the one that a message sent now is for.

    A schedule without fixed instants (every 12 hours) names the minute in which it is called, once in half its length.
    """
    named = []
    for entry in entries():
        if isinstance(entry.schedule, crontab):
            named.append(_latest(entry.schedule, now + _CLOCKS_DIFFER))
        else:
            named.append(_this_or_the_last(now, getattr(entry.schedule, "run_every", timedelta(days=1)) / 2))
    found = max((one for one in named if one is not None), default=now)
    return found.astimezone(UTC).replace(second=0, microsecond=0)


def period(at: datetime, tries: int = 1) -> str:
    """The key of a run in the history; a second try has its own."""
    name = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M}"
    return name if tries == 1 else f"{name}/{tries}"


def _latest(schedule: crontab, until: datetime) -> datetime | None:
    """The last instant of a crontab that is not after `until`. None when it names none within four years."""
    for back in _LOOK_BACK:
        found = None
        at = _after(schedule, until - back)
        while at <= until:
            found, at = at, _after(schedule, at)
        if found is not None:
            return found
    return None


def _after(schedule: BaseSchedule, moment: datetime) -> datetime:
    """The first instant after a moment. The estimate of celery counts from its own now and drops fractions."""
    if not isinstance(schedule, crontab):
        return moment + schedule.remaining_estimate(moment)
    last, delta, _ = schedule.remaining_delta(moment)
    due: datetime = last + delta
    return due


def _this_or_the_last(now: datetime, window: timedelta) -> datetime:
    """Now, unless a scheduled run was asked for less than a window ago: then that one is meant."""
    last = TuningRun.objects.filter(kind=Kind.SCHEDULED, created_at__gt=now - window, created_at__lte=now)
    first_try = last.exclude(period=None).exclude(period__contains="/").order_by("-pk").first()
    return first_try.created_at if first_try else now


def failed_run() -> TuningRun | None:
    """The latest scheduled run, when it failed and nobody has made up for it by hand."""
    last = TuningRun.objects.filter(kind=Kind.SCHEDULED).exclude(period=None).order_by("-pk").first()
    if last is None or last.state != State.FAILED:
        return None
    by_hand = TuningRun.objects.filter(kind=Kind.MANUAL, pk__gt=last.pk).exclude(state=State.FAILED)
    return None if by_hand.exists() else last


def tried_again_at(failed: TuningRun, now: datetime) -> datetime | None:
    """When a failed scheduled run is tried again; None after too many failures, or with the schedule switched off.

    A failure that is dated after now (the clock was ahead) is tried again at once.
    """
    tries = _tries(failed)
    if tries > len(TRY_AGAIN_AFTER) or not entries():
        return None
    at = failed.finished_at or failed.created_at
    return now if at > now else at + TRY_AGAIN_AFTER[tries - 1]


def again(now: datetime) -> TuningRun | None:
    """The run that tries the failed one again, made when its time has come; called again it makes no second."""
    failed = failed_run()
    at = tried_again_at(failed, now) if failed else None
    if failed is None or at is None or now < at:
        return None
    wanted: dict[str, Any] = {"kind": Kind.SCHEDULED, "requested_by": "schedule"}
    made, new = TuningRun.objects.get_or_create(period=f"{_first(failed)}/{_tries(failed) + 1}", defaults=wanted)
    return made if new else None


def disown_future(now: datetime) -> None:
    """Runs of instants that have not come yet were made while the clock was ahead: those instants stay to be served."""
    ahead = TuningRun.objects.filter(kind=Kind.SCHEDULED, period__gt=period(now + timedelta(days=1)))
    ahead.exclude(state__in=[State.QUEUED, State.RUNNING]).update(period=None)


def what_follows(run: TuningRun, now: datetime | None = None) -> str:
    """What a failed scheduled run, or one that tries again, has to do with others, as a sentence; empty otherwise."""
    if run.kind != Kind.SCHEDULED or not run.period:
        return ""
    if run.state == State.FAILED:
        return _after_failure(run, now or timezone.now())
    tries = _tries(run)
    return f"Try {tries} of the run of {_first(run).replace('T', ', ')} UTC, which had failed." if tries > 1 else ""


def _after_failure(run: TuningRun, now: datetime) -> str:
    tries = _tries(run)
    next_try = TuningRun.objects.filter(period=f"{_first(run)}/{tries + 1}").first()
    if next_try is not None:
        return f"Run {next_try.pk} tried it again."
    if failed_run() != run:
        return "A later run has taken its place."
    at = tried_again_at(run, now)
    if at is None:
        why = f"it failed {tries} times" if entries() else "the schedule is switched off"
        return f"It is not tried again, because {why}. Start a run by hand when the cause is mended."
    return (
        f"It is tried again by itself on {timezone.localtime(max(at, now)):%d %B at %H:%M} "
        f"(try {tries + 1} of {len(TRY_AGAIN_AFTER) + 1})."
    )


def _first(run: TuningRun) -> str:
    return (run.period or "").partition("/")[0]


def _tries(run: TuningRun) -> int:
    return int((run.period or "").partition("/")[2] or 1)
