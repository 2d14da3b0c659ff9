"""A service under load is backed up in the middle, restored elsewhere, and everything is compared."""

import os
import sqlite3
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.live.service import ROOT, Service

pytestmark = [pytest.mark.kill, pytest.mark.slow]  # `make e2e`

QUERIES = sorted((ROOT / "search" / "demo" / "queries").glob("*"))[:4]
PLAIN = {"TM_DEMO_LIMIT": "40", "TM_AUDIT_SLOTS": "0", "TM_PLAIN_SHARE": "0"}  # the same question, the same answer
FILES = ("media", "snapshots", "vectors", "secret-key", "demo-logins.json")
CHANGES = (
    "sqlite_sequence",
    "django_session",
    "django_celery_beat_periodictask",
    "django_celery_beat_periodictasks",
    "search_search",
)
"""Tables whose rows change in the ordinary course of things."""


def manage(data_dir: Path, *arguments: str, **env: str) -> str:
    """Run a command on an installation; its output."""
    given = {**os.environ, **PLAIN, "TM_DATA_DIR": str(data_dir), "TM_LOG_LEVEL": "WARNING", **env}
    given.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def rows(data_dir: Path) -> dict[str, set[Any]]:
    """Every row of every table."""
    with sqlite3.connect(data_dir / "tmportal.sqlite3", timeout=30) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table: set(database.execute(f'SELECT * FROM "{table}"')) for table in tables}
    database.close()
    return found


def files(data_dir: Path) -> dict[str, bytes]:
    """Every file that counts, by its path."""
    found = [path for name in FILES for path in [data_dir / name, *(data_dir / name).rglob("*")] if path.is_file()]
    return {str(path.relative_to(data_dir)): path.read_bytes() for path in found if not path.name.endswith(".lock")}


class Examiner(threading.Thread):
    """Uploads, selects, reports, again and again; `done` is what the service has acknowledged."""

    def __init__(self, service: Service, token: str) -> None:
        super().__init__(daemon=True)
        self.service, self.token = service, token
        self.done: list[tuple[str, dict[str, bool]]] = []
        self.enough = threading.Event()

    def run(self) -> None:
        turn = 0
        while not self.enough.is_set():
            turn += 1
            search = self.service.search(self.token, QUERIES[turn % len(QUERIES)].read_bytes())["id"]
            page = self.service.call("GET", f"/api/searches/{search}/results/", token=self.token)[1]["results"]
            chosen = {row["mark"]: not row["selected"] for row in page[:3]}
            for mark, selected in chosen.items():
                url = f"/api/searches/{search}/results/{mark}/"
                assert self.service.call("PATCH", url, token=self.token, body={"selected": selected})[0] == 200
            assert self.service.call("POST", f"/api/searches/{search}/report/", token=self.token)[0] == 201
            self.done.append((search, chosen))


def results(service: Service, token: str, image: bytes) -> list[Any]:
    search = service.search(token, image)["id"]
    page = service.call("GET", f"/api/searches/{search}/results/", token=token)[1]["results"]
    return [(row["rank"], row["mark"], row["score"], row["similarities"], row["preselected"]) for row in page]


def test_a_service_under_load_is_backed_up_and_restored_elsewhere(tmp_path: Path) -> None:
    service = Service(tmp_path / "old", **PLAIN)
    restored = Service(tmp_path / "new", **PLAIN)
    try:
        service.start()
        token = service.token()
        examiners = [Examiner(service, token) for _ in range(3)]
        for examiner in examiners:
            examiner.start()
        service.until(lambda: all(examiner.done for examiner in examiners), 60, "the load to begin")
        manage(service.data_dir, "weigh", "colour=0.2", "--reason", "a promotion")
        before = [done for examiner in examiners for done in list(examiner.done)]
        first = manage(service.data_dir, "backup", str(tmp_path / "kept")).split(":", 1)[0]
        count = sum(len(examiner.done) for examiner in examiners)
        service.until(lambda: sum(len(e.done) for e in examiners) > count, 60, "the load to go on")
        for examiner in examiners:
            examiner.enough.set()
        for examiner in examiners:
            examiner.join(60)
        assert not any(examiner.is_alive() for examiner in examiners)

        # In the middle of it: what was acknowledged is in it, every row is as it was, and has its files.
        manage(tmp_path / "middle", "restore", first)
        middle, now = rows(tmp_path / "middle"), rows(service.data_dir)
        assert middle.keys() == now.keys()
        assert {
            table: part - now[table] for table, part in middle.items() if table not in CHANGES and part - now[table]
        } == {}
        assert len(middle["search_parametersetevent"]) == 3
        live, kept = files(service.data_dir), files(tmp_path / "middle")
        assert all(content == live[name] for name, content in kept.items() if name in live)
        with sqlite3.connect(tmp_path / "middle" / "tmportal.sqlite3") as database:
            named = {n for row in database.execute("SELECT pdf, csv FROM feedback_report") for n in row}
            named |= {
                n for (n,) in database.execute("SELECT image FROM search_search UNION SELECT image FROM search_mark")
            }
            assert named and {f"media/{name}" for name in named} <= kept.keys()
            for search, chosen in before:
                pk = uuid.UUID(search).hex
                said = database.execute(
                    "SELECT m.number, s.selected FROM feedback_selection s JOIN search_mark m ON m.id = s.mark_id"
                    " WHERE s.search_id = ? ORDER BY s.id", [pk]
                )  # fmt: skip
                assert {number: bool(selected) for number, selected in said} == chosen
                reports = "SELECT COUNT(*) FROM feedback_conclusion c JOIN feedback_report r ON r.conclusion_id = c.id"
                assert database.execute(f"{reports} WHERE c.search_id = ?", [pk]).fetchone() == (1,)
        database.close()

        # At rest: the same, to the last byte, and what was said before is said again.
        answer = results(service, token, QUERIES[0].read_bytes())
        service.stop()
        manage(service.data_dir, "backup", str(tmp_path / "kept"))
        manage(restored.data_dir, "restore", str(tmp_path / "kept"))
        assert rows(restored.data_dir) == rows(service.data_dir)
        whole = files(service.data_dir)
        pruned = {name for name in whole if name.startswith("snapshots/2") and _live(service) not in name}
        assert files(restored.data_dir) == {name: data for name, data in whole.items() if name not in pruned}
        restored.start()
        assert results(restored, token, QUERIES[0].read_bytes()) == answer
        assert restored.call("GET", f"/api/searches/{before[0][0]}/", token=token)[1]["status"] == "done"
    finally:
        service.stop()
        restored.stop()


def _live(service: Service) -> str:
    return (service.data_dir / "snapshots" / "CURRENT").read_text().strip()
