"""One service for all live tests, since a start takes its time. Where there is a compiler its clock can be moved."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.live.clock import Clock
from tests.live.service import MARKS, Service
from tests.live.test_kills import held_out_write


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock | None:
    with contextlib.suppress(OSError):
        return Clock(tmp_path_factory.mktemp("clock"))
    return None


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory, clock: Clock | None) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("live")
    held_out_write(folder / "held-out")
    environment = {"TM_HELD_OUT": str(folder / "held-out"), **(clock.env if clock else {})}
    service = Service(folder / "data", TM_DEMO_LIMIT=str(MARKS), TM_VERIFY_SECONDS="1", **environment)
    service.start()
    yield service
    service.stop()
