"""A data directory and code of different releases: what is newer than the code is refused, what is older is brought up.

The database is migrated and segments of described marks get their digests here, while nothing runs. A snapshot that was
made with other descriptors, another calibration or another format is made anew by the service itself while it runs
(search.upkeep): that can take an hour, and the portal says how far it is.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from search.retrieval.snapshot import FORMAT, SnapshotStore
from search.retrieval.vector_store import VectorStore

OURS = ("search", "feedback", "tuning", "accounts")


class TooNew(SystemExit):
    """The data directory was written by a newer release; the message says what to do."""


def refuse_newer() -> None:
    """Before anything is written."""
    unknown = unknown_migration(MigrationRecorder(connection).applied_migrations()) or _newer_snapshot()
    if unknown:
        raise TooNew(
            f"The data in {settings.TM_DATA_DIR} were written by a newer release ({unknown}), and this one would "
            "damage them. Start that release, or set TM_DATA_DIR to data that were kept from before."
        )


def unknown_migration(applied: Iterable[tuple[str, str]]) -> str:
    """The last migration that this release does not know, in words; empty where it knows them all."""
    known = MigrationLoader(None).disk_migrations
    unknown = sorted(key for key in applied if key[0] in OURS and key not in known)
    return f"migration {'.'.join(unknown[-1])}" if unknown else ""


def _newer_snapshot() -> str:
    store = SnapshotStore(Path(settings.TM_DATA_DIR) / "snapshots")
    try:
        written = json.loads((store.root / (store.current() or "-") / "manifest.json").read_text("utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # none, or damaged: the service builds it again
    return f"snapshot format {written}" if isinstance(written, int) and written > FORMAT else ""


def seal_vectors() -> None:
    """Once per data directory: from then on a described mark that was damaged is noticed."""
    for root in ("vectors", "held-out-vectors"):
        for folder in (Path(settings.TM_DATA_DIR) / root).glob("*/"):
            VectorStore(folder.parent, folder.name).seal()
