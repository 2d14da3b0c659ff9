"""What many tests share: people with roles, and a small real register behind a real engine."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from search.roles import ADMINISTRATOR, EXAMINER
from tests import pictures
from tests.broker import Broker
from tmportal.accounts.services import role_set

MARKS = 40


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start a service take longest, so they begin: other processes have other files to do meanwhile."""
    first = {"live": 0, "e2e": 1}
    items.sort(key=lambda item: first.get(item.path.parent.name, 2))


@pytest.fixture
def make_user(db: Any) -> Any:
    def make(name: str, role: str | None = EXAMINER) -> Any:
        user = get_user_model().objects.create_user(name, password="a-long-password-9")
        role_set(user=user, role=role or "")
        return user

    return make


@pytest.fixture
def examiner(make_user: Any) -> Any:
    return make_user("erin")


@pytest.fixture
def administrator(make_user: Any) -> Any:
    return make_user("ada", ADMINISTRATOR)


@pytest.fixture
def api(examiner: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(examiner)
    return client


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker whose one worker answers at once."""
    from search import questions

    broker = Broker()
    monkeypatch.setattr(questions, "connect", lambda: broker)
    monkeypatch.setattr(questions, "connect_patient", lambda: broker)
    monkeypatch.setattr(questions, "send", broker.send)
    return broker


@pytest.fixture(scope="session")
def marks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ingest folder: 40 drawn marks and their CSV."""
    folder = tmp_path_factory.mktemp("marks")
    with (folder / "marks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "name", "owner", "nice_classes", "jurisdiction", "status", "filing_date", "image"])
        for seed in range(MARKS):
            pictures.mark(seed).save(folder / f"{seed}.png")
            rare = seed % 10 == 0
            writer.writerow(
                [f"T/{seed:03}", f"Mark {seed}", f"Owner {seed % 7}", "9;25" if rare else "35",
                 "EM" if seed % 2 else "US", "registered", f"20{10 + seed % 10}-05-0{1 + seed % 9}", f"{seed}.png"]
            )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def register(
    db: Any, settings: Any, data_dir: Path, marks_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The drawn marks in the database and in a live snapshot. Descriptions are made once per session."""
    from search import engine as engine_module
    from search.growth import ingest, read_rows
    from search.snapshots import snapshot_publish

    settings.TM_DATA_DIR = data_dir
    settings.MEDIA_ROOT = data_dir / "media"
    rows, problems = read_rows(marks_folder, marks_folder / "marks.csv")
    assert not problems
    report = ingest(rows)
    assert report.added == MARKS and not report.problems
    if report.snapshot is None:
        snapshot_publish()
    return engine_module.engine
