"""`manage.py snapshot`: rebuild the index from the register, after a change of descriptors or to recluster."""

import sys
from argparse import ArgumentParser
from typing import Any

from tqdm import tqdm

from search.commands import SentenceCommand
from search.snapshots import snapshot_publish


class Command(SentenceCommand):
    help = "Describe what has no vectors of the present descriptors, build a snapshot and switch to it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--recluster", action="store_true", help="choose the clusters anew; parameters per cluster lapse"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(unit=" marks", file=sys.stderr) as bar:

            def steps(done: int, of: int) -> None:
                bar.total = of
                bar.update(done - bar.n)

            made = snapshot_publish(recluster=options["recluster"], steps=steps)
        self.stdout.write(f"snapshot {made}")
