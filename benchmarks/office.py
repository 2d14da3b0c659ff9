"""An office for a benchmark that works on rows: an empty database and data directory of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def empty_office(folder: Path | None) -> Iterator[None]:
    """Django over a fresh data directory below `folder`, or below the system's own for temporary files."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        os.environ |= {"TM_DATA_DIR": made, "DJANGO_SETTINGS_MODULE": "tmportal.settings", "TM_LOG_LEVEL": "WARNING"}
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        from tmportal.bootstrap import bootstrap

        bootstrap(demo=False)
        yield
