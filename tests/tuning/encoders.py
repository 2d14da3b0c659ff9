"""What the tests of an office's own encoder share: held-out marks on disk and searches that examiners concluded."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.utils import timezone
from PIL import ImageOps

from feedback.services import search_conclude, selection_set
from search import media
from search.models import Mark, Search, SearchResult
from search.retrieval.descriptors import DESCRIPTORS
from search.selectors import live_parameter_set
from tests import pictures


def held_out(folder: Path) -> Path:
    """Six groups of three, two of them to validate on, and a small pool."""
    (folder / "queries").mkdir(parents=True)
    (folder / "pool").mkdir()
    for group in range(6):
        picture = pictures.mark(200 + group)
        variants = [picture, ImageOps.mirror(picture), picture.rotate(12, fillcolor="white")]
        for instance, variant in enumerate(variants):
            variant.save(folder / "queries" / f"{instance + 1}-{group}.png")
    for seed in range(6):
        pictures.mark(300 + seed).save(folder / "pool" / f"{seed}.png")
    splits = {"fit": ["0", "1"], "validate": ["2", "3", "4"], "test": ["5"]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


def concluded(
    owner: Any, query: bytes, numbers: list[str], *, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()
) -> Search:
    """A search of real marks of the register, none seen; the ones to be removed were pre-selected."""
    digest = hashlib.sha256(query).hexdigest()
    search = Search.objects.create(
        owner=owner, image=media.write(f"searches/{digest}", query), image_sha256=digest, status=Search.Status.DONE,
        finished_at=timezone.now(), parameter_set=live_parameter_set(), snapshot="s", cluster=0, threshold=0.5,
        count=len(numbers), scanned=len(numbers),
    )  # fmt: skip
    SearchResult.objects.bulk_create(
        SearchResult(
            search=search, mark=Mark.objects.get(number=number), rank=rank, position=rank, score=0.5,
            similarities=dict.fromkeys(DESCRIPTORS, 0.5), preselected=number in removed,
        )
        for rank, number in enumerate(numbers, start=1)
    )  # fmt: skip
    for number in added:
        selection_set(search=search, number=number, selected=True, user=owner)
    for number in removed:
        selection_set(search=search, number=number, selected=False, user=owner)
    search_conclude(search=search, kind="done", user=owner)
    return search


def query(seed: int) -> bytes:
    """A mirrored copy of mark number `seed` of the register."""
    return pictures.encoded(ImageOps.mirror(pictures.mark(seed)))
