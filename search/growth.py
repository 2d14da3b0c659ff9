"""How the register grows (design.md 6): decode defensively, describe, append, switch to a new snapshot.

Every step can be killed and repeated: marks are rows, described marks are appended in segments, and a
snapshot is visible only when it is whole.
"""

import csv
import fcntl
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from search import encoders, media
from search.engine import engine
from search.errors import Refused, Unavailable
from search.models import Mark
from search.parameter_sets import parameter_set_ensure
from search.retrieval.clusters import Clusters, fit_clusters
from search.retrieval.decoding import decode_apart
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.hashing import HashHead, load_head
from search.retrieval.imaging import MAX_BYTES, ImageRefused, Picture
from search.retrieval.parameters import Parameters
from search.retrieval.records import MarkRecord
from search.retrieval.vector_store import DescribedMark

log = logging.getLogger(__name__)

CHUNK = 64
REQUIRED = ("number", "name", "image")
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Row:
    """One line of an ingest file, checked."""

    number: str
    name: str
    image: Path
    owner: str = ""
    nice_classes: tuple[int, ...] = ()
    jurisdiction: str = ""
    status: str = ""
    filing_date: date | None = None
    source: str = ""
    licence: str = ""

    def fields(self) -> dict[str, Any]:
        return {
            "name": self.name, "owner": self.owner, "nice_classes": list(self.nice_classes),
            "jurisdiction": self.jurisdiction, "status": self.status, "filing_date": self.filing_date,
            "source": self.source, "licence": self.licence,
        }  # fmt: skip


@dataclass
class IngestReport:
    """What became of an ingest file. `problems` are sentences with the line they are about."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    described: int = 0
    problems: list[str] = field(default_factory=list)
    snapshot: str | None = None


def read_rows(folder: Path, file: Path) -> tuple[list[Row], list[str]]:
    """Rows of a CSV file with at least number, name, image; a bad line is a problem, not the end."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Refused(f"There is no file {file}.") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise Refused(f"{file} is not a CSV file in UTF-8.") from None
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in REQUIRED if name not in (reader.fieldnames or [])]
    if missing:
        raise Refused(f"{file.name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}.")
    rows: list[Row] = []
    problems: list[str] = []
    seen: set[str] = set()
    for line in reader:
        try:
            row = _checked(
                {
                    key: (value or "").strip()
                    for key, value in line.items()
                    if isinstance(key, str) and not isinstance(value, list)
                },
                folder,
            )
            if row.number in seen:
                raise ValueError(f"the number {row.number} stands in the file twice")
            seen.add(row.number)
            rows.append(row)
        except ValueError as error:
            problems.append(f"Line {reader.line_num}: {error}.")
    return rows, problems


def _checked(line: dict[str, str], folder: Path) -> Row:
    for name in REQUIRED:
        if not line.get(name):
            raise ValueError(f"{name} is empty")
    if len(line["number"]) > 64:
        raise ValueError("the number is longer than 64 characters")
    image = (folder / line["image"]).resolve()
    if not image.is_relative_to(folder.resolve()):
        raise ValueError(f"the image {line['image']} lies outside {folder}")
    classes = tuple(
        sorted({_nice(word) for word in line.get("nice_classes", "").replace(",", ";").split(";") if word.strip()})
    )
    return Row(
        number=line["number"],
        name=line["name"][:200],
        image=image,
        owner=line.get("owner", "")[:200],
        nice_classes=classes,
        jurisdiction=line.get("jurisdiction", "")[:8],
        status=line.get("status", "")[:24],
        filing_date=_day(line.get("filing_date", "")),
        source=line.get("source", "")[:200],
        licence=line.get("licence", "")[:64],
    )


def _nice(word: str) -> int:
    if not word.strip().isdecimal() or not 1 <= int(word) <= 45:
        raise ValueError(f"{word.strip()!r} is not a Nice class (1 to 45)")
    return int(word)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"{text!r} is not a date (use 2026-01-31)") from None


def ingest(rows: Iterable[Row], *, progress: Progress = lambda done: None) -> IngestReport:
    """Add or update marks and describe what is new, then publish a snapshot. Repeating it resumes it."""
    report = IngestReport()
    rows = list(rows)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        _ingest_chunk(chunk, report)
        progress(len(chunk))
    if report.added or report.changed or report.described or engine.snapshots.current() is None:
        report.snapshot = snapshot_publish()
    return report


