"""Damage to the files of the index, and data of another release, with the whole service: never a silently changed list.

Each test begins with a service that answers, and leaves one that does. They come before the tests after which other
parameters are live: data described again begin with the first ones. `make e2e` runs those too that are slow.
"""

import gzip
import json
import re
import sqlite3
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.retrieval.integrity import seal
from tests.live.service import MARKS, ROOT, Service

pytestmark = [pytest.mark.kill]
DEMO = ROOT / "search" / "demo"
QUERY = sorted((DEMO / "queries").glob("*"))[0]
Listed = list[tuple[str, float]]


@pytest.fixture(scope="module")
def token(service: Service) -> str:
    return service.token()


@pytest.fixture(scope="module")
def right(service: Service, token: str) -> Listed:
    """What the query finds while everything is whole."""
    return listed(service, token, service.search(token, QUERY.read_bytes()))


def listed(service: Service, token: str, search: dict[str, Any]) -> Listed:
    assert search["status"] == "done", search
    page = service.call("GET", f"/api/searches/{search['id']}/results/", token=token)[1]
    return [(row["mark"], row["score"]) for row in page["results"]]


def ready(service: Service) -> tuple[int, dict[str, Any]]:
    return service.call("GET", "/api/health/ready/")


def live(service: Service) -> Path:
    root = service.data_dir / "snapshots"
    return root / (root / "CURRENT").read_text().strip()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    ("index.faiss", flip),
    ("clusters/00.feather", cut),
    ("regions.faiss", Path.unlink),
    ("../CURRENT", Path.unlink),
]


def test_damage_while_it_runs_is_named_and_mended_while_the_loaded_copy_serves(
    service: Service, token: str, right: Listed
) -> None:
    for name, damage in DAMAGES:
        before = live(service)
        damage(before / name)
        said: set[str] = set()

        def mended(before: Path = before, said: set[str] = said) -> bool:
            status, told = ready(service)
            assert status == 200, told
            said.add(told["parts"]["snapshot"])
            assert listed(service, token, service.search(token, QUERY.read_bytes())) == right
            return told["parts"]["snapshot"] == "ok" and told["snapshot"] != before.name

        service.until(mended, 60, f"{name} to be mended")
        assert any(Path(name).name in sentence or "pointer" in sentence for sentence in said), (name, said)


@pytest.mark.slow
def test_damage_before_a_start_is_stood_in_for_and_mended(service: Service, token: str, right: Listed) -> None:
    service.stop()
    before = live(service)
    flip(before / "index.faiss")
    service.start(120)
    done = service.search(token, QUERY.read_bytes())
    assert done["snapshot"] != before.name and listed(service, token, done) == right
    service.until(lambda: ready(service)[1]["parts"]["snapshot"] == "ok", 60, "a new snapshot")


@pytest.mark.slow
def test_with_every_snapshot_damaged_searches_wait_and_are_answered_from_the_described_marks(
    service: Service, token: str, right: Listed
) -> None:
    service.stop()
    for path in (service.data_dir / "snapshots").glob("*/clusters/00.feather"):
        cut(path)
    segment = sorted((service.data_dir / "vectors").glob("*/*.feather"))[0]
    flip(segment)
    began(service)
    status, told = ready(service)
    assert status == 503 and told["status"] == "unavailable", told
    waiting = service.call("POST", "/api/searches/", token=token, image=QUERY.read_bytes())[1]
    assert waiting["status"] == "queued"
    done = service.finished(token, waiting["id"], 90)
    assert listed(service, token, done) == right
    assert segment.with_suffix(".damaged").exists()
    service.until(lambda: ready(service)[0] == 200, 60, "health")


def began(service: Service) -> None:
    """Start, and wait for the web server alone."""
    service.launch()
    service.until(lambda: service.call("GET", "/api/health/alive/")[0] == 200, 60, "the web server")


def of_another_release(data_dir: Path) -> str:
    """What a release with other descriptors would have left: another version everywhere it is written."""
    root = data_dir / "snapshots"
    manifest_path = root / (root / "CURRENT").read_text().strip() / "manifest.json"
    manifest = json.loads(manifest_path.read_text())
    version = manifest["descriptors_version"]
    manifest["descriptors_version"] = "d0123456789ab"
    manifest["seal"] = seal(manifest)
    manifest_path.write_text(json.dumps(manifest))
    (data_dir / "vectors" / version).rename(data_dir / "vectors" / "d0123456789ab")
    with sqlite3.connect(data_dir / "tmportal.sqlite3") as database:
        database.execute(
            "UPDATE search_parameterset SET parameters = replace(parameters, ?, 'd0123456789ab')", [version]
        )
    return version


def test_data_of_other_descriptors_are_described_again_while_searches_wait_and_say_how_long(
    service: Service, token: str, right: Listed
) -> None:
    service.stop()
    version = of_another_release(service.data_dir)
    began(service)
    waiting = service.call("POST", "/api/searches/", token=token, image=QUERY.read_bytes())[1]
    said: set[str] = set()

    def described() -> bool:
        status, told = ready(service)
        said.add(told["parts"]["snapshot"])
        said.add(service.call("GET", f"/api/searches/{waiting['id']}/", token=token)[1]["message"])
        return status == 200

    service.until(described, 120, "the register to be described again")
    assert "Searches wait. " in service.output.read_text()
    done = service.finished(token, waiting["id"], 60)
    assert listed(service, token, done) == right
    assert done["message"] and any(f"of {MARKS} marks" in sentence and "left" in sentence for sentence in said), said
    assert any(sentence.endswith("Your search is kept and starts by itself.") for sentence in said), said
    with sqlite3.connect(service.data_dir / "tmportal.sqlite3") as database:
        sets = database.execute("SELECT parameters FROM search_parameterset ORDER BY id").fetchall()
    assert [json.loads(row[0])["descriptors_version"] for row in sets][-1] == version and len(sets) == 2
    service.until(lambda: ready(service)[1]["parts"]["snapshot"] == "ok", 60, "everything to be well")


@pytest.mark.slow
def test_data_of_a_newer_release_are_refused_with_a_sentence(service: Service) -> None:
    service.stop()
    with sqlite3.connect(service.data_dir / "tmportal.sqlite3") as database:
        database.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('search', '9999_later', 'now')")
    service.launch()
    assert service.process is not None and service.process.wait(60) == 1
    assert "written by a newer release (migration search.9999_later)" in service.output.read_text()
    with sqlite3.connect(service.data_dir / "tmportal.sqlite3") as database:
        database.execute("DELETE FROM django_migrations WHERE name = '9999_later'")
    service.start(120)


def test_pages_name_static_files_that_a_browser_keeps_for_ever(service: Service) -> None:
    page = service.call("GET", "/login/")[1].decode()
    style = re.search(r'href="(/static/css/portal\.[0-9a-f]{12}\.css)"', page)
    assert style
    request = urllib.request.Request(service.base + style[1], headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        headers, data = answer.headers, answer.read()
    assert headers["Content-Encoding"] == "gzip" and "immutable" in headers["Cache-Control"]
    assert gzip.decompress(data) == service.call("GET", style[1])[1]
    scripts = [path.read_text() for path in (service.data_dir / "static").glob("*/js/results.*.js")]
    assert scripts and not re.findall(r'from "\./[a-z-]+\.js"', scripts[0])
