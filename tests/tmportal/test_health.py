"""Health says what is broken, and only then that nothing is."""

import errno
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import DatabaseError, connection
from rest_framework.test import APIClient

from search import heartbeat, waiting
from search.retrieval.snapshot import SnapshotStore
from tmportal import health as health_module
from tmportal.health import PARTS, STALE_SECONDS

pytestmark = pytest.mark.django_db
GOOD = {"note": "", "waits": "", "trouble": "", "damage": "", "asked": 2.0}


@pytest.fixture
def beats(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Role -> the processes that beat; a whole service at first."""
    settings.TM_DATA_DIR = tmp_path
    monkeypatch.setattr(SnapshotStore, "manifest", lambda *_: {"left_out": 0})
    search = {"w1": {**GOOD, "snapshot": "s1"}}
    living: dict[str, dict[str, Any]] = {"search-worker": search, "tuning-worker": {"t": {}}, "beat": {"b": {}}}
    monkeypatch.setattr(heartbeat, "alive", lambda role="search-worker": living[role])
    monkeypatch.setattr(waiting, "progress", lambda: None)
    return living


def ready() -> tuple[int, dict[str, Any]]:
    answers = [APIClient().get(f"/api/health/{route}") for route in ("", "ready/")]
    assert answers[0].json() == answers[1].json()
    return answers[1].status_code, answers[1].json()


def test_a_whole_service_is_ready(beats: Any) -> None:
    status, told = ready()
    assert status == 200 and told["status"] == "ok" and told["parts"] == dict.fromkeys(PARTS, "ok")
    assert (told["broker"], told["database"], told["worker"]) == ("ok", "ok", "ok")
    assert told["snapshot"] == "s1" and told["progress"] is None


@pytest.mark.parametrize(
    ("change", "part", "said"),
    [
        ({"snapshot": None}, "worker", "is starting"),
        ({"snapshot": None, "waits": "Snapshot X is damaged."}, "snapshot", "X is damaged"),
        ({"asked": STALE_SECONDS + 5}, "worker", "has not tried the kept search for 65 s"),
        ({"asked": None}, "worker", "has not tried"),
        ({"trouble": "The kept search of X is answered otherwise."}, "worker", "otherwise"),
    ],
)
def test_a_worker_that_does_not_answer_as_it_should_is_not_ready(
    beats: Any, change: dict[str, Any], part: str, said: str
) -> None:
    beats["search-worker"]["w1"] |= change
    status, told = ready()
    assert status == 503 and told["status"] == "unavailable" and said in told["parts"][part]
    # Another one that does answer is enough, and the broken one is still named.
    beats["search-worker"]["w2"] = {**GOOD, "snapshot": "s"}
    status, told = ready()
    assert status == 200 and told["status"] == "degraded" and said in told["parts"][part]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"note": "X is damaged. Y serves instead."}, "Y serves"), ({"damage": "X has changed."}, "X has changed")],
)
def test_a_damaged_snapshot_that_another_stands_in_for_is_named(beats: Any, change: Any, said: str) -> None:
    beats["search-worker"]["w1"] |= change
    status, told = ready()
    assert status == 200 and told["status"] == "degraded" and said in told["parts"]["snapshot"]


@pytest.mark.parametrize(("role", "part"), [("tuning-worker", "tuning"), ("beat", "beat")])
def test_parts_without_which_searches_go_on_are_named(beats: Any, role: str, part: str) -> None:
    beats[role] = {}
    status, told = ready()
    assert status == 200 and told["status"] == "degraded"
    assert [name for name, said in told["parts"].items() if said != "ok"] == [part]


def test_no_worker_no_broker_no_database(
    beats: Any, client: Any, administrator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats["search-worker"] = {}
    assert ready()[0] == 503 and ready()[1]["worker"] == "No search worker is running."

    def away(role: str = "") -> Any:
        raise redis.ConnectionError

    monkeypatch.setattr(heartbeat, "alive", away)
    status, told = ready()
    assert status == 503 and told["broker"] == "The broker does not answer." and "Unknown" in told["parts"]["tuning"]
    client.force_login(administrator)
    page = client.get("/").content.decode()
    assert page.count("while the broker does not answer") == page.count("The broker does not answer.") == 1

    def refused() -> None:
        raise DatabaseError

    monkeypatch.setattr(connection, "cursor", refused)
    assert ready()[1]["database"] == "The database does not answer."


Room = namedtuple("Room", "f_bavail f_frsize f_flag")


@pytest.mark.parametrize(
    ("room", "status", "said"),
    [
        (Room(10**9, 4096, 0), 200, "ok"),
        (Room(100 * 256, 4096, 0), 200, "Only 100 MB are free"),
        (Room(10 * 256, 4096, 0), 503, "Only 10 MB are free"),
        (Room(10**9, 4096, 1), 503, "cannot be written to"),
    ],
)
def test_the_disk(beats: Any, monkeypatch: pytest.MonkeyPatch, room: Any, status: int, said: str) -> None:
    monkeypatch.setattr(health_module.os, "statvfs", lambda _: room)
    found, told = ready()
    assert found == status and said in told["parts"]["disk"]


def test_a_disk_that_cannot_be_asked(beats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(health_module.os, "statvfs", broken)
    assert ready()[0] == 503 and "Input/output error" in ready()[1]["parts"]["disk"]


def test_the_register_being_described_again_says_how_long(
    beats: Any, monkeypatch: pytest.MonkeyPatch, client: Any, administrator: Any
) -> None:
    beats["search-worker"]["w1"] |= {"snapshot": None, "waits": "Made with other descriptors."}
    monkeypatch.setattr(waiting, "progress", lambda: {"done": 1216, "of": 2400, "minutes": 1})
    status, told = ready()
    sentence = "The register is being described for this release: 1,216 of 2,400 marks, about 1 minute left."
    assert status == 503 and told["progress"] == {"done": 1216, "of": 2400, "minutes": 1}
    assert told["parts"]["snapshot"] == f"Made with other descriptors. {sentence}"
    monkeypatch.setattr(waiting, "sentence_now", waiting._Kept().get)
    client.force_login(administrator)
    page = client.get("/").content.decode()
    assert f"{sentence} A search that you start now is kept and begins by itself." in page
    assert "Made with other descriptors." in page


def test_an_examiner_sees_no_trouble_of_the_service(
    beats: Any, client: Any, examiner: Any, administrator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "sentence_now", waiting._Kept().get)
    beats["search-worker"]["w1"] |= {"damage": "index.faiss has changed."}
    client.force_login(examiner)
    assert "index.faiss" not in client.get("/").content.decode()
    client.force_login(administrator)
    assert "index.faiss has changed." in client.get("/").content.decode()


def test_marks_that_are_not_in_the_index_are_counted(beats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SnapshotStore, "manifest", lambda *_: {"left_out": 3})
    status, told = ready()
    assert status == 200 and told["parts"]["snapshot"].startswith("3 marks are not in the index")


def test_alive_asks_neither_database_nor_broker(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(heartbeat, "alive", lambda *_: 1 / 0)
    with django_assert_num_queries(0):
        answer = APIClient().get("/api/health/alive/")
    assert answer.status_code == 200 and answer.json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, ""),
        ({"done": 5, "of": 5, "minutes": None}, "The index of the register is being built again."),
        ({"done": 0, "of": 5, "minutes": None}, "0 of 5 marks, it has just begun."),
        ({"done": 1, "of": 5000, "minutes": 40}, "1 of 5,000 marks, about 40 minutes left."),
        ({"failed": "The disk is full."}, "could not be built: The disk is full."),
    ],
)
def test_progress_in_words(state: Any, said: str) -> None:
    assert waiting.sentence(state).endswith(said) and bool(waiting.sentence(state)) == bool(said)
