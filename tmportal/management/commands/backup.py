"""`manage.py backup DIR`: database, images, snapshot, vectors, encoders and key, while the service runs."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from tqdm import tqdm

from search.commands import SentenceCommand
from tmportal.backups.archive import backup, read_manifest, thin_out


class Command(SentenceCommand):
    help = (
        "Back up this installation into a folder of its own under DIR; the service may run and be written to. "
        "Again into the same DIR it costs the database and what is new."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dir", type=Path, metavar="DIR", help="on another disk, best on another machine")
        parser.add_argument(
            "--keep", type=int, metavar="N", help="afterwards delete all but the N newest backups in DIR"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["dir"].absolute()
        with tqdm(total=0, unit="B", unit_scale=True, file=sys.stderr) as bar:

            def expect(count: int) -> None:
                bar.total += count
                bar.refresh()

            made = backup(folder, progress=bar.update, expect=expect)
        manifest = read_manifest(made)
        sizes = {name: stamp["bytes"] for name, stamp in manifest["files"].items()}
        new = sum(size for name, size in sizes.items() if (made / name).stat().st_nlink == 1)
        self.stdout.write(f"{made}: {len(sizes):,} files, {sum(sizes.values()):,} bytes, {new:,} of them new.")
        if manifest["key_from"] == "environment":
            self.stdout.write("The secret key is not in it, as TM_SECRET_KEY gives it: keep that as well.")
        if manifest["missing"]:
            self.stderr.write(
                f"{len(manifest['missing'])} files that the database names are not on file, such as "
                f"{manifest['missing'][0]}: they were lost before."
            )
        if options["keep"] is not None:
            gone = thin_out(folder, max(1, options["keep"]))
            self.stdout.write(f"{gone} older backups deleted.")
