"""Reads of feedback for training: which images examiners confirmed to be confusable, and which not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from feedback.families import Family, Verdicts, Word, families_of
from feedback.models import Impression
from feedback.selectors import conclusions_between
from search import media

__all__ = ["Confirmed", "Family", "confirmed_families"]

Outcome = Impression.Outcome


@dataclass(frozen=True)
class Confirmed:
    """families: of images by SHA-256; strangers: (query, mark), told apart by an examiner. paths: SHA-256 -> file.

    searches: how many concluded searches said anything; disputed, cut, capped: see families.Verdicts.
    """

    families: tuple[Family, ...]
    strangers: tuple[tuple[str, str], ...]
    paths: Mapping[str, Path]
    searches: int
    examiners: int
    disputed: int
    cut: int
    capped: int


def confirmed_families(*, until: datetime | None = None) -> Confirmed:
    """What the newest conclusion of every search confirms.

    A mark that was added counts, and one that was kept by an examiner who saw it; a removed mark is a stranger of
    that query. What was not touched or not seen says nothing. One image is one thing, whatever it is registered or
    searched under.
    """
    conclusions = conclusions_between(None, until or timezone.now()).order_by()
    said = (
        Impression.objects.filter(conclusion__in=conclusions.values("pk"))
        .filter(
            Q(outcome=Outcome.ADDED) | Q(outcome=Outcome.KEPT, seen=True) | Q(outcome=Outcome.REMOVED),
        )
        .order_by("conclusion_id", "rank")
    )
    paths: dict[str, Path] = {}
    words = []
    for search, query_sha, query_file, mark_sha, mark_file, examiner, outcome in said.values_list(
        "conclusion__search_id", "conclusion__search__image_sha256", "conclusion__search__image",
        "mark__image_sha256", "mark__image", "examiner_id", "outcome",
    ).iterator(chunk_size=2000):  # fmt: skip
        query = query_sha or f"search {search}"  # a row from before searches kept it
        paths.setdefault(query, media.path_of(query_file))
        paths[mark_sha] = media.path_of(mark_file)  # the register's files outlive those of searches
        words.append(
            Word(search, examiner, query, mark_sha, alike=outcome != Outcome.REMOVED, added=outcome == Outcome.ADDED)
        )
    found: Verdicts = families_of(words)
    return Confirmed(
        families=found.families,
        strangers=found.strangers,
        paths=paths,
        searches=len({word.search for word in words}),
        examiners=len({word.examiner for word in words}),
        disputed=found.disputed,
        cut=found.cut,
        capped=found.capped,
    )
