"""Afterwards: everything that was acknowledged is there, once, and nothing hangs."""

import itertools
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.live.service import Service
from tests.torture.ledger import Ledger

READY_WITHIN = 90
DRAINED_WITHIN = 300


def judge(service: Service, ledger: Ledger) -> list[str]:
    """Every defect as a sentence; none: the service held."""
    found = list(ledger.defects)
    if not _until(service.healthy, READY_WITHIN):
        return [*found, f"not ready {READY_WITHIN} s after the last fault: {service.call('GET', '/api/health/')[1]}"]
    database = service.data_dir / "tmportal.sqlite3"
    drained = _until(
        lambda: not _rows(database, "SELECT 1 FROM search_search WHERE status IN ('queued', 'running')"), DRAINED_WITHIN
    )
    if not drained:
        found.append(f"searches still open {DRAINED_WITHIN} s after the last fault")
    if not _until(
        lambda: not _rows(database, "SELECT 1 FROM tuning_tuningrun WHERE state IN ('queued', 'running')"), 120
    ):
        found.append("a tuning run is still open 120 s after the last search")
    return (
        found
        + _searches(database, ledger)
        + _selections(database, ledger)
        + _reports(service, ledger)
        + _promotions(database, ledger)
    )


def _searches(database: Path, ledger: Ledger) -> list[str]:
    states = dict(_rows(database, "SELECT id, status FROM search_search"))
    lost = [search for search in ledger.searches if search.replace("-", "") not in states]
    found = [f"search {search} was accepted and is gone" for search in lost]
    silent = _rows(database, "SELECT id FROM search_search WHERE status = 'failed' AND error = ''")
    found += [f"search {row[0]} failed without a sentence" for row in silent]
    doubled = _rows(
        database, "SELECT search_id FROM search_searchresult GROUP BY search_id, mark_id HAVING COUNT(*) > 1"
    )
    found += [f"search {row[0]} has a result twice" for row in doubled]
    torn = _rows(
        database,
        "SELECT s.id FROM search_search s WHERE s.status = 'done' AND s.count <> "
        "(SELECT COUNT(*) FROM search_searchresult r WHERE r.search_id = s.id AND NOT r.refined)",
    )
    return found + [f"search {row[0]} is done with half an answer" for row in torn]


def _selections(database: Path, ledger: Ledger) -> list[str]:
    sql = (
        "SELECT s.search_id, m.number, s.selected FROM feedback_selection s"
        " JOIN search_mark m ON m.id = s.mark_id ORDER BY s.id"
    )
    stored: dict[tuple[str, str], list[bool]] = {}
    for search, mark, selected in _rows(database, sql):
        stored.setdefault((search, mark), []).append(bool(selected))
    first = {
        (search, mark): bool(chosen)
        for search, mark, chosen in _rows(
            database,
            "SELECT r.search_id, m.number, r.preselected FROM search_searchresult r"
            " JOIN search_mark m ON m.id = r.mark_id",
        )
    }
    found = []
    for (search, mark), words in ledger.selections.items():
        key = (search.replace("-", ""), mark)
        rows = stored.get(key, [])
        if any(a == b for a, b in itertools.pairwise(rows)):
            found.append(f"a selection of {mark} in {search} stands twice: {rows}")
        # After the last acknowledged word, words without an answer may have arrived or not.
        last = max((place for place, (_, sure) in enumerate(words) if sure), default=None)
        if last is None:
            continue
        allowed = {value for value, _ in words[last:]}
        now = rows[-1] if rows else first.get(key)
        if now not in allowed:
            found.append(f"{mark} in {search} was acknowledged as {words[last][0]} and is {now}")
    return found


def _reports(service: Service, ledger: Ledger) -> list[str]:
    database = service.data_dir / "tmportal.sqlite3"
    sql = "SELECT c.search_id, r.pdf, r.csv FROM feedback_report r JOIN feedback_conclusion c ON c.id = r.conclusion_id"
    made: Counter[str] = Counter()
    found = []
    for search, *files in _rows(database, sql):
        made[search] += 1
        for name in files:
            path = service.data_dir / "media" / name
            if not path.is_file() or not path.stat().st_size:
                found.append(f"the report file {name} is missing or empty")
    for search in set(ledger.reports) | set(ledger.maybe_reports):
        least, most = ledger.reports[search], ledger.reports[search] + ledger.maybe_reports[search]
        count = made[search.replace("-", "")]
        if not least <= count <= most:
            found.append(f"search {search} has {count} reports, acknowledged were {least}, asked for {most}")
    return found


def _promotions(database: Path, ledger: Ledger) -> list[str]:
    sql = "SELECT reason, COUNT(*) FROM search_parametersetevent WHERE kind = 'live' GROUP BY reason"
    stored = dict(_rows(database, sql))
    found = []
    for reason, sure in ledger.promotions.items():
        count = stored.get(reason, 0)
        if count > 1 or (sure and count != 1):
            found.append(f"the promotion '{reason}' stands {count} times")
    events = _rows(
        database, "SELECT parameter_set_id FROM search_parametersetevent WHERE kind = 'live' ORDER BY id DESC LIMIT 1"
    )
    pointer = _rows(database, "SELECT parameter_set_id FROM search_livepointer")
    if events != pointer:
        found.append(f"live is {pointer}, the history's last word is {events}")
    return found


def _rows(database: Path, sql: str) -> list[Any]:
    with sqlite3.connect(database, timeout=30) as connection:
        return connection.execute(sql).fetchall()


def _until(holds: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.5)
    return False
