"""Writes for searches: create, conclude, recover. Claiming and answering them have their own files."""

import hashlib
import logging
import uuid
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from search import heartbeat, media
from search.broker import send
from search.errors import DISK_SENTENCES, Overloaded, Refused, Unavailable
from search.models import Search
from search.queue import admit
from search.retrieval.decoding import DecodersBusy, decode_apart
from search.retrieval.imaging import ImageRefused
from search.retrieval.records import Filters

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
_DECODER_PATIENCE = 15.0
"""Seconds for which an upload waits while other very large images are opened."""
CLOCKS_DIFFER = timedelta(seconds=30)  # by so much the clocks of two machines may


def search_create(*, owner: Any, data: bytes, image_name: str, filters: Filters, depth: str) -> Search:
    """Check the image, keep it and queue the search. Refused with a sentence: a bad image, or too many that wait.

    The row is the truth, the broker only wakes a worker: with the broker away the search waits until `sweep` does.
    """
    admit(owner)
    try:
        picture = decode_apart(data, patience=_DECODER_PATIENCE)
    except ImageRefused as refusal:
        raise Refused(str(refusal)) from None
    except DecodersBusy as busy:
        raise Overloaded(str(busy)) from None
    search_id = uuid.uuid4()
    name = f"searches/{search_id.hex[:2]}/{search_id.hex}"
    try:
        media.write(name, data)
        media.write(preview_name(name), media.thumbnail_bytes(picture.pixels, media.PREVIEW_SIDE))
    except OSError as error:
        if error.errno in DISK_SENTENCES:
            raise Unavailable(DISK_SENTENCES[error.errno]) from error
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
    transaction.on_commit(search_wake)
    return search


def preview_name(image: str) -> str:
    return f"{image}.preview.webp"


def search_wake() -> bool:
    """Wake a search worker. False when the broker is away: the sweep will try again."""
    from search.tasks import run_searches

    return send(run_searches)


def snapshot_request() -> bool:
    """Have a worker build a snapshot of the register as it is now. False when the broker is away."""
    from search.tasks import publish_snapshot

    return send(publish_snapshot)


def search_hold(search: Search) -> None:
    """Until the transaction ends nobody else selects in this search, concludes it, or gives it another result."""
    Search.objects.select_for_update(no_key=True).values("pk").get(pk=search.pk)


def search_concluded(*, search: Search, at: datetime) -> None:
    """The examiner made a report or said "done": from `TM_GUARDS_AFTER` such searches on, the guards act on theirs."""
    Search.objects.filter(pk=search.pk).update(concluded_at=at)
    search.concluded_at = at


def sweep() -> dict[str, int]:
    """Bring back what a dead worker or a dead broker dropped. Safe to run at any time, any number of times.

    A stamp from the future was written while the clock was ahead: it counts as due.
    """
    now = timezone.now()
    living = set(heartbeat.alive()) | {heartbeat.WORKER}
    counts = {"requeued": 0, "given_up": 0, "sent": 0}
    # A worker's first beat may come a moment after its first claim.
    began = Q(started_at__lt=now - timedelta(seconds=5)) | Q(started_at__gt=now + CLOCKS_DIFFER)
    lost = Search.objects.filter(began, status=Search.Status.RUNNING).exclude(worker__in=living)
    for search in lost:
        unchanged = Search.objects.filter(pk=search.pk, status=Search.Status.RUNNING, attempts=search.attempts)
        if search.attempts >= MAX_ATTEMPTS:
            sentence = (
                f"The search worker stopped {search.attempts} times on this image. Try another file of the same mark."
            )
            counts["given_up"] += unchanged.update(status=Search.Status.FAILED, finished_at=now, error=sentence)
        elif unchanged.update(status=Search.Status.QUEUED, queued_at=now):
            counts["requeued"] += 1
    # Whatever dropped their messages: one wakes a worker for all that waits.
    if Search.objects.filter(status=Search.Status.QUEUED).exists():
        counts["sent"] += search_wake()
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
