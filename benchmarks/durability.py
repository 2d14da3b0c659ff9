#!/usr/bin/env python
"""What it costs that an answer is on disk before it is given: milliseconds with and without the syncs. JSON.

    .venv/bin/python benchmarks/durability.py [--times 200] [--folder DIR]

selection: one change of one mark, one commit. upload: image and preview of a search, and its row. answer: 230 results
of a search in one commit. "without" is synchronous=NORMAL and no fsync of files, as a power cut would not forgive.
--folder: on the disk that is to be measured.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.office import empty_office


def milliseconds(work: Callable[[int], object], times: int) -> dict[str, float]:
    taken = []
    for turn in range(times):
        began = time.perf_counter()
        work(turn)
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50": round(float(np.percentile(taken, 50)), 2), "p95": round(float(np.percentile(taken, 95)), 2)}


@contextlib.contextmanager
def synced(wanted: bool) -> Iterator[None]:
    from django.db import connection

    from search.retrieval import durable

    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous={'FULL' if wanted else 'NORMAL'}")
    with contextlib.nullcontext() if wanted else mock.patch.object(durable, "sync", lambda path: None):
        yield


def office() -> tuple[Any, Any, list[Any]]:
    """An examiner, a search of theirs that is done, 230 marks."""
    from django.contrib.auth import get_user_model

    from search.models import Mark, Search, SearchResult

    examiner = get_user_model().objects.create_user("erin", password="a-long-password-9")
    marks = Mark.objects.bulk_create(
        Mark(number=f"M{n}", name=f"Mark {n}", image=f"marks/{n}", image_sha256=f"{n}") for n in range(230)
    )
    search = Search.objects.create(owner=examiner, image="searches/q", status=Search.Status.DONE)
    SearchResult.objects.bulk_create(result(search, mark, n) for n, mark in enumerate(marks, start=1))
    return examiner, search, marks


def result(search: Any, mark: Any, rank: int) -> Any:
    from search.models import SearchResult

    similarities = dict.fromkeys(("general", "edges", "objects", "colour", "texture", "semantic"), 0.123456)
    return SearchResult(
        search=search, mark=mark, rank=rank, position=rank, score=0.5, similarities=similarities, preselected=False
    )


def measure(times: int) -> dict[str, dict[str, dict[str, float]]]:
    from feedback.services import selection_set
    from search import media
    from search.models import Search, SearchResult

    examiner, done, marks = office()

    def select(turn: int) -> None:
        selection_set(search=done, number=marks[turn % 230].number, selected=turn // 230 % 2 == 0, user=examiner)

    def upload(turn: int) -> None:
        name = f"searches/{turn % 256:02x}/{time.time_ns()}"
        media.write(name, os.urandom(60_000))
        media.write(f"{name}.preview.webp", os.urandom(20_000))
        Search.objects.create(owner=examiner, image=name)

    def answer(turn: int) -> None:
        search = Search.objects.create(owner=examiner, image=f"searches/a{turn}")
        SearchResult.objects.bulk_create([result(search, mark, n) for n, mark in enumerate(marks, start=1)])

    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, work in (("selection", select), ("upload", upload), ("answer", answer)):
        found[name] = {}
        for wanted in (False, True):
            with synced(wanted):
                found[name]["with" if wanted else "without"] = milliseconds(work, times)
            if work is select:
                done.selections.all()._raw_delete("default")
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=200)
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    with empty_office(given.folder):
        print(json.dumps(measure(given.times), indent=1))


if __name__ == "__main__":
    main()