def _ingest_chunk(chunk: list[Row], report: IngestReport) -> None:
    existing = {mark.number: mark for mark in Mark.objects.filter(number__in=[row.number for row in chunk])}
    vectors = engine.vectors
    waiting: list[tuple[str, str, Picture]] = []
    for row in chunk:
        try:
            data = _read_image(row.image)
            digest = hashlib.sha256(data).hexdigest()
            mark = existing.get(row.number)
            same_image = mark is not None and mark.image_sha256 == digest
            described = not vectors.missing([(row.number, digest)])
            if not (same_image and described):
                picture = decode_apart(data)
                waiting += [] if described else [(row.number, digest, picture)]
                name, _ = media.mark_image_write(data, picture.pixels)
                image = {"image": name, "image_sha256": digest, "width": picture.width, "height": picture.height}
            else:
                image = {}
        except (ImageRefused, ValueError) as refusal:
            report.problems.append(f"Mark {row.number}: {refusal}")
            continue
        _save(row, mark, image, report)
    _describe(waiting)
    report.described += len(waiting)


def _describe(waiting: list[tuple[str, str, Picture]]) -> None:
    """Describe (number, SHA-256, picture) and keep it as one segment."""
    if waiting:
        descriptions = engine.describer.describe([picture for _, _, picture in waiting])
        engine.vectors.append([DescribedMark(n, d, x) for (n, d, _), x in zip(waiting, descriptions, strict=True)])


def _read_image(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(f"there is no image file {path.name}.")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"the image is larger than {MAX_BYTES // 2**20} MB.")
    return path.read_bytes()


def _save(row: Row, mark: Mark | None, image: dict[str, Any], report: IngestReport) -> None:
    values = {**row.fields(), **image}
    if mark is None:
        Mark.objects.create(number=row.number, **values)
        report.added += 1
    elif any(getattr(mark, name) != value for name, value in values.items()):
        for name, value in values.items():
            setattr(mark, name, value)
        mark.save()
        report.changed += 1
    else:
        report.unchanged += 1


def mark_records() -> Iterator[MarkRecord]:
    """What the engine knows of the register: every mark, in the order of their numbers."""
    for mark in Mark.objects.order_by("number").iterator(chunk_size=5000):
        yield MarkRecord(
            number=mark.number,
            nice=tuple(mark.nice_classes),
            jurisdiction=mark.jurisdiction,
            status=mark.status,
            filing_date=mark.filing_date,
            image_sha256=mark.image_sha256,
        )


def describe_missing(progress: Progress = lambda done: None) -> int:
    """Describe marks that have no vectors of the present descriptors (a new encoder, a lost segment)."""
    known = engine.vectors.known()
    rows = [r for r in Mark.objects.values_list("number", "image_sha256", "image") if (r[0], r[1]) not in known]
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        _describe([(number, digest, decode_apart(media.read(image))) for number, digest, image in chunk])
        progress(len(chunk))
    return len(rows)


def snapshot_publish(*, recluster: bool = False, progress: Progress = lambda done: None) -> str:
    """Build a snapshot of the whole register aside and switch to it. One builder at a time."""
    with _one_builder():
        describe_missing(progress)
        records = list(mark_records())
        if not records:
            raise Refused("The register is empty: ingest marks first (`manage.py ingest`).")
        version = engine.describer.version
        snapshot_id = engine.snapshots.publish(
            records=engine.vectors,
            metadata=records,
            calibration=encoders.calibration(),
            descriptors_version=version,
            clusters=_new_clusters() if recluster else None,
            hash_head=_hash_head(),
        )
        snapshot = engine.snapshots.open(snapshot_id)
        first = encoders.first_weights()
        fitting = Parameters.initial(
            engine.describer.names,
            weights=first.of(engine.describer.names),
            threshold=first.threshold,
            extension=snapshot.clusters.extension_for(),
            clusters_version=snapshot.clusters.version,
            descriptors_version=version,
            calibration_version=snapshot.calibration.version,
        )
        with transaction.atomic():
            parameter_set_ensure(fitting=fitting, reason=f"First parameters for these descriptors ({first.version}).")
        engine.snapshots.prune()
    log.info("snapshot %s with %s marks", snapshot_id, len(records))
    return snapshot_id


def _hash_head() -> HashHead | None:
    """The head that TM_CANDIDATE_STAGE and TM_HASH ask for; None: candidates by the linear score."""
    if settings.TM_CANDIDATE_STAGE != "hamming":
        return None
    try:
        return load_head(settings.TM_HASH, weights=encoders.weights())
    except (WeightsUnusable, ValueError) as reason:
        raise Unavailable(f"{reason} Or set TM_CANDIDATE_STAGE=linear.") from None


def _new_clusters() -> Clusters:
    """Clusters of the register as it is now; parameters made for the old ones fall back to the default."""
    keys = [(record.number, record.image_sha256) for record in mark_records()]
    return fit_clusters(engine.vectors.read(keys).vectors["general"])


@contextmanager
def _one_builder() -> Iterator[None]:
    folder = Path(settings.TM_DATA_DIR) / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "snapshot.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
