"""The database tests again, on a real PostgreSQL server."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.service import ROOT

pytestmark = pytest.mark.postgres
SUITES = ["tests/search", "tests/feedback", "tests/tuning/test_services.py", "tests/tmportal"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    pgserver = pytest.importorskip("pgserver", reason="no PostgreSQL server comes as a package on this platform")
    try:
        # Not in pytest's own folder: each pytest closes that to other users again, and as root the server is one.
        folder = Path(tempfile.mkdtemp(prefix="tm-pg-"))
        server = pgserver.get_server(folder, cleanup_mode="stop")
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def pytest_on(database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DATABASE_URL": database}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_the_database_tests_pass_on_postgresql(postgres: str) -> None:
    probe = "from django.db import connection; print(connection.vendor)"
    env = {**os.environ, "DATABASE_URL": postgres, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", f"import django; django.setup(); {probe}"]
    shown = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "postgresql"
    done = pytest_on(
        postgres, *[suite for suite in SUITES if (ROOT / suite).exists()], "--ignore=tests/search/retrieval"
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_it_is_the_whole_service_that_knows_the_variable(postgres: str, tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE_URL": postgres, "TM_DATA_DIR": str(tmp_path), "TM_DEMO": "0"}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "manage.py", "bootstrap"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "tmportal.sqlite3").exists()
