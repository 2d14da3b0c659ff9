"""Processes are killed outright in mid-task: nothing recorded is lost, nothing is half applied."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from search.queue import BATCH
from search.retrieval.imaging import MAX_BYTES
from tests.live.service import ROOT, Service
from tests.search.retrieval.large import SIZE, large, webp_of_nothing

pytestmark = [pytest.mark.kill]
DEMO = ROOT / "search" / "demo"
QUERY = sorted((DEMO / "queries").glob("*"))[0]


def held_out_write(folder: Path) -> None:
    """Twelve of the demo's last families and some distractors, none of them in the small register."""
    splits = json.loads((DEMO / "splits.json").read_text())
    chosen = {name: [str(group) for group in groups][-6:] for name, groups in splits.items()}
    wanted = {group for groups in chosen.values() for group in groups}
    for name in ("queries", "pool"):
        (folder / name).mkdir(parents=True)
    for path in (DEMO / "queries").iterdir():
        if path.stem.split("-")[1] in wanted:
            shutil.copy(path, folder / "queries")
    for path in sorted((DEMO / "pool").iterdir())[-60:]:
        shutil.copy(path, folder / "pool")
    (folder / "splits.json").write_text(json.dumps(chosen))


def query(service: Service, sql: str, *values: Any) -> list[Any]:
    with sqlite3.connect(service.data_dir / "tmportal.sqlite3", timeout=30) as database:
        return database.execute(sql, values).fetchall()


def live_pointer(service: Service) -> Any:
    return query(service, "SELECT parameter_set_id, since FROM search_livepointer")


def test_a_search_survives_the_death_of_its_worker(service: Service) -> None:
    token = service.token()
    image = QUERY.read_bytes()
    ids = [service.call("POST", "/api/searches/", token=token, image=image)[1]["id"] for _ in range(12)]
    service.kill("search-worker")
    states = [service.finished(token, search, 90)["status"] for search in ids]
    assert states == ["done"] * len(ids)
    for search in ids:  # whole answers, each once
        rows = query(
            service,
            "SELECT COUNT(*), COUNT(DISTINCT mark_id) FROM search_searchresult WHERE search_id = ?",
            search.replace("-", ""),
        )
        count = service.call("GET", f"/api/searches/{search}/", token=token)[1]["count"]
        assert rows == [(count, count)] and count > 0


def test_with_the_broker_away_searches_wait_selections_are_saved_and_the_message_says_so(service: Service) -> None:
    token = service.token()
    image = QUERY.read_bytes()
    done = service.search(token, image)
    mark = service.call("GET", f"/api/searches/{done['id']}/results/", token=token)[1]["results"][-1]["mark"]
    broker = service.processes("broker")[0]
    os.kill(service.process.pid, signal.SIGSTOP)  # its watchdog would replace the broker
    os.kill(broker.pid, signal.SIGSTOP)  # there, but answers nobody: the worst way to be away
    try:
        began = time.monotonic()
        status, waiting = service.call("POST", "/api/searches/", token=token, image=image)
        assert status in (201, 202) and waiting["status"] == "queued"
        assert time.monotonic() - began < 15
        status, saved = service.call(
            "PATCH", f"/api/searches/{done['id']}/results/{mark}/", token=token, body={"selected": True}
        )
        assert status == 200 and saved["selected"] is True
        service.until(
            lambda: "kept" in service.call("GET", f"/api/searches/{waiting['id']}/", token=token)[1]["message"],
            20,
            "a clear message",
        )
        status, health = service.call("GET", "/api/health/")
        assert status == 503 and health["broker"] == "The broker does not answer."
    finally:
        broker.kill()
        os.kill(service.process.pid, signal.SIGCONT)
    assert service.finished(token, waiting["id"], 90)["status"] == "done"
    rows = service.call("GET", f"/api/searches/{done['id']}/results/", token=token)[1]["results"]
    assert next(row for row in rows if row["mark"] == mark)["selected"] is True
    service.until(service.healthy, 60, "health to return")


