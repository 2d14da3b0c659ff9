"""What brings back dropped work every few seconds, in every worker process, by a clock that cannot be set."""

import logging
import os
import threading
from collections.abc import Callable

import redis
from django.db import DatabaseError, close_old_connections

from search.retrieval import progress

log = logging.getLogger(__name__)

SECONDS = 5.0
_jobs: dict[str, Callable[[], object]] = {}


def every_few_seconds(name: str, job: Callable[[], object]) -> None:
    """Have workers run `job` again and again. It must be safe to run at any time, in several processes at once."""
    _jobs[name] = job


def start() -> threading.Event:
    """Run the jobs in a daemon thread of their own until the returned event is set."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(SECONDS):
            once()

    threading.Thread(target=run, name="recovery", daemon=True).start()
    return stop


def once() -> None:
    """Each job once; what fails now is tried again the next time."""
    for name, job in _jobs.items():
        with progress.work(name):
            close_old_connections()
            try:
                job()
            except (DatabaseError, redis.RedisError, OSError) as away:
                log.warning("%s waits: %s", name, away)
            except Exception:
                log.exception("%s failed in process %s", name, os.getpid())
            finally:
                close_old_connections()
