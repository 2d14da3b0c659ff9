"""The database tests again, on a real PostgreSQL server."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
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
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip


def test_the_database_tests_pass_on_postgresql(postgres: str) -> None:
    probe = "from django.db import connection; print(connection.vendor)"
    env = {**os.environ, "DATABASE_URL": postgres, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", f"import django; django.setup(); {probe}"]
    shown = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "postgresql"
    done = pytest_on(
        postgres,
        *[suite for suite in SUITES if (ROOT / suite).exists()],
        "--ignore=tests/search/retrieval",
        "--ignore=tests/search/training",
        "-p",
        "tests.live.database_only",
        "-m",
        "not slow and not gpu",
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_it_is_the_whole_service_that_knows_the_variable(postgres: str, tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE_URL": postgres, "TM_DATA_DIR": str(tmp_path), "TM_DEMO": "0"}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "manage.py", "bootstrap"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "tmportal.sqlite3").exists()


def test_a_backup_of_the_tables_is_restored_into_another_database(postgres: str, tmp_path: Path) -> None:
    """Rows keep coming while the tables are read: the copy is of one instant, whatever the order of the tables."""
    with psycopg.connect(postgres, autocommit=True) as server:
        for name in ("office", "elsewhere"):
            server.execute(f"CREATE DATABASE {name}")
    office, elsewhere = (postgres.replace("/postgres?", f"/{name}?") for name in ("office", "elsewhere"))

    def manage(database: str, data: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DATABASE_URL": database, "TM_DATA_DIR": str(tmp_path / data), "TM_DEMO": "0"}
        env.pop("DJANGO_SETTINGS_MODULE", None)
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    done = manage(office, "old", "bootstrap")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(office) as rows:
        rows.execute(
            "INSERT INTO search_mark (number, name, owner, nice_classes, jurisdiction, status, image, image_sha256,"
            " width, height, source, licence, created_at, updated_at)"
            " SELECT 'N' || n, 'Łódź \t' || n, '', '[]', '', '',"
            " 'marks/' || n, n, 0, 0, '', '', now(), now() FROM generate_series(1, 500) n"
        )
        rows.execute(
            "INSERT INTO search_parameterset (parameters, made_by, reason, evidence, created_at)"
            " VALUES ('{}', 'test', '', '{}', now())"
        )
        rows.execute(
            "INSERT INTO search_livepointer (parameter_set_id, since) SELECT id, now() FROM search_parameterset"
        )
    enough = threading.Event()

    def write() -> None:
        """A search and its event, in one transaction: never one without the other."""
        with psycopg.connect(office) as rows:
            while not enough.wait(0.002):
                with rows.transaction():
                    rows.execute("UPDATE search_mark SET owner = 'turn ' || txid_current()")
                    rows.execute(
                        "INSERT INTO search_parametersetevent (parameter_set_id, kind, actor, reason, at)"
                        " SELECT parameter_set_id, 'live', 'turn ' || txid_current(), 'ünder\nload', now()"
                        " FROM search_livepointer"
                    )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = manage(office, "old", "backup", str(tmp_path / "kept"))
    finally:
        enough.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    done = manage(elsewhere, "new", "restore", str(tmp_path / "kept"))
    assert done.returncode == 0, done.stderr
    copied = _rows(elsewhere)
    turns = [actor for (actor,) in copied["search_parametersetevent", "actor"] if actor.startswith("turn")]
    owners = {owner for (owner,) in copied["search_mark", "owner"]}
    assert len(turns) > 1 and owners == {max(turns, key=lambda turn: int(turn.split()[1]))}

    # At rest every row of every table, and another restore only when told; then the next row gets the next number.
    assert manage(office, "old", "backup", str(tmp_path / "kept")).returncode == 0
    refused = manage(elsewhere, "new", "restore", str(tmp_path / "kept"))
    assert refused.returncode == 1 and "--replace" in refused.stderr
    done = manage(elsewhere, "new", "restore", str(tmp_path / "kept"), "--replace")
    assert done.returncode == 0, done.stderr
    assert _rows(elsewhere) == _rows(office)
    assert list((tmp_path / "new").glob("before-restore-*/database/search_mark.copy"))
    last = "SELECT MAX(id) FROM search_parametersetevent"
    with psycopg.connect(elsewhere) as rows:
        before = rows.execute(last).fetchone()[0]
        rows.execute(
            "INSERT INTO search_parametersetevent (parameter_set_id, kind, actor, reason, at)"
            " SELECT parameter_set_id, 'live', 'after', '', now() FROM search_livepointer"
        )
        assert rows.execute(last).fetchone()[0] == before + 1


def _rows(database: str) -> dict[tuple[str, str], list[Any]]:
    """Every column of every table, sorted."""
    with psycopg.connect(database) as rows:
        columns = rows.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
        return {
            (table, column): sorted(rows.execute(f'SELECT "{column}" FROM "{table}"').fetchall(), key=repr)
            for table, column in columns
        }
