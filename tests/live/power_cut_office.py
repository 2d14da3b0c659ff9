"""An office in one process: what it does and acknowledges, and whether an installation still has all of it.

work() does it, on TM_DATA_DIR, with a line "ACK {...}" after each answer; look() says what is missing. Both run in a
process of their own with the settings of the service (tests/live/test_power_cut.py).
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection

from feedback.models import Report
from feedback.selectors import selection_of
from search import encoders, media
from search.engine import engine
from search.models import LivePointer, Mark, Search
from search.retrieval.durable import make_folder
from search.retrieval.snapshot import SnapshotStore
from search.retrieval.vector_store import VectorStore
from search.snapshots import snapshot_publish
from tests import pictures
from tests.searching import search_run


def acknowledge(what: str, **facts: Any) -> None:
    """In one write: from here on somebody relies on it."""
    os.write(1, f"ACK {json.dumps({'what': what, **facts})}\n".encode())


def work(incoming: Path) -> None:
    from rest_framework.test import APIClient

    from search.growth import Row, ingest
    from search.parameter_sets import parameter_set_reweigh
    from tmportal.bootstrap import bootstrap

    logins = bootstrap(demo=True)
    acknowledge("installed", key=(settings.TM_DATA_DIR / "secret-key").read_text(), logins=logins)

    for number in range(9):
        pictures.mark(number).save(incoming / f"{number}.png")
    rows = [Row(number=f"T{n}", name=f"Mark {n}", image=incoming / f"{n}.png") for n in range(9)]
    report = ingest(rows[:6])
    described = sorted(engine.vectors.known())
    acknowledge("register", marks=6, snapshot=report.snapshot, version=engine.describer.version, described=described)

    client = APIClient(HTTP_HOST="localhost")
    client.force_authenticate(get_user_model().objects.get(username=logins["examiner"]["name"]))
    for turn in range(2):
        image = incoming / f"{turn}.png"
        with image.open("rb") as file:
            made = client.post("/api/searches/", {"image": file}, format="multipart")
        assert made.status_code in (201, 202), made.content
        search = made.json()["id"]
        acknowledge("search", search=search, sha256=hashlib.sha256(image.read_bytes()).hexdigest())
        assert search_run(search_id=search) == "done"
        results = client.get(f"/api/searches/{search}/results/").json()
        acknowledge("results", search=search, count=results["count"])
        chosen: dict[str, bool] = {}
        for row in results["results"][:3]:
            chosen[row["mark"]] = not row["selected"]
            url = f"/api/searches/{search}/results/{row['mark']}/"
            assert client.patch(url, {"selected": chosen[row["mark"]]}, format="json").status_code == 200
            acknowledge("selection", search=search, chosen=chosen)
        assert client.post(f"/api/searches/{search}/report/").status_code == 201
        acknowledge("report", search=search, reports=turn + 1)
        live = parameter_set_reweigh(weights={"colour": 0.1 + turn / 10}, actor="test", reason="told to")
        acknowledge("promotion", live=live.pk)

    acknowledge("register", marks=9, snapshot=ingest(rows).snapshot, version=engine.describer.version, described=[])
    acknowledge("snapshot", snapshot=snapshot_publish())
    engine.snapshots.prune(keep=1)
    make_folder(encoders.folder() / "office-1")
    for encoder in ("office-1", None):
        encoders.activate(encoder)
        acknowledge("encoder", encoder=encoder)


def look(states: Path) -> None:
    """states: [[data directory, [acknowledgement, ...]], ...] as JSON. Prints a line for all that is amiss."""
    for place, acknowledged in json.loads(states.read_text()):
        for complaint in complaints(Path(place), acknowledged):
            sys.stdout.write(f"{Path(place).name}: {complaint}\n")


def complaints(data_dir: Path, acknowledged: list[dict[str, Any]]) -> list[str]:
    """What is missing of what was acknowledged, and what is damaged of all that is there."""
    settings.TM_DATA_DIR, settings.MEDIA_ROOT = data_dir, data_dir / "media"
    connection.close()
    connection.settings_dict["NAME"] = data_dir / "tmportal.sqlite3"
    latest = {said["what"]: said for said in acknowledged}
    lost = [f"{said} ({why})" for said in acknowledged if (why := _lost(said, latest))]
    return lost + (_damaged() if latest and not lost else [])


def _lost(said: dict[str, Any], latest: dict[str, dict[str, Any]]) -> str:
    try:
        return _CHECKS[said["what"]](said, latest[said["what"]] is said)
    except Exception as error:  # noqa: BLE001  whatever cannot be read is lost
        return f"{type(error).__name__}: {error}"


def _installed(said: dict[str, Any], _: bool) -> str:
    if (settings.TM_DATA_DIR / "secret-key").read_text() != said["key"]:
        return "another key"
    people = get_user_model().objects
    wrong = [
        login["name"]
        for role, login in said["logins"].items()
        if not people.filter(username=login["name"], groups__name=role, password__startswith="pbkdf2_").exists()
    ]
    bare = [path for path in (settings.TM_DATA_DIR / "static").rglob("*.css") if not path.stat().st_size]
    return f"no login for {wrong}" if wrong else f"empty: {bare}" if bare else ""


def _register(said: dict[str, Any], last: bool) -> str:
    if Mark.objects.count() < said["marks"]:
        return "marks are missing"
    known = VectorStore(settings.TM_DATA_DIR / "vectors", said["version"]).known()
    if not {tuple(key) for key in said["described"]} <= known:
        return "descriptions are missing"
    return _snapshot(said, last)


def _snapshot(said: dict[str, Any], last: bool) -> str:
    snapshot = SnapshotStore(settings.TM_DATA_DIR / "snapshots").open()
    return "an older snapshot is live" if snapshot.id < said["snapshot"] else ""


def _search(said: dict[str, Any], _: bool) -> str:
    search = Search.objects.get(pk=said["search"])
    return "" if hashlib.sha256(media.read(search.image)).hexdigest() == said["sha256"] else "another image"


def _results(said: dict[str, Any], _: bool) -> str:
    search = Search.objects.get(pk=said["search"])
    return "" if (search.status, search.results.count()) == ("done", said["count"]) else "no results"


def _selection(said: dict[str, Any], _: bool) -> str:
    numbers = selection_of(Search.objects.get(pk=said["search"])).numbers
    return "" if all((number in numbers) is chosen for number, chosen in said["chosen"].items()) else "not selected"


def _report(said: dict[str, Any], _: bool) -> str:
    return "" if Report.objects.filter(conclusion__search=said["search"]).exists() else "no report"


def _promotion(said: dict[str, Any], _: bool) -> str:
    live = LivePointer.objects.get().parameter_set_id
    return "" if live >= said["live"] else f"P{live} is live"


def _encoder(said: dict[str, Any], last: bool) -> str:
    return "" if not last or encoders.current() == said["encoder"] else f"{encoders.current()} serves"


_CHECKS = {
    "installed": _installed, "register": _register, "snapshot": _snapshot, "search": _search, "results": _results,
    "selection": _selection, "report": _report, "promotion": _promotion, "encoder": _encoder,
}  # fmt: skip


def _damaged() -> list[str]:
    """Rows that contradict each other, rows without their files: whether acknowledged or not, this must not be."""
    with connection.cursor() as cursor:
        found = [str(row) for row in cursor.execute("PRAGMA integrity_check").fetchall() if row != ("ok",)]
        found += [f"a reference to nothing: {row}" for row in cursor.execute("PRAGMA foreign_key_check").fetchall()]
    for kept in (*Mark.objects.all(), *Search.objects.all()):
        try:
            whole = hashlib.sha256(media.read(kept.image)).hexdigest() == kept.image_sha256
            whole &= media.read(f"{kept.image}.{'thumb' if isinstance(kept, Mark) else 'preview'}.webp")[:4] == b"RIFF"
        except OSError:
            whole = False
        found += [] if whole else [f"no whole image of {kept}"]
    for report in Report.objects.all():
        try:
            whole = media.read(report.pdf).rstrip().endswith(b"%%EOF") and media.read(report.csv)[:3] == b"\xef\xbb\xbf"
        except OSError:
            whole = False
        found += [] if whole else [f"no whole files of {report}"]
    return found