def test_a_colleague_and_questions_are_served_while_250_searches_of_one_examiner_wait(service: Service) -> None:
    mass, colleague = service.token(), service.token("administrator")
    image = QUERY.read_bytes()
    done = service.search(mass, image)
    shown = service.call("GET", f"/api/searches/{done['id']}/results/", token=mass)[1]["results"]
    with ThreadPoolExecutor(4) as pool:
        upload = partial(service.call, "POST", "/api/searches/", token=mass, image=image)
        assert {status for status, _ in pool.map(lambda _: upload(), range(250))} == {201}
    try:
        _, mine = service.call("POST", "/api/searches/", token=colleague, image=image)
        refined = {"like": [shown[1]["mark"]], "unlike": []}
        assert service.call("POST", f"/api/searches/{done['id']}/refine/", token=mass, body=refined)[0] == 200
        assert service.call("GET", "/api/concepts/?q=ship", token=colleague)[0] == 200
        assert service.finished(colleague, mine["id"], 30)["status"] == "done"
        waiting = query(service, "SELECT COUNT(*) FROM search_search WHERE status = 'queued'")[0][0]
        assert waiting > 3 * BATCH, "or it says nothing"
        before = query(
            service,
            "SELECT COUNT(*) FROM search_search other JOIN search_search mine ON mine.id = ?"
            " WHERE other.started_at > mine.created_at AND other.started_at < mine.started_at",
            mine["id"].replace("-", ""),
        )
        assert before[0][0] <= BATCH, "the batch at hand, and at most one that was being claimed"
    finally:
        query(service, "UPDATE search_search SET status = 'failed' WHERE status = 'queued'")


def test_uploads_of_every_size_pass_the_real_server_and_one_byte_too_many_is_refused(service: Service) -> None:
    token, image = service.token(), QUERY.read_bytes()
    for size in (len(image), 2_621_441, 3_700_000, MAX_BYTES):
        data = image + bytes(size - len(image))  # what follows the image is not looked at
        assert service.search(token, data)["status"] == "done", size
    for size in (MAX_BYTES + 1, MAX_BYTES + 2**20):
        status, told = service.call("POST", "/api/searches/", token=token, image=image + bytes(size - len(image)))
        assert status in (400, 413) and set(told["error"]) == {"code", "message", "fields"}
        assert "20 MB" in told["error"]["message"]


def test_large_uploads_at_once_end_no_process_and_leave_no_memory(service: Service) -> None:
    token, image = service.token(), QUERY.read_bytes()
    for _ in range(4):
        service.search(token, image)
    before = {role: service.processes(role)[0] for role in ("web", "search-worker")}
    rest = {role: process.memory_info().rss for role, process in before.items()}

    def upload(picture: bytes) -> tuple[int, Any]:
        """Who is asked to come back comes back, a few times."""
        for _ in range(4):
            status, told = service.call("POST", "/api/searches/", token=token, image=picture)
            if status != 503:
                break
            time.sleep(1)
        return status, told

    pictures = [large("PNG", "RGBA", {"compress_level": 1}), large("PNG", "P", {"transparency": 0})]
    pictures += [webp_of_nothing(*SIZE), image + bytes(MAX_BYTES - len(image))]
    with ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(upload, pictures[n % 4]) for n in range(16)]
        ordinary = service.search(token, image, 30)
    assert ordinary["status"] == "done"
    answers = [made.result() for made in sent]
    assert {status for status, _ in answers} <= {201, 503}, answers
    made = [told["id"] for status, told in answers if status == 201]
    assert len(made) >= 8
    assert {service.finished(token, search, 120)["status"] for search in made} == {"done"}
    for role, process in before.items():
        assert process.is_running() and process == service.processes(role)[0]
        assert process.memory_info().rss - rest[role] < 60 * 10**6, role


def execute(service: Service, sql: str, *values: Any) -> int:
    with sqlite3.connect(service.data_dir / "tmportal.sqlite3", timeout=30) as database:
        return int(database.execute(sql, values).lastrowid or 0)


def evidence_write(service: Service, seed: int) -> None:
    """The next run promotes a set."""
    subprocess.run([sys.executable, "-m", "tests.live.evidence", str(seed)], cwd=ROOT, env=service.env, check=True)


def run_queue(service: Service) -> int:
    """The id of a tuning run that waits to be taken up."""
    return execute(
        service,
        "INSERT INTO tuning_tuningrun (kind, state, requested_by, created_at, attempts, progress, searches, reason,"
        " metrics, gate, candidates, candidates_per_second, encoder)"
        " VALUES ('manual', 'queued', 'test', datetime('now', '-1 minute'), 0, 0, 0, '', '{}', '{}', 0, 0, '')",
    )


