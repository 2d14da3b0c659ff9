"""`manage.py concepts "coffee cup"`: marks by meaning on the command line, in this process."""

import json
from argparse import ArgumentParser
from typing import Any

from search.commands import SentenceCommand
from search.concepts import concept_search, marks_found
from search.errors import Refused
from search.retrieval.records import Filters


class Command(SentenceCommand):
    help = "Search the register with words and print the marks nearest in meaning."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", metavar="WORDS")
        parser.add_argument("--top", type=int, default=12, metavar="N", help="how many marks (default 12)")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["top"] < 1:
            raise Refused("--top must be at least 1.")
        answer = concept_search(text=options["words"], filters=Filters(), top=options["top"])
        found = marks_found(answer)
        if options["json"]:
            rows = [{**hit, "name": mark.name} for hit, mark in found]
            self.stdout.write(json.dumps({**answer, "hits": rows}, indent=1))
            return
        for hit, mark in found:
            self.stdout.write(f"{hit['rank']:>4} {hit['cosine']:6.3f} {mark.number:<16} {mark.name[:48]}")
        self.stdout.write(f"{answer['scanned']:,} marks compared, snapshot {answer['snapshot']}")
