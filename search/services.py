"""Writes for searches: create, claim, run, recover. Parameter sets have their own file."""

import errno
import hashlib
import logging
import time
import uuid
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from search import heartbeat, media
from search.broker import send
from search.engine import engine
from search.errors import Refused, Unavailable
from search.models import Mark, Search, SearchResult
from search.presentation import arrange
from search.query_file import query_keep
from search.retrieval.decoding import DecodersBusy, decode_apart
from search.retrieval.imaging import ImageRefused
from search.retrieval.records import Filters
from search.selectors import live_pointer
from search.vienna import vienna_suggested

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
_DECODER_PATIENCE = 15.0
"""Seconds for which an upload waits while other very large images are opened."""
RESEND_AFTER = timedelta(seconds=10)


def search_create(*, owner: Any, data: bytes, image_name: str, filters: Filters, depth: str) -> Search:
    """Check the image, keep it and queue the search. Refused with a sentence when the image is no good.

    The row is the truth, the broker only carries its id: with the broker away the search waits and is sent
    again by `sweep`.
    """
    try:
        picture = decode_apart(data, patience=_DECODER_PATIENCE)
    except ImageRefused as refusal:
        raise Refused(str(refusal)) from None
    except DecodersBusy as busy:
        raise Unavailable(str(busy)) from None
    search_id = uuid.uuid4()
    name = f"searches/{search_id.hex[:2]}/{search_id.hex}"
    try:
        media.write(name, data)
        media.write(preview_name(name), media.thumbnail_bytes(picture.pixels, media.PREVIEW_SIDE))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("The disk of the service is full: tell the administrator. Nothing was lost.") from error
        raise
    search = Search.objects.create(
        id=search_id,
        owner=owner,
        image=name,
        image_sha256=hashlib.sha256(data).hexdigest(),
        image_name=image_name[:200],
        width=picture.width,
        height=picture.height,
        filters=filters_to_json(filters),
        depth=depth,
    )
    transaction.on_commit(lambda: search_send(search))
    return search


def preview_name(image: str) -> str:
    return f"{image}.preview.webp"


def search_send(search: Search) -> bool:
    """Hand the id to the broker. False when the broker is away: the sweep will try again."""
    from search.tasks import run_search

    return send(run_search, str(search.pk))


def snapshot_request() -> bool:
    """Have a worker build a snapshot of the register as it is now. False when the broker is away."""
    from search.tasks import publish_snapshot

    return send(publish_snapshot)


def search_run(*, search_id: str) -> str:
    """Claim one queued search and carry it out. A second delivery of the same id does nothing."""
    now = timezone.now()
    claimed = Search.objects.filter(pk=search_id, status=Search.Status.QUEUED).update(
        status=Search.Status.RUNNING, started_at=now, attempts=F("attempts") + 1, worker=heartbeat.WORKER
    )
    if not claimed:
        return "not queued"
    search = Search.objects.get(pk=search_id)
    try:
        _carry_out(search)
    except (Refused, ImageRefused) as refusal:
        _fail(search, str(refusal))
    except Exception:
        log.exception("search %s failed", search_id)
        _fail(search, "The search failed inside the service. Try again; if it fails again, tell the administrator.")
    return search.status


