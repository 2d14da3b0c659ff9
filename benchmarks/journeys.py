#!/usr/bin/env python
"""What the service carries when a whole office works at once: journeys a second, and how long an examiner waits.

    .venv/bin/python benchmarks/journeys.py [--examiners 100] [--journeys 1] [--rounds 2] [--against GITREF]

Every examiner uploads a mark, asks for its state as the page does until it is done, reads the first page, changes two
selections and makes the report; all start at the same moment. With --against the version GITREF is measured too, in
turn with this one, from a worktree of its own with the packages of this environment; `ratio` is this version's journeys
a second over that one's. Compare only figures of one run. Prints JSON.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.live.service import Service  # noqa: E402

QUERIES = sorted((ROOT / "search" / "demo" / "queries").iterdir())
ROLES = ("web", "search-worker", "tuning-worker", "broker", "beat")
PATIENCE = 120.0
"""Seconds that an answer may take: longer than any crowd of examiners should wait, so that errors are errors."""
PASSWORD = "a-long-password-9"
_ACCOUNTS = """
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
users = get_user_model().objects
word = make_password("%s")
for n in range(%d):  # a copy of another version's data has them already
    users.get_or_create(username=f"bench-{n:03}", defaults={"password": word})[0].groups.add(
        Group.objects.get(name="examiner")
    )
