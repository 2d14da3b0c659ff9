"""How the register grows (design.md 6): decode defensively, describe, append, switch to a new snapshot.

Every step can be killed and repeated: marks are rows, described marks are appended in segments, and a
snapshot (search.snapshots) is visible only when it is whole.
"""

import csv
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from search import media
from search.engine import engine
from search.errors import Refused
from search.models import Mark
from search.retrieval.decoding import decode_apart
from search.retrieval.imaging import MAX_BYTES, ImageRefused, Picture
from search.snapshots import CHUNK, describe_marks, snapshot_publish

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
    if any("\0" in value for value in line.values()):
        raise ValueError("it holds a NUL byte")
    if len(line["number"]) > 64:
        raise ValueError("the number is longer than 64 characters")
    # It stands in addresses, where these two mean the place itself and the one above.
    if line["number"] in (".", "..") or not line["number"].isprintable():
        raise ValueError(f"the number {line['number']!r} cannot stand in an address")
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
    describe_marks(waiting)
    report.described += len(waiting)


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