def _carry_out(search: Search) -> None:
    started = time.perf_counter()
    pointer = live_pointer()
    if pointer is None:
        raise Unavailable("No parameter set is live: the administrator has to run `manage.py bootstrap`.")
    live = pointer.parameter_set
    parameters = live.unpack()
    answer, snapshot = engine.search(
        media.read(search.image),
        parameters,
        filters=filters_from_json(search.filters),
        depth="cluster" if search.depth == Search.Depth.CLUSTER else "register",
        candidates=settings.TM_CANDIDATES,
        top=settings.TM_RESULTS,
    )
    marks = dict(Mark.objects.filter(number__in=[hit.number for hit in answer.hits]).values_list("number", "pk"))
    writing = time.perf_counter()
    # A mark deleted since the snapshot was made has no row any more.
    hits = [hit for hit in answer.hits if hit.number in marks]
    shown = arrange(search, answer, hits, pointer=pointer, clusters_version=snapshot.clusters.version)
    rows = [
        SearchResult(
            search=search,
            mark_id=marks[hits[place.row].number],
            rank=place.row + 1,
            position=position,
            score=hits[place.row].score,
            similarities=dict(hits[place.row].similarities),
            preselected=place.preselected,
            above_cut=place.above_cut,
            audit=place.audit,
            arm=place.arm,
            boxes=[list(box) for box in hits[place.row].boxes or ()] or None,
        )
        for position, place in enumerate(shown.places, start=1)
    ]
    search.status = Search.Status.DONE
    search.finished_at = timezone.now()
    search.parameter_set = live
    search.snapshot = snapshot.id
    search.cluster = answer.cluster
    search.clusters_version = snapshot.clusters.version
    search.threshold, search.cut_shift = answer.cut, answer.cut_shift
    search.scanned = answer.scanned
    search.count = len(rows)
    search.plain = shown.plain
    search.candidate_set = shown.candidate
    search.vienna = vienna_suggested(answer.meaning)
    if answer.query is not None:
        query_keep(search, answer.query, snapshot.descriptors_version)
    with transaction.atomic():
        # A killed predecessor may have got as far as the rows; only a whole answer is ever visible.
        search.results.all().delete()
        SearchResult.objects.bulk_create(rows, batch_size=500)
        stage = {name: round(value, 2) for name, value in answer.timings.items()}
        stage["write"] = round((time.perf_counter() - writing) * 1000, 2)
        stage["total"] = round((time.perf_counter() - started) * 1000, 2)
        search.timings = stage
        search.save()


def search_hold(search: Search) -> None:
    """Until the transaction ends nobody else selects in this search, concludes it, or gives it another result."""
    Search.objects.select_for_update(no_key=True).values("pk").get(pk=search.pk)


def search_concluded(*, search: Search, at: datetime) -> None:
    """The examiner made a report or said "done": from `TM_GUARDS_AFTER` such searches on, the guards act on theirs."""
    Search.objects.filter(pk=search.pk).update(concluded_at=at)
    search.concluded_at = at


def _fail(search: Search, sentence: str) -> None:
    search.status = Search.Status.FAILED
    search.finished_at = timezone.now()
    search.error = sentence
    search.save(update_fields=["status", "finished_at", "error"])


def sweep() -> dict[str, int]:
    """Bring back what a dead worker or a dead broker dropped. Safe to run at any time, any number of times."""
    now = timezone.now()
    living = set(heartbeat.alive()) | {heartbeat.WORKER}
    counts = {"requeued": 0, "given_up": 0, "sent": 0}
    # A worker's first beat may come a moment after its first claim.
    lost = Search.objects.filter(status=Search.Status.RUNNING, started_at__lt=now - timedelta(seconds=5)).exclude(
        worker__in=living
    )
    for search in lost:
        unchanged = Search.objects.filter(pk=search.pk, status=Search.Status.RUNNING, attempts=search.attempts)
        if search.attempts >= MAX_ATTEMPTS:
            sentence = (
                f"The search worker stopped {search.attempts} times on this image. Try another file of the same mark."
            )
            counts["given_up"] += unchanged.update(status=Search.Status.FAILED, finished_at=now, error=sentence)
        elif unchanged.update(status=Search.Status.QUEUED, queued_at=now):
            counts["requeued"] += 1
            search_send(search)
    for search in Search.objects.filter(status=Search.Status.QUEUED, queued_at__lt=now - RESEND_AFTER)[:500]:
        if Search.objects.filter(pk=search.pk, status=Search.Status.QUEUED, queued_at=search.queued_at).update(
            queued_at=now
        ):
            counts["sent"] += search_send(search)
    return counts


def filters_to_json(filters: Filters) -> dict[str, Any]:
    return {
        "nice": list(filters.nice),
        "jurisdictions": list(filters.jurisdictions),
        "statuses": list(filters.statuses),
        "filed_from": filters.filed_from.isoformat() if filters.filed_from else None,
        "filed_to": filters.filed_to.isoformat() if filters.filed_to else None,
    }


def filters_from_json(data: dict[str, Any]) -> Filters:
    def day(value: str | None) -> date | None:
        return date.fromisoformat(value) if value else None

    return Filters(
        nice=tuple(data.get("nice", ())),
        jurisdictions=tuple(data.get("jurisdictions", ())),
        statuses=tuple(data.get("statuses", ())),
        filed_from=day(data.get("filed_from")),
        filed_to=day(data.get("filed_to")),
    )
