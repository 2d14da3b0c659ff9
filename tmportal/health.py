"""Whether searches are answered, and which part is broken: a sentence for each.

`alive` asks nothing of anybody: the web process answers. `ready` means that a real search would be answered, now and as
it should be: some search worker serves a snapshot and has just given the answer that was kept with it. What is broken
but stops no search (no tuning, no beat, little room on the disk, a snapshot that another one stands in for) is named
and makes the service `degraded`. Nothing here waits for a worker: workers tell of themselves with their heartbeats.
"""

import contextlib
import os
from dataclasses import dataclass, field
from typing import Any

import psutil
import redis
from django.conf import settings
from django.db import DatabaseError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from search import heartbeat, waiting
from search.engine import engine
from search.models import LivePointer
from search.retrieval.snapshot import SnapshotRefused

STALE_SECONDS = 60.0
"""Since a worker last tried the kept search; it tries every five seconds."""
_LEAST_BYTES = 20 * 2**20
"""With less room than this an upload may not be kept."""
_UNKNOWN = "Unknown while the broker does not answer."

_ABOVE = ("what ends is not started again", "what freezes is not noticed")
"""Without the supervisor, and without `manage.py run`, whose child it is."""

Workers = dict[str, dict[str, Any]]


@dataclass
class Health:
    """parts: name -> "ok" or a sentence. stops: those of them without which no search is answered as it should be."""

    parts: dict[str, str]
    stops: set[str] = field(default_factory=set)
    snapshot: str | None = None
    progress: dict[str, Any] | None = None

    @property
    def status(self) -> str:
        if self.stops:
            return "unavailable"
        return "ok" if set(self.parts.values()) == {"ok"} else "degraded"

    @property
    def troubles(self) -> list[str]:
        """What people are told, each sentence once: several parts may be unknown for one reason."""
        return [said for said in dict.fromkeys(self.parts.values()) if said != "ok"]

    def say(self, part: str, sentence: str, *, stops: bool) -> None:
        """The first thing said of a part is its cause."""
        if self.parts[part] == "ok":
            self.parts[part] = sentence
        if stops:
            self.stops.add(part)


PARTS = ("database", "broker", "worker", "snapshot", "tuning", "beat", "disk", "supervisor")


def health() -> Health:
    found = Health(dict.fromkeys(PARTS, "ok"))
    _database(found)
    _disk(found)
    _supervisor(found)
    try:
        workers = heartbeat.alive()
        found.progress = waiting.progress()
        if not heartbeat.alive("tuning-worker"):
            found.say("tuning", "No tuning worker is running: nothing is tuned, and no snapshot is built.", stops=False)
        if not heartbeat.alive("beat"):
            found.say("beat", "Beat is not running: nothing that has its time is done.", stops=False)
    except redis.RedisError:
        found.say("broker", "The broker does not answer.", stops=True)
        for part in ("worker", "tuning", "beat"):
            found.say(part, _UNKNOWN, stops=False)
        found.snapshot = engine.snapshots.current()
        return found
    _workers(found, workers)
    _snapshot(found, workers)
    return found


def _database(found: Health) -> None:
    try:
        LivePointer.objects.exists()  # a table is read: a connection that was kept says nothing of the database
    except DatabaseError:
        found.say("database", "The database does not answer.", stops=True)


def _disk(found: Health) -> None:
    folder = settings.TM_DATA_DIR
    try:
        room = os.statvfs(folder)
    except OSError as error:
        found.say("disk", f"The data directory {folder} cannot be read: {error.strerror}.", stops=True)
        return
    if room.f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK):
        found.say("disk", f"The data directory {folder} cannot be written to.", stops=True)
    free = room.f_bavail * room.f_frsize
    if free < max(_LEAST_BYTES, settings.TM_DISK_FLOOR_MB * 2**20):
        found.say("disk", f"Only {free // 2**20:,} MB are free in {folder}: make room.", stops=free < _LEAST_BYTES)


