"""From a claimed batch of searches to their stored answers."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from search import heartbeat, media
from search.bulk import rows_insert
from search.engine import Answered, Asked, engine
from search.errors import Refused, Unavailable
from search.models import LivePointer, Mark, Search, SearchResult
from search.presentation import Layout, arrange
from search.query_file import query_keep
from search.queue import Runner
from search.retrieval import progress
from search.retrieval.imaging import ImageRefused
from search.retrieval.records import Hit
from search.selectors import live_pointer
from search.services import filters_from_json, search_wake
from search.telemetry import SEARCH_SECONDS, SEARCHES, STAGE_SECONDS
from search.vienna import vienna_suggested

log = logging.getLogger(__name__)

_FAILED = "The search failed inside the service. Try again; if it fails again, tell the administrator."


def searches_answer(batch: Sequence[Search]) -> None:
    """Carry out searches that this process has claimed. One that fails fails alone: with a sentence, in its row.

    Unavailable when nothing can be answered just now; what was not answered is then left as it was claimed.
    """
    try:
        _answer(batch)
    except Unavailable:
        raise
    except Exception as error:
        if len(batch) > 1:
            log.warning("a batch of %d searches failed (%r): they are carried out one by one", len(batch), error)
            for search in batch:
                searches_answer([search])
        elif isinstance(error, Refused | ImageRefused):
            _fail(batch[0], str(error))
        else:
            log.exception("search %s failed", batch[0].pk)
            _fail(batch[0], _FAILED)


def _answer(batch: Sequence[Search]) -> None:
    started = time.perf_counter()
    pointer = live_pointer()
    if pointer is None:
        if not Mark.objects.exists():
            raise Refused("The register is empty: the administrator has to ingest marks first.")
        raise Unavailable("The first parameters are being made.")
    parameters = pointer.parameter_set.unpack()
    with progress.work(f"{len(batch)} searches from {batch[0].pk} on"):
        answered = engine.search_many(
            [_asked(search) for search in batch],
            parameters,
            candidates=settings.TM_CANDIDATES,
            top=settings.TM_RESULTS,
        )
    serving = answered[0].snapshot
    if (parameters.descriptors_version, parameters.calibration_version) != (
        serving.descriptors_version,
        serving.calibration.version,
    ):
        # Between two steps of an upgrade: the weights and the cut of one would judge the similarities of the other.
        raise Unavailable("The parameters for the index that serves are being made.")
    _write(batch, answered, pointer, started)


def _asked(search: Search) -> Asked:
    try:
        image = media.read(search.image, sha256=search.image_sha256)
    except FileNotFoundError:
        raise Refused("The image of this search is lost or damaged on the disk: search with it again.") from None
    return Asked(
        image,
        filters_from_json(search.filters),
        "cluster" if search.depth == Search.Depth.CLUSTER else "register",
    )


def _write(batch: Sequence[Search], answered: Sequence[Answered], pointer: LivePointer, started: float) -> None:
    """All answers of a batch in one transaction, those aside that another worker has taken over meanwhile."""
    writing = time.perf_counter()
    numbers = {hit.number for one in answered for hit in one.answer.hits}
    marks = dict(Mark.objects.filter(number__in=numbers).values_list("number", "pk"))
    rows: dict[Any, list[tuple[Any, ...]]] = {}
    for search, one in zip(batch, answered, strict=True):
        # A mark deleted since the snapshot was made has no row any more.
        hits = [hit for hit in one.answer.hits if hit.number in marks]
        shown = arrange(search, one.answer, hits, pointer=pointer, clusters_version=one.snapshot.clusters.version)
        rows[search.pk] = _rows(search, hits, shown, marks)
        _stamp(search, one, pointer, shown)
        search.count = len(rows[search.pk])
        if one.answer.query is not None:
            query_keep(search, one.answer.query, one.snapshot.descriptors_version)
    with transaction.atomic():
        claimed = Search.objects.select_for_update(no_key=True).filter(pk__in=rows, **_OURS).order_by("pk")
        ours = dict(claimed.values_list("pk", "attempts"))
        mine = [search for search in batch if ours.get(search.pk) == search.attempts]
        # A killed predecessor of an earlier release may have got as far as the rows.
        SearchResult.objects.filter(search__in=[search.pk for search in mine if search.attempts > 1]).delete()
        rows_insert(SearchResult, _COLUMNS, (row for search in mine for row in rows[search.pk]))
        now = time.perf_counter()
        for search in mine:
            search.timings |= {
                "write": round((now - writing) * 1000 / len(batch), 2),
                "total": round((now - started) * 1000, 2),
            }
            search.save()
    for search in mine:
        _tell(search)


_OURS = {"status": Search.Status.RUNNING, "worker": heartbeat.WORKER}


_COLUMNS = (
    "search", "mark", "rank", "position", "score", "similarities", "preselected", "above_cut", "audit", "arm", "boxes",
    "refined",
)  # fmt: skip


def _rows(search: Search, hits: Sequence[Hit], shown: Layout, marks: dict[str, int]) -> list[tuple[Any, ...]]:
    found = [(position, place, hits[place.row]) for position, place in enumerate(shown.places, start=1)]
    return [
        (
            *(search.pk, marks[hit.number], place.row + 1, position, hit.score, hit.similarities, place.preselected),
            *(place.above_cut, place.audit, place.arm, hit.boxes, False),
        )
        for position, place, hit in found
    ]


def _stamp(search: Search, one: Answered, pointer: LivePointer, shown: Layout) -> None:
    answer = one.answer
    search.status = Search.Status.DONE
    search.finished_at = timezone.now()
    search.parameter_set = pointer.parameter_set
    search.snapshot = one.snapshot.id
    search.cluster = answer.cluster
    search.clusters_version = one.snapshot.clusters.version
    search.threshold, search.cut_shift = answer.cut, answer.cut_shift
    search.scanned = answer.scanned
    search.plain = shown.plain
    search.candidate_set = shown.candidate
    search.vienna = vienna_suggested(answer.meaning)
    search.timings = {name: round(value, 2) for name, value in answer.timings.items()}


def _fail(search: Search, sentence: str) -> None:
    search.status, search.finished_at, search.error = Search.Status.FAILED, timezone.now(), sentence
    if Search.objects.filter(pk=search.pk, attempts=search.attempts, **_OURS).update(
        status=search.status, finished_at=search.finished_at, error=sentence
    ):
        _tell(search)


def _tell(search: Search) -> None:
    """Of a search that has ended, to those who watch the service."""
    seconds = (search.finished_at - search.created_at).total_seconds() if search.finished_at else 0.0
    SEARCHES.labels(search.status).inc()
    SEARCH_SECONDS.observe(seconds)
    for stage, milliseconds in search.timings.items():
        STAGE_SECONDS.labels(stage).observe(milliseconds / 1000)
    facts = {"search_id": str(search.pk), "user_id": search.owner_id, "seconds": seconds, "outcome": search.status}
    log.info("search", extra=facts)


runner = Runner(searches_answer, wake=search_wake)
