"""Searches from the claim to the rows, with the real engine on a small register."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.utils import timezone

from search import heartbeat, media, services
from search.errors import Refused, Unavailable
from search.models import ParameterSet, Search
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.live import LiveSearcher
from search.retrieval.records import Filters
from search.retrieval.snapshot import SnapshotRefused
from search.selectors import live_parameters
from search.services import MAX_ATTEMPTS, filters_from_json, filters_to_json, search_create, sweep
from tests import pictures
from tests.searching import search_run

pytestmark = pytest.mark.django_db


def create(owner: Any, seed: int = 3, **filters: Any) -> Search:
    data = pictures.encoded(pictures.mark(seed))
    return search_create(owner=owner, data=data, image_name="q.png", filters=Filters(**filters), depth="register")


def test_a_mark_finds_itself_first_and_the_search_is_stamped(register: Any, examiner: Any) -> None:
    search = create(examiner)
    assert search_run(search_id=str(search.pk)) == "done"
    search.refresh_from_db()
    best = search.results.select_related("mark").first()
    assert best.mark.number == "T/003" and best.rank == 1 and best.score > 0.95
    assert search.parameter_set_id and search.snapshot == register.snapshots.current()
    assert search.count == search.results.count() == 40 and search.scanned == 40
    assert {"decode", "describe", "candidates", "exact", "write", "total"} <= set(search.timings)
    scores = list(search.results.values_list("score", flat=True))
    assert scores == sorted(scores, reverse=True)
    assert all(set(row.similarities) == set(DESCRIPTORS) for row in search.results.all())


def test_inverted_and_padded_it_still_finds_itself(register: Any, examiner: Any) -> None:
    from PIL import Image, ImageOps

    picture = ImageOps.invert(pictures.mark(5))
    padded = Image.new("RGB", (400, 300), "black")
    padded.paste(picture, (180, 60))
    search = search_create(
        owner=examiner, data=pictures.encoded(padded), image_name="q", filters=Filters(), depth="register"
    )
    search_run(search_id=str(search.pk))
    assert search.results.select_related("mark").first().mark.number == "T/005"


def test_filters_act_inside_the_search(register: Any, examiner: Any) -> None:
    search = create(examiner, nice=(25,))
    search_run(search_id=str(search.pk))
    search.refresh_from_db()
    assert search.scanned == search.count == 4
    assert set(search.results.values_list("mark__number", flat=True)) == {"T/000", "T/010", "T/020", "T/030"}


def test_no_match_is_an_empty_answer_not_an_error(register: Any, examiner: Any) -> None:
    search = create(examiner, jurisdictions=("ZZ",))
    assert search_run(search_id=str(search.pk)) == "done"
    search.refresh_from_db()
    assert search.count == 0


def test_without_a_register_the_search_fails_with_a_sentence(examiner: Any, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    search = create(examiner)
    assert search_run(search_id=str(search.pk)) == "failed"
    search.refresh_from_db()
    assert "administrator" in search.error


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_an_image_lost_or_altered_on_the_disk_fails_the_search_with_a_sentence(
    register: Any, examiner: Any, damage: Any
) -> None:
    search = create(examiner)
    damage(media.path_of(search.image))
    assert search_run(search_id=str(search.pk)) == "failed"
    search.refresh_from_db()
    assert search.error == "The image of this search is lost or damaged on the disk: search with it again."


@pytest.mark.parametrize("what", ["no index", "parameters of another index"])
def test_what_nothing_can_answer_just_now_waits_and_uses_up_no_attempt(
    register: Any, examiner: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = create(examiner)
    with monkeypatch.context() as patched:
        if what == "no index":
            patched.setattr(LiveSearcher, "get", refuse)
        else:
            other = replace(live_parameters(), descriptors_version="d-other")
            patched.setattr(ParameterSet, "unpack", lambda _: other)
        for _ in range(4):
            search_run(search_id=str(search.pk))
            search.refresh_from_db()
            assert (search.status, search.attempts, search.error) == ("queued", 0, "")
    assert search_run(search_id=str(search.pk)) == "done"


def refuse(_: LiveSearcher) -> None:
    raise SnapshotRefused("The index is damaged.")


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Which workers the broker says are alive; messages that wake one are collected instead of sent."""
    living: dict[str, Any] = {}
    sent: list[str] = []
    monkeypatch.setattr(heartbeat, "alive", lambda *_: living)
    monkeypatch.setattr(services, "search_wake", lambda: sent.append("woken") or True)
    return {"living": living, "sent": sent}


def running(owner: Any, worker: str, attempts: int = 1, seconds: int = 20) -> Search:
    began = timezone.now() - timedelta(seconds=seconds)
    return Search.objects.create(
        owner=owner, image="searches/x", status="running", worker=worker, attempts=attempts, started_at=began
    )


def test_the_sweep_requeues_searches_of_dead_workers_only(examiner: Any, workers: dict[str, Any]) -> None:
    workers["living"]["alive:1"] = {}
    dead, alive, young = (
        running(examiner, "dead:1"),
        running(examiner, "alive:1"),
        running(examiner, "dead:1", seconds=1),
    )
    ahead = -40 * 86_400  # begun while the clock was ahead
    dead_ahead, alive_ahead = (
        running(examiner, "dead:1", seconds=ahead),
        running(examiner, "alive:1", seconds=ahead),
    )
    assert sweep()["requeued"] == 2
    assert [Search.objects.get(pk=s.pk).status for s in (dead_ahead, alive_ahead)] == ["queued", "running"]
    assert workers["sent"] == ["woken"]
    assert [Search.objects.get(pk=s.pk).status for s in (dead, alive, young)] == [
        "queued",
        "running",
        "running",
    ]


def test_an_image_that_kills_its_worker_is_given_up_with_a_sentence(examiner: Any, workers: dict[str, Any]) -> None:
    search = running(examiner, "dead:1", attempts=MAX_ATTEMPTS)
    assert sweep() == {"requeued": 0, "given_up": 1, "sent": 0}
    search.refresh_from_db()
    assert search.status == "failed" and "another file" in search.error


def test_the_sweep_wakes_a_worker_while_anything_waits(examiner: Any, workers: dict[str, Any]) -> None:
    search = Search.objects.create(owner=examiner, image="x")
    assert sweep()["sent"] == 1 and workers["sent"] == ["woken"]
    Search.objects.filter(pk=search.pk).update(status="done")
    assert sweep()["sent"] == 0


def test_with_the_broker_away_the_search_is_kept(
    examiner: Any, settings: Any, tmp_path: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    with django_capture_on_commit_callbacks(execute=True):
        search = create(examiner)
    assert Search.objects.get(pk=search.pk).status == "queued"
    with pytest.raises(redis.RedisError):
        heartbeat.alive()


def test_too_many_bytes_are_refused_before_decoding(examiner: Any) -> None:
    with pytest.raises(Refused, match="20 MB"):
        search_create(owner=examiner, data=bytes(21 * 2**20), image_name="q", filters=Filters(), depth="register")


def test_filters_survive_storage() -> None:
    from datetime import date

    filters = Filters(
        nice=(9, 25),
        jurisdictions=("EM",),
        statuses=("registered",),
        filed_from=date(2020, 1, 2),
        filed_to=None,
    )
    assert filters_from_json(filters_to_json(filters)) == filters


def test_unavailable_is_a_refusal_with_its_own_status() -> None:
    assert issubclass(Unavailable, Refused) and Unavailable.status == 503
