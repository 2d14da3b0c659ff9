"""What the services and selectors of searches write, answer and refuse, to the letter. No engine is needed."""

import errno
import hashlib
import re
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from PIL import Image

from search import heartbeat, media, selectors, services, tasks
from search.errors import NotThere, Overloaded, Refused, TooMany, Unavailable
from search.models import LivePointer, Mark, Search, SearchResult
from search.retrieval.decoding import DecodersBusy
from search.retrieval.imaging import ImageRefused
from search.retrieval.records import Filters
from search.services import filters_from_json, filters_to_json, search_create, sweep
from tests import pictures
from tests.factories import done_search, live_set, mark

pytestmark = pytest.mark.django_db
DATA = b"the bytes of an image"
FILTERS = Filters((9, 25), ("EM",), ("registered",), date(2020, 1, 2), date(2021, 3, 4))
STORED = {
    "nice": [9, 25], "jurisdictions": ["EM"], "statuses": ["registered"], "filed_from": "2020-01-02",
    "filed_to": "2021-03-04",
}  # fmt: skip


def refuses(kind: type[Exception], sentence: str) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def opened(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Images are opened here and not in a child; messages are collected. What was asked of both is kept."""
    settings.MEDIA_ROOT = tmp_path
    seen = SimpleNamespace(decoded=[], sent=[], admitted=[])
    image = pictures.mark(3)

    def decode(data: bytes, **more: Any) -> Any:
        import numpy as np

        seen.decoded.append((data, more))
        return SimpleNamespace(width=1800, height=1200, pixels=np.asarray(image.convert("RGB").resize((900, 600))))

    monkeypatch.setattr(services, "decode_apart", decode)
    monkeypatch.setattr(services, "send", lambda task, *_: seen.sent.append(task) or True)
    monkeypatch.setattr(services, "admit", seen.admitted.append)
    return seen


def create(owner: Any, **more: Any) -> Search:
    given = {"data": DATA, "image_name": "q.png", "filters": FILTERS, "depth": "cluster"} | more
    return search_create(owner=owner, **given)


def test_a_search_is_kept_with_its_image_before_a_worker_is_woken(
    opened: SimpleNamespace, examiner: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = create(examiner, image_name="n" * 300)
        assert not opened.sent
    assert opened.sent == [tasks.run_searches] and opened.admitted == [examiner]
    assert opened.decoded == [(DATA, {"patience": 15.0})]
    kept = Search.objects.get()
    assert kept.pk == made.pk and (kept.owner, kept.status, kept.attempts) == (examiner, "queued", 0)
    assert kept.image == f"searches/{kept.pk.hex[:2]}/{kept.pk.hex}"
    assert kept.image_sha256 == hashlib.sha256(DATA).hexdigest() and kept.image_name == "n" * 200
    assert (kept.width, kept.height, kept.depth, kept.filters) == (1800, 1200, "cluster", STORED)
    assert media.read(kept.image) == DATA
    assert services.preview_name(kept.image) == f"{kept.image}.preview.webp"
    with Image.open(media.path_of(services.preview_name(kept.image))) as preview:
        assert (preview.format, preview.size) == ("WEBP", (512, 341))


def test_who_may_not_search_has_nothing_decoded_or_kept(
    opened: SimpleNamespace, examiner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(owner: Any) -> None:
        raise TooMany("Too many.")

    monkeypatch.setattr(services, "admit", full)
    with refuses(TooMany, "Too many."):
        create(examiner)
    assert not opened.decoded and not Search.objects.exists()


@pytest.mark.parametrize(
    ("raised", "kind"), [(ImageRefused("It is no image."), Refused), (DecodersBusy("All are at work."), Overloaded)]
)
def test_what_cannot_be_opened_is_refused_in_its_own_words(
    opened: SimpleNamespace, examiner: Any, monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[Refused]
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise raised

    monkeypatch.setattr(services, "decode_apart", fails)
    with refuses(kind, str(raised)) as refused:
        create(examiner)
    assert type(refused.value) is kind and not Search.objects.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_full_disk_is_told_and_another_fault_is_raised(
    opened: SimpleNamespace, examiner: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(number, "as the disk says it")

    monkeypatch.setattr(media, "write", full)
    if number == errno.EACCES:
        with pytest.raises(PermissionError):
            create(examiner)
    else:
        how = "cannot be written to" if number == errno.EROFS else "is full"
        with refuses(Unavailable, f"The disk of the service {how}: tell the administrator. Nothing was lost."):
            create(examiner)
    assert not Search.objects.exists()


def test_waking_and_asking_for_a_snapshot_say_whether_they_were_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(services, "send", lambda *told: sent.append(told) or len(sent) < 3)
    assert services.search_wake() is True and services.snapshot_request() is True
    assert sent == [(tasks.run_searches,), (tasks.publish_snapshot,)]
    assert services.search_wake() is False and services.snapshot_request() is False


def test_filters_as_they_are_stored() -> None:
    assert filters_to_json(FILTERS) == STORED and filters_from_json(STORED) == FILTERS
    nothing = {"nice": [], "jurisdictions": [], "statuses": [], "filed_from": None, "filed_to": None}
    assert filters_to_json(Filters()) == nothing
    assert filters_from_json(nothing) == filters_from_json({}) == Filters()
    for name, value in STORED.items():
        assert filters_to_json(filters_from_json({name: value})) == {**nothing, name: value}


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    told = SimpleNamespace(alive={"alive:1": {}}, woken=0, there=True)

    def wake() -> bool:
        told.woken += 1
        return bool(told.there)

    monkeypatch.setattr(heartbeat, "alive", lambda *_: told.alive)
    monkeypatch.setattr(services, "search_wake", wake)
    return told


def running(owner: Any, *, worker: str = "dead:1", attempts: int = 1, seconds: float = 6) -> Search:
    began = timezone.now() - timedelta(seconds=seconds)
    return Search.objects.create(
        owner=owner, image="x", status="running", worker=worker, attempts=attempts, started_at=began,
        queued_at=began,
    )  # fmt: skip


def test_the_sweep_takes_back_what_dead_workers_held(examiner: Any, broker: SimpleNamespace) -> None:
    kept = [
        running(examiner, worker="alive:1"), running(examiner, worker=heartbeat.WORKER), running(examiner, seconds=4.5),
    ]  # fmt: skip
    lost = [running(examiner), running(examiner, attempts=2, seconds=5.5), running(examiner, worker="")]
    last = running(examiner, attempts=3)
    running(examiner, attempts=4)
    before = timezone.now()
    assert sweep() == {"requeued": 3, "given_up": 2, "sent": 1} and broker.woken == 1
    assert {Search.objects.get(pk=one.pk).status for one in kept} == {"running"}
    for one in lost:
        row = Search.objects.get(pk=one.pk)
        assert (row.status, row.attempts, row.error) == ("queued", one.attempts, "") and row.queued_at >= before
    row = Search.objects.get(pk=last.pk)
    assert row.status == "failed" and row.finished_at >= before
    assert row.error == "The search worker stopped 3 times on this image. Try another file of the same mark."
    assert sweep() == {"requeued": 0, "given_up": 0, "sent": 1}
    broker.there = False
    assert sweep() == {"requeued": 0, "given_up": 0, "sent": 0} and broker.woken == 3


def test_the_sweep_leaves_alone_what_was_taken_up_again_meanwhile(
    examiner: Any, broker: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempts in (1, 3):
        search = running(examiner, attempts=attempts)
        stale = Search.objects.get(pk=search.pk)
        Search.objects.filter(pk=search.pk).update(attempts=attempts + 1)
        found = Search.objects.filter(pk=search.pk)
        with monkeypatch.context() as patched:
            # It was read with its old number of attempts; the row has another one by now.
            patched.setattr(type(found), "__iter__", lambda _, stale=stale: iter([stale]))
            counts = sweep()
        assert (counts["requeued"], counts["given_up"]) == (0, 0)
        assert Search.objects.get(pk=search.pk).status == "running"
        Search.objects.all().delete()
    done = running(examiner)
    Search.objects.filter(pk=done.pk).update(status="done")
    assert sweep() == {"requeued": 0, "given_up": 0, "sent": 0} and broker.woken == 0


def test_a_conclusion_stamps_its_search_and_no_other(examiner: Any) -> None:
    search, other = (done_search(examiner, scores=[0.9], threshold=0.8) for _ in range(2))
    at = timezone.now() - timedelta(minutes=3)
    services.search_concluded(search=search, at=at)
    assert search.concluded_at == Search.objects.get(pk=search.pk).concluded_at == at
    assert Search.objects.get(pk=other.pk).concluded_at is None
    services.search_hold(search)
    with pytest.raises(Search.DoesNotExist):
        services.search_hold(Search())


def test_who_sees_which_searches(examiner: Any, make_user: Any, administrator: Any) -> None:
    mine, other = done_search(examiner, scores=[0.9], threshold=0.8), make_user("olaf")
    theirs = done_search(other, scores=[0.9], threshold=0.8)
    assert set(selectors.searches_of(examiner)) == {mine}
    assert set(selectors.searches_of(administrator)) == {mine, theirs}
    assert selectors.search_get(user=examiner, search_id=str(mine.pk)) == mine
    assert selectors.search_get(user=administrator, search_id=theirs.pk) == theirs
    with refuses(NotThere, "There is no such search among yours."):
        selectors.search_get(user=examiner, search_id=theirs.pk)


def test_results_are_read_in_the_order_in_which_they_are_shown(examiner: Any) -> None:
    search, other = (done_search(examiner, scores=[0.9, 0.6, 0.3], threshold=0.8) for _ in range(2))
    SearchResult.objects.filter(search=search, rank=1).update(position=9)
    assert [result.rank for result in selectors.results_of(search)] == [2, 3, 1]
    assert selectors.result_get(search=search, number="M3") == search.results.get(rank=3)
    other.results.filter(rank=3).delete()
    with refuses(NotThere, "Mark M3 is not among the results of this search."):
        selectors.result_get(search=other, number="M3")


def test_marks_and_the_values_that_filters_take() -> None:
    for number, jurisdiction, status in (
        ("A", "US", "registered"), ("B", "EM", "expired"), ("C", "US", ""), ("D", "", "registered"),
    ):  # fmt: skip
        mark(number)
        Mark.objects.filter(number=number).update(jurisdiction=jurisdiction, status=status)
    assert selectors.mark_get("B").number == "B"
    with refuses(NotThere, "There is no mark Z in the register."):
        selectors.mark_get("Z")
    assert selectors.register_facets() == {
        "jurisdictions": ["EM", "US"], "statuses": ["expired", "registered"], "nice": list(range(1, 46)),
    }  # fmt: skip


def test_what_is_live(django_assert_num_queries: Any) -> None:
    assert selectors.live_pointer() is None and selectors.live_parameter_set() is None
    assert selectors.live_parameters() is None
    live = live_set()
    assert selectors.live_parameter_set() == live and selectors.live_parameters() == live.unpack()
    with django_assert_num_queries(1):
        pointer = selectors.live_pointer()
        assert pointer is not None and pointer.parameter_set == live and pointer.candidate is None
    assert pointer == LivePointer.objects.get()
    LivePointer.objects.update(candidate=live)
    with django_assert_num_queries(1):
        assert selectors.live_pointer().candidate.reason == "first"


def test_what_somebody_who_waits_is_told(examiner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*, age: float = 0.0, before: int | None = 0, why: str = "", **fields: Any) -> str:
        monkeypatch.setattr(selectors, "ahead", lambda _: before)
        monkeypatch.setattr(selectors.waiting, "sentence_now", lambda: why)
        created = timezone.now() - timedelta(seconds=age)
        return selectors.progress_sentence(Search(owner=examiner, created_at=created, **fields))

    assert told(status="failed", error="It broke.") == "It broke."
    assert told(status="done", count=240, scanned=12345) == "240 of 12,345 marks shown."
    assert told(status="running", attempts=1) == "Comparing with the register."
    assert told(status="running", attempts=2) == "The worker stopped; another one took over."
    assert told() == "Waiting for a search worker."
    assert told(before=1) == "Waiting: one search is before yours."
    assert told(before=2) == "Waiting: 2 searches are before yours."
    assert told(before=None, age=3.5) == "Waiting for a search worker."
    away = "The search service does not answer just now. Your search is kept and starts as soon as it is back."
    assert told(before=None, age=4.5) == away
    assert told(before=0, age=60) == "Waiting for a search worker."
    assert told(before=2, age=60, why="The index is built.") == (
        "The index is built. Your search is kept and starts by itself."
    )
    assert told(before=2, age=3.5, why="The index is built.") == "Waiting: 2 searches are before yours."
