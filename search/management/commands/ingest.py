"""`manage.py ingest DIR --csv FILE`: marks with their metadata; resumable."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from search.commands import SentenceCommand
from search.errors import Refused
from search.growth import ingest, read_rows


class Command(SentenceCommand):
    help = (
        "Add marks to the register. The CSV needs number, name, image (a path under DIR); it may have owner, "
        "nice_classes (9;25), jurisdiction, status, filing_date, source, licence. "
        "Run it again after an interruption: it goes on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dir", type=Path, metavar="DIR", help="folder with the images")
        parser.add_argument("--csv", type=Path, required=True, help="file with one line per mark")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["dir"]
        if not folder.is_dir():
            raise Refused(f"There is no folder {folder}.")
        rows, problems = read_rows(folder, options["csv"])
        with tqdm(total=len(rows), unit=" marks", file=sys.stderr) as bar:
            report = ingest(rows, progress=bar.update)
        for problem in problems + report.problems:
            self.stderr.write(problem)
        skipped = len(problems) + len(report.problems)
        self.stdout.write(
            f"{report.added} added, {report.changed} changed, {report.unchanged} as they were, "
            f"{report.described} described, "
            f"{skipped} refused; snapshot {report.snapshot or 'unchanged'}."
        )
        if skipped:
            raise CommandError(
                f"{skipped} of {len(rows) + len(problems)} lines were refused; see above. The others are in."
            )
