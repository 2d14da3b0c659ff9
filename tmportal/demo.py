"""The demo register: real logos with invented owners, numbers and dates, loaded when the register is empty."""

import sys
from pathlib import Path

from django.conf import settings
from tqdm import tqdm

from search.engine import engine
from search.growth import ingest, read_rows
from search.models import Mark

DEMO = Path(settings.BASE_DIR) / "search" / "demo"


def demo_load(*, limit: int | None = None) -> None:
    """Load, or go on loading, the demo register. An office's own register is left alone."""
    if Mark.objects.exclude(licence__gt="").exists():
        return
    rows, problems = read_rows(DEMO, DEMO / "register.csv")
    rows.sort(key=lambda row: row.image.parent.name != "queries")  # families first, for small registers
    rows = rows[:limit]
    # A snapshot that is lost, damaged or of a release before is built again by the service while it runs.
    if engine.snapshots.ids() and Mark.objects.count() >= len(rows):
        return
    print(
        f"Loading the demo register: {len(rows):,} real marks (once; a killed load goes on where it stopped).",
        flush=True,
    )
    with tqdm(total=len(rows), unit=" marks", file=sys.stdout, mininterval=1) as bar:
        report = ingest(rows, progress=bar.update)
    for problem in problems + report.problems:
        print(problem, file=sys.stderr)
