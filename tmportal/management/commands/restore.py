"""`manage.py restore DIR`: TM_DATA_DIR and the database as they were when the backup was made."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from tqdm import tqdm

from search.commands import SentenceCommand
from tmportal.backups.archive import verify
from tmportal.backups.restoring import backup_in, restore


class Command(SentenceCommand):
    help = (
        "Restore the newest backup in DIR, or the backup DIR, into TM_DATA_DIR and DATABASE_URL. Every byte is "
        "verified before anything is written. The service must not run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dir", type=Path, metavar="DIR")
        parser.add_argument("--replace", action="store_true", help="put aside, not away, what is there already")
        parser.add_argument("--check", action="store_true", help="only verify the backup")

    def handle(self, *args: Any, **options: Any) -> None:
        backup, manifest = backup_in(options["dir"].absolute())
        size = sum(stamp["bytes"] for stamp in manifest["files"].values())
        passes = 1 if options["check"] else 2
        with tqdm(total=passes * size, unit="B", unit_scale=True, file=sys.stderr) as bar:
            if options["check"]:
                verify(backup, manifest, bar.update)
                aside = None
            else:
                aside = restore(backup, manifest, replace=options["replace"], progress=bar.update)
        what = f"the backup {backup} of {manifest['made']}: {len(manifest['files']):,} files, {size:,} bytes"
        if options["check"]:
            self.stdout.write(f"Whole is {what}.")
            return
        self.stdout.write(f"Restored into {settings.TM_DATA_DIR} {what}. Start it with `make run`.")
        if aside is not None:
            self.stdout.write(f"What was there before lies in {aside}: delete it when you do not need it any more.")
        if manifest["key_from"] == "environment":
            self.stdout.write(
                "The secret key came from TM_SECRET_KEY: set it to the same value, or everybody logs in anew."
            )
