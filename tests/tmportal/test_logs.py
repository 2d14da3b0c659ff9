"""Every request and task leaves one line that a program can read: ids, duration, outcome, and no search words."""

import json
import logging
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import shared_task
from rest_framework.test import APIClient

from tests.factories import done_search
from tmportal import logs

pytestmark = pytest.mark.django_db


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logs.formatter(as_json=True))
        self.found: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(json.loads(self.format(record)))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.found if line["event"] == event]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_request_leaves_one_line_with_its_ids_duration_and_outcome(
    api: APIClient, examiner: Any, lines: Lines
) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.5)
    answer = api.get(f"/api/searches/{search.pk}/", {"secret": "coffee"})
    (line,) = lines.of("request")
    assert line["request_id"] == answer.headers["X-Request-ID"] and len(line["request_id"]) == 32
    assert (line["user_id"], line["search_id"]) == (examiner.pk, str(search.pk))
    assert (line["method"], line["status"], line["outcome"]) == ("GET", 200, "ok")
    assert line["route"] == "api/searches/<uuid:search_id>/" and line["seconds"] > 0
    assert "coffee" not in json.dumps(line)


@pytest.mark.parametrize(("address", "status"), [("/api/searches/", 401), ("/nowhere/%0aforged", 404)])
def test_what_is_refused_says_so_and_names_nobody(address: str, status: int, lines: Lines) -> None:
    assert APIClient().get(address).status_code == status
    (line,) = lines.of("request")
    assert line["status"] == status and line["user_id"] is None
    assert line["outcome"] == "refused"


def test_what_is_logged_during_a_request_carries_its_id(
    api: APIClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr("search.api.search_get", fail)
    api.raise_request_exception = False
    answer = api.get(f"/api/searches/{uuid.uuid4()}/")
    assert answer.status_code == 500
    (failed,) = lines.of("the API failed")
    assert failed["request_id"] == answer.headers["X-Request-ID"] and "RuntimeError: inside" in failed["exception"]
    (line,) = lines.of("request")
    assert line["outcome"] == "error"


def test_a_commands_line_is_readable_and_has_the_facts() -> None:
    record = logging.LogRecord("a.b", logging.WARNING, __file__, 1, "bad %s", ("one\ntwo",), None)
    record.seconds = 1.5
    line = logs.formatter(as_json=False).format(record)
    assert "warning" in line and "a.b" in line and "seconds=1.5" in line


def test_a_commands_traceback_shows_no_values() -> None:
    secret = "hunter" + "2"
    try:
        raise ValueError("torn")
    except ValueError:
        record = logging.LogRecord("a.b", logging.ERROR, __file__, 1, "bad", (), sys.exc_info())
    line = logs.formatter(as_json=False).format(record)
    assert "Traceback" in line and "ValueError: torn" in line and secret not in line


@shared_task(name="tests.whole")
def whole() -> None:
    logging.getLogger("inside").info("at work")


@shared_task(name="tests.torn")
def torn() -> None:
    raise ValueError("torn")


def test_a_task_leaves_a_line_too(lines: Lines) -> None:
    task_id = whole.apply().id
    torn.apply()
    (inside,) = lines.of("at work")
    assert (inside["task"], inside["task_id"]) == ("tests.whole", task_id)
    done, failed = lines.of("task")
    assert (done["task"], done["outcome"], failed["task"], failed["outcome"]) == (
        "tests.whole",
        "ok",
        "tests.torn",
        "error",
    )
    (reason,) = lines.of("task failed")
    assert "ValueError: torn" in reason["exception"]
