"""`manage.py search IMAGE`: one search on the command line, in this process."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from search.commands import SentenceCommand
from search.engine import engine
from search.errors import Refused
from search.models import Mark
from search.retrieval.imaging import MAX_BYTES, TOO_LARGE
from search.retrieval.records import Filters
from search.selectors import live_parameter_set


class Command(SentenceCommand):
    help = "Search the register with an image and print the best marks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("image", type=Path, metavar="IMAGE")
        parser.add_argument("--top", type=int, default=10, metavar="N", help="how many marks (default 10)")
        parser.add_argument("--depth", choices=["register", "cluster"], default="register")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        answer = self._search(options["image"], options["top"], options["depth"])
        if options["json"]:
            self.stdout.write(json.dumps(answer, indent=1))
            return
        for hit in answer["results"]:
            why = "  ".join(
                f"{name} {'-' if value is None else f'{value:.0f}'}" for name, value in hit["similarities"].items()
            )
            tick = "*" if hit["preselected"] else " "
            self.stdout.write(
                f"{hit['rank']:>4} {hit['score']:5.1f} % {tick} {hit['mark']:<16} {hit['name'][:32]:<32} {why}"
            )
        self.stdout.write(f"{answer['parameter_set']}, snapshot {answer['snapshot']}; * = pre-selected")

    def _search(self, path: Path, top: int, depth: Any) -> dict[str, Any]:
        if top < 1:
            raise Refused("--top must be at least 1.")
        if not path.is_file():
            raise Refused(f"There is no file {path}.")
        if path.stat().st_size > MAX_BYTES:
            raise Refused(TOO_LARGE)
        live = live_parameter_set()
        if live is None:
            raise Refused("The register is empty: run `manage.py bootstrap` or `manage.py ingest` first.")
        answer, snapshot = engine.search(
            path.read_bytes(),
            live.unpack(),
            filters=Filters(),
            depth=depth,
            candidates=max(settings.TM_CANDIDATES, top),
            top=top,
        )
        names = dict(Mark.objects.filter(number__in=[hit.number for hit in answer.hits]).values_list("number", "name"))
        results = [
            {
                "mark": hit.number,
                "name": names.get(hit.number, ""),
                "rank": hit.rank,
                "score": round(100 * hit.score, 2),
                "similarities": {n: None if v is None else round(100 * v, 2) for n, v in hit.similarities.items()},
                "preselected": hit.preselected,
            }
            for hit in answer.hits
        ]
        return {"parameter_set": str(live), "snapshot": snapshot.id, "timings": answer.timings, "results": results}
