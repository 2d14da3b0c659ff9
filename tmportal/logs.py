"""Logs: one JSON object a line from the processes of the service, one readable line from commands.

Whatever is logged while a request or a task runs carries its ids; `request` and `task` lines say how long it took and
how it ended.
"""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from celery.signals import setup_logging, task_failure, task_postrun, task_prerun
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars, clear_contextvars

from search.telemetry import SECONDS, TASK_SECONDS, TASKS

log = logging.getLogger(__name__)

_REQUESTS = Counter("tmportal_requests", "Requests answered.", ["method", "route", "status"])
_REQUEST_SECONDS = Histogram("tmportal_request_seconds", "Seconds to answer a request.", ["route"], buckets=SECONDS)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def config(*, level: str, as_json: bool) -> dict[str, Any]:
    """Django's LOGGING. Everything goes to standard error; the supervisor keeps and rotates the files."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"written": {"()": formatter, "as_json": as_json}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "written"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "celery.redirected": {"level": "WARNING"},
            "django_celery_beat": {"level": "WARNING"},
            "faiss": {"level": "WARNING"},
            "waitress.queue": {"level": "ERROR"},  # a line for each request that waits for a thread
            "django.request": {"level": "ERROR"},  # a refused request has its line already
        },
    }


def formatter(*, as_json: bool) -> structlog.stdlib.ProcessorFormatter:
    """What turns a record, its extra facts and the ids of the moment into a line."""
    # A traceback as Python writes it: where `rich` is installed the default draws every local variable, passwords too.
    plain = structlog.dev.plain_traceback
    drawn: list[Any] = [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=plain)]
    if as_json:
        drawn = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *drawn],
    )


class RequestLogMiddleware:
    """First in the chain: gives the request an id, counts it and writes its line. Query strings are left out: they
    hold what somebody searched for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        request_id = uuid.uuid4().hex
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
            seconds = time.perf_counter() - began
            self._write(request, response.status_code, seconds)
        finally:
            clear_contextvars()
        response.headers["X-Request-ID"] = request_id
        return response

    def _write(self, request: HttpRequest, status: int, seconds: float) -> None:
        match = request.resolver_match
        # Labels are the routes, of which there are few, never the paths, of which strangers can make any number.
        route = match.route if match else "(none)"
        method = request.method if request.method in _METHODS else "other"
        _REQUESTS.labels(method, route, str(status)).inc()
        _REQUEST_SECONDS.labels(route).observe(seconds)
        facts = {
            "method": method, "path": request.path, "route": route, "status": status,
            "seconds": round(seconds, 4), "outcome": "error" if status >= 500 else "refused" if status >= 400 else "ok",
            "user_id": _user_id(request), "address": request.META.get("REMOTE_ADDR"),
        }  # fmt: skip
        if match and "search_id" in match.kwargs:
            facts["search_id"] = str(match.kwargs["search_id"])
        log.info("request", extra=facts)


def _user_id(request: HttpRequest) -> int | None:
    """Who asked, if the request has found out; asking only for the log would cost a query."""
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)
    return getattr(user, "pk", None)


@setup_logging.connect
def _as_in_settings(**_: Any) -> None:
    """Celery would set the root logger to its own level and format; with a receiver here it leaves it as it is."""


_began: dict[str, float] = {}


@task_prerun.connect
def _task_begins(task_id: str, task: Any, args: Any, **_: Any) -> None:
    _began[task_id] = time.perf_counter()
    clear_contextvars()
    bind_contextvars(task_id=task_id, task=task.name)


@task_failure.connect
def _task_fails(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    log.error("task failed", extra={"task": sender.name, "task_id": task_id}, exc_info=exception)


@task_postrun.connect
def _task_ends(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    seconds = time.perf_counter() - _began.pop(task_id, time.perf_counter())
    outcome = "ok" if state == "SUCCESS" else "error"
    TASKS.labels(task.name, outcome).inc()
    TASK_SECONDS.labels(task.name).observe(seconds)
    log.info("task", extra={"seconds": round(seconds, 4), "outcome": outcome})
    clear_contextvars()
