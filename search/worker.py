"""What a search worker does besides tasks: load the engine before it takes work, and show that it lives."""

import os
from typing import Any

from celery.signals import worker_init, worker_ready, worker_shutting_down

from search import heartbeat
from search.engine import engine

_beats: list[Any] = []


def _searches() -> bool:
    return os.environ.get("TM_ROLE") == "search-worker"


@worker_init.connect
def _warm(**_: Any) -> None:
    if _searches():
        engine.warm()


@worker_ready.connect
def _show_life(**_: Any) -> None:
    if _searches():
        _beats.append(heartbeat.start(engine.status))


@worker_shutting_down.connect
def _say_goodbye(**_: Any) -> None:
    for stop in _beats:
        stop.set()