"""


class Failed(Exception):  # noqa: N818  it is counted, not a fault of this script
    """A step of a journey was not answered as it should."""


@dataclass
class Figures:
    """Of one wave."""

    seconds: float
    to_done: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    cpu_ms: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.whole) / self.seconds

    def shown(self) -> dict[str, Any]:
        return {
            "journeys_per_s": round(self.rate, 2),
            "upload_to_done_s": percentiles(self.to_done),
            "journey_s": percentiles(self.whole),
            "journeys": len(self.whole),
            "errors": dict(self.errors),
            "cpu_ms_per_journey": {role: round(ms / max(len(self.whole), 1)) for role, ms in self.cpu_ms.items()},
        }


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [float("nan")]
    return {"p50": round(statistics.median(ordered), 2), "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 2)}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def step(service: Service, wanted: int, what: str, method: str, path: str, **options: Any) -> Any:
    status, body = service.call(method, path, seconds=PATIENCE, **options)
    if status != wanted:
        raise Failed(f"{what}: {status}")
    return body


def journey(service: Service, token: str, image: bytes) -> tuple[float, float]:
    """Seconds from upload to done, and to the report."""
    began = time.perf_counter()
    made = step(service, 201, "upload", "POST", "/api/searches/", token=token, image=image)
    path, pause = f"/api/searches/{made['id']}/", 0.15
    while (status := made["status"]) not in ("done", "failed"):
        time.sleep(max(pause, made.get("ask_again", 0)))  # older versions do not tell
        pause = min(2.0, 1.25 * pause)  # as static/js/progress.js does
        made = step(service, 200, "state", "GET", path, token=token)
    if status == "failed":
        raise Failed("the search failed")
    done = time.perf_counter()
    page = step(service, 200, "page", "GET", f"{path}results/?page=1", token=token)
    for row in (page["results"][0], page["results"][-1]):
        changed = {"selected": not row["selected"]}
        step(service, 200, "selection", "PATCH", f"{path}results/{row['mark']}/", token=token, body=changed)
    step(service, 201, "report", "POST", f"{path}report/", token=token, body={})
    return done - began, time.perf_counter() - began


def wave(service: Service, tokens: list[str], journeys: int, first: int) -> Figures:
    """Everybody at once, `journeys` one after another each; images from number `first` on."""
    figures = Figures(0.0)
    gate = threading.Barrier(len(tokens) + 1)

    def examiner(place: int) -> None:
        gate.wait()
        for number in range(journeys):
            image = QUERIES[(first + place * journeys + number) * 7 % len(QUERIES)].read_bytes()
            try:
                to_done, whole = journey(service, tokens[place], image)
            except Failed as failure:
                figures.errors[str(failure)] += 1
            else:
                figures.to_done.append(to_done)
                figures.whole.append(whole)

    with ThreadPoolExecutor(len(tokens)) as pool:
        waiting = [pool.submit(examiner, place) for place in range(len(tokens))]
        before = cpu_seconds(service)
        gate.wait()
        began = time.perf_counter()
        for one in waiting:
            one.result()
        figures.seconds = time.perf_counter() - began
        figures.cpu_ms = {role: 1000 * (spent - before[role]) for role, spent in cpu_seconds(service).items()}
    return figures


def cpu_seconds(service: Service) -> dict[str, float]:
    """Role -> seconds of CPU that its processes and their ended children have used."""
    return {role: sum(sum(one.cpu_times()[:4]) for one in service.processes(role)) for role in ROLES}


class Version:
    """One version of the service, its data directory and its examiners."""

    def __init__(self, name: str, root: Path, data: Path) -> None:
        self.name, self.root, self.data = name, root, data
        self.tokens: list[str] = []
        self.waves: list[Figures] = []

    def measure(self, examiners: int, journeys: int) -> None:
        service = Service(self.data, root=self.root, TM_LOGIN_RATE="1000000/min")
        try:
            service.start(1800)
            self.tokens = self.tokens or self._logins(service, examiners)
            service.search(self.tokens[0], QUERIES[0].read_bytes())
            figures = wave(service, self.tokens, journeys, first=examiners * journeys * len(self.waves))
        finally:
            service.stop()
        self.waves.append(figures)
        say(f"{self.name}: {json.dumps(figures.shown())}")

    def _logins(self, service: Service, examiners: int) -> list[str]:
        script = _ACCOUNTS % (PASSWORD, examiners)
        subprocess.run(
            [sys.executable, "manage.py", "shell", "-c", script], cwd=self.root, env=service.env, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

        def token(place: int) -> str:
            login = {"username": f"bench-{place:03}", "password": PASSWORD}
            return str(step(service, 200, "login", "POST", "/api/token/", body=login)["token"])

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(token, range(examiners)))

    def rate(self) -> float:
        return sum(len(wave.whole) for wave in self.waves) / sum(wave.seconds for wave in self.waves)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examiners", type=int, default=100)
    parser.add_argument("--journeys", type=int, default=1, help="of each examiner, one after another")
    parser.add_argument("--rounds", type=int, default=2, help="each version is measured so often, in turn")
    parser.add_argument("--against", metavar="GITREF", help="an older version to measure in the same run")
    parser.add_argument("--data", type=Path, help="a copy of this data directory is used, so that none has to be made")
    options = parser.parse_args()
    os.environ.pop("TM_DEMO", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    work = Path(tempfile.mkdtemp(prefix="tm-journeys-"))
    versions = [Version("this", ROOT, work / "this")]
    try:
        if options.against:
            older = work / "older-tree"
            subprocess.run(
                ["git", "worktree", "add", "--quiet", "--detach", str(older), options.against], cwd=ROOT, check=True
            )
            versions.insert(0, Version(options.against, older, work / "older"))
        for number in range(options.rounds):
            for version in versions:
                made = [options.data, *(other.data for other in versions if other.data.exists())]
                if not version.data.exists() and (source := next(filter(None, made), None)):
                    # The older one's, before it has examiners: it brings itself up to date.
                    shutil.copytree(source, version.data, ignore=shutil.ignore_patterns("run"))
                say(f"round {number + 1}, {version.name} ...")
                version.measure(options.examiners, options.journeys)
    finally:
        if options.against:
            subprocess.run(["git", "worktree", "remove", "--force", str(older)], cwd=ROOT, check=False)
        shutil.rmtree(work, ignore_errors=True)
    figures: dict[str, Any] = {
        version.name: {"journeys_per_s": round(version.rate(), 2), "rounds": [wave.shown() for wave in version.waves]}
        for version in versions
    }
    if options.against:
        figures["ratio"] = round(versions[-1].rate() / versions[0].rate(), 2)
    print(json.dumps({"examiners": options.examiners, "journeys_each": options.journeys, **figures}, indent=1))


if __name__ == "__main__":
    main()
