"""What the service counts about itself, in Prometheus' terms, and the figures that are read when somebody asks.

Counters come from every process (search/telemetry.py). Figures (queues, sizes, ages) are measured at the moment of
asking; the status page shows the same.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from search.broker import connect
from search.engine import engine
from search.models import Search
from search.retrieval.snapshot import SnapshotRefused
from search.telemetry import shared
from tmportal.health import health
from tuning.models import TuningRun

QUEUES = ("search", "questions", "ingest", "tuning")


@dataclass(frozen=True)
class Figure:
    """One number about the state of the service; the unit stands in the name."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)
    sentence: str = ""
    """What people read beside it."""


def figures() -> Iterator[Figure]:
    """Queues, parts, sizes and ages, as they are now."""
    yield from _queues()
    for name, sentence in health().parts.items():
        works = sentence == "ok"
        yield Figure(
            "tmportal_part_ok", "1 while this part of the service works.", float(works), {"part": name},
            sentence="" if works else sentence,
        )  # fmt: skip
    yield from _sizes()
    yield from _ages()


def _queues() -> Iterator[Figure]:
    states = (Search.Status.QUEUED, Search.Status.RUNNING)
    rows = (
        Search.objects.filter(status__in=states)
        .order_by()
        .values("status")
        .annotate(n=Count("pk"), since=Min("created_at"))
    )
    found = {row["status"]: row for row in rows}
    for state in states:
        count = found[state]["n"] if state in found else 0
        yield Figure("tmportal_searches_open", "Searches that are not done.", count, {"state": str(state)})
    oldest = found[Search.Status.QUEUED]["since"] if Search.Status.QUEUED in found else None
    yield Figure(
        "tmportal_oldest_search_wait_seconds", "How long the oldest waiting search has waited.", _since(oldest)
    )
    busy = (TuningRun.State.QUEUED, TuningRun.State.RUNNING)
    yield Figure(
        "tmportal_tuning_runs_open",
        "Tuning runs that wait or are at work.",
        TuningRun.objects.filter(state__in=busy).count(),
    )
    try:
        with connect() as client:
            lengths = {queue: int(client.llen(queue)) for queue in QUEUES}
    except redis.RedisError:
        return
    for queue, length in lengths.items():
        yield Figure("tmportal_broker_queue_length", "Messages that wait in the broker.", length, {"queue": queue})


def _sizes() -> Iterator[Figure]:
    disk = shutil.disk_usage(settings.TM_DATA_DIR)
    for what, count in {"total": disk.total, "free": disk.free}.items():
        yield Figure("tmportal_disk_bytes", "The disk of the data directory.", count, {"what": what})
    if not settings.DATABASE_URL:
        kept = Path(str(settings.DATABASES["default"]["NAME"]))
        files = (kept, kept.with_name(f"{kept.name}-wal"))
        yield Figure("tmportal_database_bytes", "The database file and its log.", sum(map(_size, files)))
    manifest = _manifest()
    if manifest is None:
        return
    yield Figure("tmportal_register_marks", "Marks in the snapshot that serves.", manifest["marks"])
    size = sum(stamp["bytes"] for stamp in manifest["files"].values())
    yield Figure("tmportal_snapshot_bytes", "Files of the snapshot that serves.", size)


def _ages() -> Iterator[Figure]:
    ended = (
        TuningRun.objects.filter(finished_at__isnull=False)
        .order_by("-finished_at")
        .values_list("finished_at", flat=True)
        .first()
    )
    moments = {"last tuning run": ended}
    manifest = _manifest()
    if manifest is not None:
        moments["snapshot"] = datetime.fromisoformat(manifest["created"])
    for what, moment in moments.items():
        if moment is not None:
            yield Figure("tmportal_age_seconds", "How long ago it was made.", _since(moment), {"what": what})


def _manifest() -> dict[str, Any] | None:
    """Of the live snapshot; None where there is none that can be read."""
    live = engine.snapshots.current()
    try:
        return engine.snapshots.manifest(live) if live else None
    except SnapshotRefused:
        return None


def _since(moment: datetime | None) -> float:
    return max(0.0, (timezone.now() - moment).total_seconds()) if moment else 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _families() -> dict[str, Metric]:
    """The figures, a family for each name."""
    found: dict[str, Metric] = {}
    for figure in figures():
        family = found.setdefault(figure.name, Metric(figure.name, figure.help, "gauge"))
        family.add_sample(figure.name, figure.labels, figure.value)
    return found


def counters() -> list[Metric]:
    """What all processes have counted since they started, each sample with the process it comes from."""
    texts = {"web": generate_latest().decode()}
    with contextlib.suppress(redis.RedisError):
        texts |= shared()
    found: dict[str, Metric] = {}
    for process, text in texts.items():
        for family in text_string_to_metric_families(text):
            merged = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                merged.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
    return list(found.values())


class _Everything(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from counters()
        yield from _families().values()


def exposition() -> bytes:
    """The text format that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Everything())
    return generate_latest(registry)