def hold(service: Service, where: str) -> None:
    """Whoever writes `where` from now on is busy with it for minutes, in the middle of the transaction."""
    execute(
        service,
        f"CREATE TRIGGER hold BEFORE {where} BEGIN SELECT COUNT(*) FROM (WITH RECURSIVE spin(n) AS (SELECT 1 UNION ALL"
        " SELECT n + 1 FROM spin WHERE n < 2000000000) SELECT n FROM spin); END",
    )


def writing(service: Service) -> bool:
    """Whether somebody has been inside a transaction that writes for half a second."""
    with sqlite3.connect(service.data_dir / "tmportal.sqlite3", timeout=0.5) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        database.rollback()
        return False


FIRST_WRITE, POINTER, LAST_WRITE = (
    "INSERT ON tuning_clusterdecision",
    "UPDATE OF parameter_set_id ON search_livepointer",
    "UPDATE OF state ON tuning_tuningrun WHEN NEW.state = 'live'",
)


@pytest.mark.parametrize("instants", [("at work", POINTER), (FIRST_WRITE, LAST_WRITE)], ids=["working", "closing"])
def test_a_killed_tuning_worker_promotes_once_and_history_and_run_agree(
    service: Service, instants: tuple[str, str]
) -> None:
    """Killed while it looks for parameters, anywhere in the transaction that closes the run, and right after it."""
    evidence_write(service, seed=100 * instants.index(instants[0]) + len(instants[0]))
    before = live_pointer(service)
    events = query(service, "SELECT COUNT(*) FROM search_parametersetevent")
    run = run_queue(service)

    def row(what: str) -> Any:
        return query(service, f"SELECT {what} FROM tuning_tuningrun WHERE id = ?", run)[0][0]

    for attempt, instant in enumerate(instants, start=1):
        if instant != "at work":
            hold(service, instant)
        service.until(
            lambda n=attempt: row("attempts") == n and row("state") == "running", 90, "the run to be taken up"
        )
        if instant == "at work":
            service.until(lambda: row("progress") > 0, 60, "the run to be at work")
        else:
            service.until(lambda: writing(service), 120, f"the worker to be inside {instant}")
        service.kill("tuning-worker")
        assert row("state") == "running" and live_pointer(service) == before, instant
        assert query(service, "SELECT COUNT(*) FROM search_parametersetevent") == events
        execute(service, "DROP TRIGGER IF EXISTS hold")
        # The silence that tells a dead worker is waited for once; then it is dated back.
        if attempt > 1:
            execute(
                service, "UPDATE tuning_tuningrun SET heartbeat_at = datetime('now', '-5 minutes') WHERE id = ?", run
            )
    service.until(lambda: row("state") not in ("running", "queued"), 150, "the run to be done again")
    service.kill("tuning-worker")  # right after it closed
    assert row("state") == "live", row("reason")
    assert row("attempts") == 3
    after = live_pointer(service)
    assert after[0][0] == row("proposed_id") != before[0][0] == row("base_id")
    service.until(lambda: service.processes("tuning-worker"), 30, "another tuning worker")
    time.sleep(6)  # recovery looks every five seconds
    assert live_pointer(service) == after and row("state") == "live" and row("attempts") == 3
    history = query(
        service,
        "SELECT kind, parameter_set_id FROM search_parametersetevent ORDER BY id LIMIT -1 OFFSET ?",
        events[0][0],
    )
    assert history.count(("live", after[0][0])) == 1 and len({made for kind, made in history if kind == "live"}) == 1
    made = query(
        service, "SELECT COUNT(*) FROM search_parameterset WHERE parent_id = ? AND made_by = 'tuning'", before[0][0]
    )
    assert made == [(1,)]
    decided = query(
        service, "SELECT cluster, COUNT(*) FROM tuning_clusterdecision WHERE run_id = ? GROUP BY cluster", run
    )
    assert decided and all(count == 1 for _, count in decided)


def test_a_second_start_on_the_same_data_says_who_runs_and_stops_nothing(service: Service) -> None:
    other = Service(service.data_dir)
    other.output = Path(f"{service.output}.second")
    with pytest.raises(AssertionError, match="already runs"):
        other.start(60)
    assert service.healthy()


def test_stopping_leaves_no_process_and_starting_again_finds_everything(service: Service) -> None:
    token = service.token()
    done = service.search(token, QUERY.read_bytes())
    import psutil

    family = psutil.Process(service.process.pid).children(recursive=True)
    service.stop()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    service.start(120)
    assert service.call("GET", f"/api/searches/{done['id']}/", token=service.token())[1]["count"] == done["count"]
