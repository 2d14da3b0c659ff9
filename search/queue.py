"""Which waiting searches are carried out next, by whom, and how many may wait.

The row is the truth. A message of the broker only wakes a worker, which then takes whatever waits, a batch at a time,
until nothing does; so it matters little whether a message is lost, comes twice, or finds everybody at work.
"""

import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from search import heartbeat
from search.errors import Overloaded, TooMany, Unavailable
from search.models import Search

log = logging.getLogger(__name__)

BATCH = 16
"""Searches that are carried out together: what a colleague of somebody with hundreds waits for, at most twice."""
_QUIET = timedelta(seconds=4)
"""Without a search begun for so long while some wait, nobody is there to begin one."""
_A_SECOND = 15
"""Searches that two cores get done in a second, roughly: it only says when asking is worth while."""
_SOONEST, _LATEST = 0.15, 2.0

Queued = Search.Status.QUEUED
Running = Search.Status.RUNNING


def admit(owner: Any) -> None:
    """TooMany or Overloaded, with a sentence, where one search more would exceed what may wait.

    Asked before anything of an upload is decoded or kept. Uploads at the same moment may exceed it by a few.
    """
    waiting = Search.objects.filter(status=Queued).aggregate(
        all=Count("pk"), own=Count("pk", filter=Q(owner_id=owner.pk))
    )
    if waiting["own"] >= settings.TM_QUEUE_EXAMINER:
        raise TooMany(
            f"{waiting['own']} of your searches wait already, as many as one examiner may have: "
            "send the next one when some of them are done."
        )
    if waiting["all"] >= settings.TM_QUEUE:
        raise Overloaded(
            "More searches wait than the service takes: send this one again in a moment. Those that wait are kept."
        )


def line() -> QuerySet[Search]:
    """What waits, in the order in which it is served.

    Examiners take turns, who was served least recently first; each one's own searches go by age.
    """
    served = _begun().filter(owner=OuterRef("owner"))
    turn = Window(RowNumber(), partition_by=F("owner"), order_by=["created_at", "pk"])
    return (
        Search.objects.filter(status=Queued)
        .annotate(turn=turn, served=Subquery(served.values("started_at")[:1]))
        .order_by("turn", F("served").asc(nulls_first=True), "created_at", "pk")
    )


def _begun() -> QuerySet[Search]:
    """Searches that were ever begun, the latest first. A stamp from the future is of a clock that was wrong."""
    return Search.objects.filter(started_at__lte=timezone.now()).order_by("-started_at")


def claim(limit: int = BATCH) -> list[Search]:
    """The next searches, at most `limit`, taken by this process and by no other; [] when nothing waits.

    A search that was begun before goes alone: its worker died, and what killed it must not take others with it again.
    """
    while True:
        with transaction.atomic():
            first = list(line().values_list("pk", "attempts")[:limit])
            if not first:
                return []
            wanted = [pk for pk, attempts in first if not attempts] if not first[0][1] else [first[0][0]]
            # In one order, so that two workers wait for each other and never both for the other.
            free = Search.objects.select_for_update(no_key=True).filter(pk__in=wanted, status=Queued).order_by("pk")
            claimed = _claimed(list(free))
        if claimed:
            return sorted(claimed, key=lambda search: wanted.index(search.pk))


def _claimed(free: list[Search]) -> list[Search]:
    now = timezone.now()
    changes = {"status": Running, "started_at": now, "worker": heartbeat.WORKER}
    rows = Search.objects.filter(pk__in=[search.pk for search in free], status=Queued)
    if rows.update(**changes, attempts=F("attempts") + 1) != len(free):
        transaction.set_rollback(True)  # another worker was faster; look again
        return []
    for search in free:
        for name, value in changes.items():
            setattr(search, name, value)
        search.attempts += 1
    return free


def put_back(batch: Sequence[Search]) -> None:
    """Let claimed searches that are not done wait again, as if they had not been begun."""
    Search.objects.filter(pk__in=[search.pk for search in batch], status=Running, worker=heartbeat.WORKER).update(
        status=Queued, attempts=F("attempts") - 1, worker=""
    )


class Runner:
    """Carries out what waits, one batch at a time: one runner a process, however many threads are woken."""

    def __init__(self, answer: Callable[[Sequence[Search]], None], wake: Callable[[], object]) -> None:
        """answer: carries out a claimed batch, or raises Unavailable when nothing can be answered just now.
        wake: another worker, since more waits than one batch."""
        self._answer = answer
        self._wake = wake
        self._asked = threading.Event()
        self._busy = threading.Lock()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Take nothing more; the batch at hand is finished."""
        self._stopping.set()

    def work(self) -> int:
        """Carry out what waits until nothing does; how many searches that were. 0 at once while another thread does."""
        done = 0
        self._asked.set()
        # Whoever asks in the instant in which the other thread gives up is heard by one of the two.
        while self._asked.is_set() and not self._stopping.is_set() and self._busy.acquire(blocking=False):
            try:
                self._asked.clear()
                done += self._drain()
            finally:
                self._busy.release()
        return done

    def _drain(self) -> int:
        done = 0
        while not self._stopping.is_set() and (batch := claim()):
            if len(batch) == BATCH:
                self._wake()
            try:
                self._answer(batch)
            except Unavailable as away:
                log.warning("%d searches wait: %s", len(batch), away)
                self._put_back(batch)
                break  # the sweep wakes somebody when it may have changed
            except BaseException:
                self._put_back(batch)
                raise
            done += len(batch)
        return done

    def _put_back(self, batch: Sequence[Search]) -> None:
        """While the database is away they cannot even be put back; left alone they would count as being carried out."""
        while True:
            try:
                return put_back(batch)
            except OperationalError:
                if self._stopping.wait(1.0):
                    raise


def ahead(search: Search) -> int | None:
    """How many searches are served before this one that waits; None when nobody serves any just now.

    Looked up once a second for everybody: those who wait ask often.
    """
    places, begun = _places(int(time.monotonic()))
    if begun is None or timezone.now() - begun > _QUIET:
        return None
    return places.get(search.pk, len(places))  # one that came after the look stands behind all


def ask_again(search: Search) -> float | None:
    """Seconds until the state of a search may have changed, for who waits for it; None when it has ended.

    A hundred who wait cost the service more by asking than by their searches.
    """
    if search.status == Running:
        return _SOONEST
    if search.status != Queued:
        return None
    places, _ = _places(int(time.monotonic()))
    before = places.get(search.pk, min(len(places), _A_SECOND))  # within a second the next look knows its turn
    return min(_LATEST, max(_SOONEST, before / _A_SECOND))


@functools.lru_cache(maxsize=1)
def _places(second: int) -> tuple[dict[uuid.UUID, int], datetime | None]:
    """Search -> its place in the line, from 0, and when a search was last begun; as of this second."""
    places = {pk: place for place, pk in enumerate(line().values_list("pk", flat=True))}
    begun = _begun().values_list("started_at").first()
    return places, begun[0] if begun else None
