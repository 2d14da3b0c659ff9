"""The search by words again on a PostgreSQL server that has pg_trgm: the one that comes as a package has not.

There the same tests run in tests/live/test_postgres.py, by reading every mark.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.test_postgres import pytest_on

pytestmark = pytest.mark.postgres


def _binaries() -> Path | None:
    """Where Debian or the path has a server with the extension."""
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).parent)
    return next((one for one in found if list(one.parent.glob("**/pg_trgm.so"))), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL with pg_trgm is installed")
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        user = "postgres"
        try:
            pwd.getpwnam(user)
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="tm-trgm-"))
    if user:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True, timeout=120)

    data = folder / "data"
    run(str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "tm", "--locale=C.UTF-8", "-E", "UTF8", "-N")
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    run(*control, "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://tm@/postgres?host={folder}"
    finally:
        run(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_the_search_by_words_is_the_same_with_pg_trgm(server: str) -> None:
    done = pytest_on(server, "tests/search/words", "-p", "tests.live.database_only")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