def _supervisor(found: Health) -> None:
    """The processes above this one, where it is a program of theirs. Nobody but their children could tell."""
    if not heartbeat.role():
        return
    with contextlib.suppress(psutil.Error):
        above = psutil.Process().parents()[:2]
        for process, without in zip(above, _ABOVE, strict=False):
            if process.status() == psutil.STATUS_STOPPED:
                sentence = f"Process {process.pid} is stopped: {without}. Run `kill -CONT {process.pid}`."
                found.say("supervisor", sentence, stops=False)


def _workers(found: Health, workers: Workers) -> None:
    """Whether some worker serves and has just answered the kept search; what the others say is told as well."""
    if not workers:
        found.say("worker", "No search worker is running.", stops=True)
        return
    answers = False
    for worker in workers.values():
        asked = worker.get("asked")
        if not worker.get("snapshot"):
            if not worker.get("waits"):
                found.say("worker", "A search worker is starting.", stops=False)
        elif asked is None or asked > STALE_SECONDS:
            found.say("worker", f"A search worker has not tried the kept search for {asked or 0:.0f} s.", stops=False)
        elif worker.get("trouble"):
            found.say("worker", worker["trouble"], stops=False)
        else:
            answers = True
    if not answers:
        found.stops.add("worker" if found.parts["worker"] != "ok" else "snapshot")


def _snapshot(found: Health, workers: Workers) -> None:
    serving = [worker["snapshot"] for worker in workers.values() if worker.get("snapshot")]
    found.snapshot = serving[0] if serving else engine.snapshots.current()
    building = waiting.sentence(found.progress)
    for worker in workers.values():
        for said in (worker.get("waits"), worker.get("note"), worker.get("damage")):
            if said:
                found.say("snapshot", f"{said} {building}".strip(), stops=False)
    if building:
        found.say("snapshot", building, stops=False)
    if found.snapshot is None:
        found.say("snapshot", "There is no index snapshot yet.", stops=True)
    elif serving:
        _left_out(found, serving[0])


def _left_out(found: Health, snapshot: str) -> None:
    try:
        lost = engine.snapshots.manifest(snapshot)["left_out"]
    except SnapshotRefused as refusal:
        found.say("snapshot", str(refusal), stops=False)
        return
    if lost:
        sentence = f"{lost:,} marks are not in the index, since their images are lost or damaged: ingest them again."
        found.say("snapshot", sentence, stops=False)


class HealthOutput(serializers.Serializer):
    status = serializers.ChoiceField(
        ["ok", "degraded", "unavailable"],
        help_text="degraded: searches are answered, and a part is broken. unavailable: they are not",
    )
    broker = serializers.CharField(help_text='"ok" or a sentence, as in parts')
    database = serializers.CharField()
    worker = serializers.CharField()
    snapshot = serializers.CharField(allow_null=True, help_text="the id of the snapshot that serves")
    parts = serializers.DictField(child=serializers.CharField(), help_text=f'"ok" or a sentence: {", ".join(PARTS)}')
    progress = serializers.DictField(
        allow_null=True, help_text="of a register that is being described: done, of, minutes left or null"
    )


class ReadyApi(APIView):
    """Open to monitors: 200 when a search would be answered, 503 otherwise; names what is broken."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    @extend_schema(responses={200: HealthOutput, 503: HealthOutput})
    def get(self, request: Request) -> Response:
        found = health()
        old = {name: found.parts[name] for name in ("broker", "database", "worker")}
        answer = {"status": found.status, **old, "snapshot": found.snapshot, "parts": found.parts}
        return Response({**answer, "progress": found.progress}, status=503 if found.stops else 200)


class AliveOutput(serializers.Serializer):
    status = serializers.ChoiceField(["ok"])


class AliveApi(APIView):
    """Open to monitors: the web process answers. It asks neither the database nor the broker."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    @extend_schema(responses=AliveOutput)
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})
