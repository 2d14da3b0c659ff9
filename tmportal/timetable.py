"""Celery beat's scheduler, for times that administrators keep, under a wall clock that may be set."""

import contextlib
import logging
import time
from datetime import timedelta
from typing import Any

from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from search import heartbeat
from search.retrieval import progress

log = logging.getLogger(__name__)

# Celery asks a broker that is away again after some seconds, half a minute at most, for as long as a task is due.
_BROKER_SECONDS = 45.0
_JUMP_SECONDS = 30.0
_AHEAD = timedelta(minutes=1)


class Entry(ModelEntry):
    """A task that ran while the clock was ahead counts as having run now: otherwise it would rest until then."""

    last_run_at: Any

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app=app)
        now = self._default_now()
        if self.last_run_at and self.last_run_at > now + _AHEAD:
            self.last_run_at = model.last_run_at = now
            PeriodicTask.objects.filter(pk=model.pk).update(last_run_at=now)


class Scheduler(DatabaseScheduler):
    """Shows that it gets on; and begins anew when the clock was set, since what it has computed is for other times."""

    Entry = Entry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offset = time.time() - time.monotonic()
        self._open = contextlib.ExitStack()
        self._turns: progress.Work | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if self._turns is None:  # not before: Celery makes schedulers for other ends too
            self._turns = self._open.enter_context(progress.work("the loop of beat"))
            if heartbeat.role():
                heartbeat.start()
        self._turns.step()
        jumped = time.time() - time.monotonic() - self._offset
        if abs(jumped) > _JUMP_SECONDS:
            log.warning("the clock was set by %.0f s: beat starts again", jumped)
            raise SystemExit(0)  # the supervisor starts it again
        return float(super().tick(*args, **kwargs))

    def _ensure_connected(self) -> Any:
        with progress.work("beat waiting for the broker", limit=_BROKER_SECONDS):
            return super()._ensure_connected()
