"""Who is served next, that nothing is served twice, and how many may wait."""

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from search import answering, heartbeat, media, queue
from search.errors import Overloaded, TooMany, Unavailable
from search.models import Search
from search.queue import BATCH, Runner, admit, ask_again, claim
from search.retrieval.records import Filters
from search.selectors import progress_sentence
from search.services import MAX_ATTEMPTS, search_create, sweep
from search.telemetry import SEARCHES
from tests import pictures
from tests.searching import search_run
from tests.steps import SteppedClock

pytestmark = pytest.mark.django_db


def waiting(owner: Any, count: int = 1, **fields: Any) -> list[Search]:
    """Searches that wait, the oldest first."""
    began = timezone.now() - timedelta(minutes=1)
    rows = [
        Search(owner=owner, image="x", created_at=began + timedelta(milliseconds=n), **fields) for n in range(count)
    ]
    return Search.objects.bulk_create(rows)


def owners(batch: Sequence[Search]) -> list[str]:
    return [search.owner.username for search in batch]


def test_examiners_take_turns_and_each_ones_oldest_come_first(make_user: Any) -> None:
    mass, one, other = (make_user(name) for name in ("mass", "one", "other"))
    many = waiting(mass, 40)
    few = [*waiting(one, 1), *waiting(other, 2)]
    batch = claim(8)
    assert Counter(owners(batch)) == {"mass": 5, "one": 1, "other": 2}
    assert set(owners(batch)[:3]) == {"mass", "one", "other"}
    assert [search.pk for search in batch if search.owner == mass] == [search.pk for search in many[:5]]
    assert {search.pk for search in batch if search.owner != mass} == {search.pk for search in few}


def test_a_colleague_of_somebody_with_250_is_in_the_next_batch(make_user: Any) -> None:
    mass = make_user("mass")
    waiting(mass, 250)
    claim()
    late = waiting(make_user("late"))[0]
    assert claim()[0].pk == late.pk


def test_whoever_was_served_least_recently_comes_first(make_user: Any) -> None:
    people = [make_user(f"e{n}") for n in range(6)]
    for person in people:
        waiting(person, 9)
    served = [owners(claim(3)) for _ in range(4)]
    assert set(served[0] + served[1]) == {person.username for person in people}
    assert set(served[2] + served[3]) == {person.username for person in people}


def test_who_was_served_while_the_clock_was_ahead_is_not_last_for_that_long(make_user: Any) -> None:
    ahead, other = make_user("ahead"), make_user("other")
    waiting(ahead, 1, status="done", started_at=timezone.now() + timedelta(days=40))
    waiting(other, 1, status="done", started_at=timezone.now())
    waiting(other)
    waiting(ahead)
    assert owners(claim(1)) == ["ahead"]


def test_what_is_claimed_is_running_here_and_gone_from_the_line(examiner: Any) -> None:
    waiting(examiner, 3)
    batch = claim(2)
    rows = Search.objects.filter(pk__in=[search.pk for search in batch])
    assert {(row.status, row.worker, row.attempts) for row in rows} == {("running", heartbeat.WORKER, 1)}
    assert {(s.status, s.worker, s.attempts, s.started_at) for s in batch} == {
        ("running", heartbeat.WORKER, 1, rows[0].started_at)
    }
    assert len(claim()) == 1 and claim() == []


def test_what_was_begun_before_is_tried_alone_and_its_turn_comes(make_user: Any) -> None:
    one, other = make_user("one"), make_user("other")
    died = waiting(one, 2, attempts=1)
    fresh = waiting(other, 3)
    batches = [[search.pk for search in batch] for batch in iter(claim, [])]
    assert [died[0].pk] in batches and [died[1].pk] in batches
    assert {pk for batch in batches for pk in batch} == {search.pk for search in (*died, *fresh)}


def test_a_poisonous_image_is_given_up_and_none_of_those_that_died_with_it(
    examiner: Any, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = waiting(examiner)[0]
    mates = waiting(make_user("mate"), 5)
    monkeypatch.setattr(heartbeat, "alive", dict)
    done: list[Any] = []
    while batch := claim():
        if poison.pk in [search.pk for search in batch]:
            # The worker dies: nothing is written, its beats end, another one finds what it had.
            Search.objects.filter(status="running").update(
                worker="dead:1", started_at=timezone.now() - timedelta(minutes=1)
            )
            sweep()
        else:
            done += [search.pk for search in batch]
            Search.objects.filter(pk__in=done).update(status="done")
    poison.refresh_from_db()
    assert poison.status == "failed" and poison.attempts == MAX_ATTEMPTS
    assert sorted(done) == sorted(search.pk for search in mates)


@pytest.mark.django_db(transaction=True)
def test_workers_on_one_database_claim_nothing_twice(make_user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        waiting(make_user(name), 40)
    claimed: list[Any] = []
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        try:
            while batch := claim(5):
                claimed.extend(search.pk for search in batch)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(claimed) == len(set(claimed)) == 120
    assert set(Search.objects.values_list("attempts", flat=True)) == {1}


# -- One runner a process ------------------------------------------------------------------------------------


def test_a_full_batch_wakes_another_worker(examiner: Any) -> None:
    waiting(examiner, BATCH + 3)
    sizes: list[int] = []
    woken: list[None] = []
    assert Runner(lambda batch: sizes.append(len(batch)), lambda: woken.append(None)).work() == BATCH + 3
    assert sizes == [BATCH, 3] and len(woken) == 1


def test_who_finds_the_runner_at_work_returns_at_once_and_is_heard(
    examiner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked after the runner has found nothing more, and before it has said that it is free."""
    gone: list[int] = []
    lines = [waiting(examiner), [], waiting(examiner), []]
    runner = Runner(lambda batch: None, lambda: None)

    def none_left() -> list[Search]:
        batch = lines.pop(0)
        if not batch and not gone:
            gone.append(runner.work())
        return batch

    monkeypatch.setattr(queue, "claim", none_left)
    assert runner.work() == 2
    assert gone == [0] and lines == []


def test_stopped_it_finishes_the_batch_at_hand_and_takes_no_other(examiner: Any) -> None:
    waiting(examiner, BATCH + 1)
    runner = Runner(lambda batch: runner.stop(), lambda: None)
    assert runner.work() == BATCH
    assert Search.objects.filter(status="queued").count() == 1
    assert runner.work() == 0


def test_what_cannot_be_answered_now_waits_on_and_no_attempt_is_used_up(examiner: Any) -> None:
    waiting(examiner, 2)

    def away(batch: Sequence[Search]) -> None:
        raise Unavailable("The index is being built.")

    assert Runner(away, lambda: None).work() == 0
    assert list(Search.objects.values_list("status", "attempts", "worker")) == [("queued", 0, "")] * 2


def test_what_a_fault_of_the_runner_left_behind_waits_on(examiner: Any) -> None:
    waiting(examiner, 2)

    def fault(batch: Sequence[Search]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Runner(fault, lambda: None).work()
    assert set(Search.objects.values_list("status", flat=True)) == {"queued"}


# -- Batches: a search that fails fails alone ----------------------------------------------------------------


def create(owner: Any, seed: int, **filters: Any) -> Search:
    data = pictures.encoded(pictures.mark(seed))
    return search_create(owner=owner, data=data, image_name="q.png", filters=Filters(**filters), depth="register")


def test_a_batch_is_answered_in_one_transaction_and_one_pass(
    register: Any, examiner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [create(examiner, seed) for seed in range(6)]
    passes: list[int] = []
    describe = register.describer.describe
    monkeypatch.setattr(
        register.describer, "describe", lambda images: (passes.append(len(images)), describe(images))[1]
    )
    with CaptureQueriesContext(connection) as queries:
        assert search_run(search_id=str(made[0].pk)) == "done"
    assert passes == [6]
    begun = sum(query["sql"].startswith("SAVEPOINT") for query in queries)
    assert begun == 3, "two looks at the line, the second in vain, and one for all answers"
    for seed, search in enumerate(made):
        search.refresh_from_db()
        assert search.status == "done" and search.count == search.results.count() == 40
        assert search.results.select_related("mark").first().mark.number == f"T/{seed:03}"


def test_a_lost_image_fails_its_search_and_no_other_and_who_watches_hears_it(
    register: Any, examiner: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def ended(outcome: str) -> float:
        return SEARCHES.labels(outcome)._value.get()

    caplog.set_level("INFO", "search.answering")
    before = {outcome: ended(outcome) for outcome in ("done", "failed")}
    made = [create(examiner, seed) for seed in range(3)]
    media.path_of(made[1].image).unlink()
    search_run(search_id=str(made[0].pk))
    states = list(Search.objects.order_by("created_at").values_list("status", "attempts"))
    assert states == [("done", 1), ("failed", 1), ("done", 1)]
    told = [(row.outcome, row.search_id) for row in caplog.records if row.message == "search"]
    expected = [("done", str(made[0].pk)), ("done", str(made[2].pk)), ("failed", str(made[1].pk))]
    assert sorted(told) == sorted(expected)
    assert [ended(outcome) - count for outcome, count in before.items()] == [2, 1]


def test_an_answer_that_somebody_else_has_given_meanwhile_is_not_given_again(register: Any, examiner: Any) -> None:
    """A worker that stood still for so long that another one took its searches over."""
    first, second = create(examiner, 1), create(examiner, 2)
    batch = claim()
    Search.objects.filter(pk=first.pk).update(worker="another:1", attempts=2)
    answering.searches_answer(batch)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.worker, first.results.count()) == ("running", "another:1", 0)
    assert second.status == "done" and second.results.count() == 40


# -- Bounds ---------------------------------------------------------------------------------------------------


def test_an_examiner_may_have_so_many_waiting_and_colleagues_go_on(
    examiner: Any, make_user: Any, settings: Any
) -> None:
    settings.TM_QUEUE_EXAMINER = 3
    waiting(examiner, 3)
    waiting(examiner, 5, status="done")
    with pytest.raises(TooMany, match=r"^3 of your searches wait already"):
        admit(examiner)
    admit(make_user("colleague"))
    claim(1)
    admit(examiner)


def test_the_queue_holds_so_many_of_everybody(make_user: Any, settings: Any) -> None:
    settings.TM_QUEUE = 4
    for name in ("a", "b"):
        waiting(make_user(name), 2)
    with pytest.raises(Overloaded):
        admit(get_user_model().objects.get(username="a"))


@pytest.mark.parametrize(("bound", "status"), [("TM_QUEUE_EXAMINER", 429), ("TM_QUEUE", 503)])
def test_over_a_bound_an_upload_is_refused_unread_with_a_time_to_come_back(
    api: Any, examiner: Any, settings: Any, tmp_path: Any, bound: str, status: int
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    setattr(settings, bound, 2)
    waiting(examiner, 2)
    answer = api.post(
        "/api/searches/", {"image": SimpleUploadedFile("q.png", b"not even a picture")}, format="multipart"
    )
    assert answer.status_code == status
    assert int(answer["Retry-After"]) > 0
    assert answer.json()["error"]["message"].endswith(".")
    assert not settings.MEDIA_ROOT.exists() and Search.objects.count() == 2


# -- What the page says ---------------------------------------------------------------------------------------


@pytest.fixture
def look_again() -> Any:
    """The places are looked up once a second."""
    queue._places.cache_clear()
    yield queue._places.cache_clear
    queue._places.cache_clear()


def test_who_waits_hears_how_many_come_before(examiner: Any, make_user: Any, look_again: Any) -> None:
    waiting(make_user("mass"), 40)
    claim(1)
    mine = waiting(examiner, 2)
    assert "Waiting for" in progress_sentence(mine[0])
    assert progress_sentence(mine[1]) == "Waiting: 2 searches are before yours."


def test_when_nobody_begins_any_search_the_sentence_says_so(examiner: Any, look_again: Any) -> None:
    search = waiting(examiner)[0]
    assert "is kept" in progress_sentence(search)
    old = timezone.now() - timedelta(minutes=1)
    waiting(examiner, 1, status="running", started_at=old)
    look_again()
    assert "is kept" in progress_sentence(search)


def test_who_waits_is_told_when_it_is_worth_while_to_ask_again(
    api: Any, examiner: Any, make_user: Any, look_again: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sooner the fewer are before; alone, at once; after the next look, whoever came since the last one."""
    SteppedClock(monkeypatch)  # it stands still: the places are looked up when this test says so
    lonely = waiting(examiner)[0]
    assert ask_again(lonely) == 0.15  # though nobody has begun any search lately

    waiting(make_user("mass"), 40)
    look_again()
    line = list(queue.line())
    assert [ask_again(search) for search in line] == [min(2.0, max(0.15, n / 15)) for n in range(41)]
    assert ask_again(claim(1)[0]) == 0.15

    look_again()
    queue.ahead(line[-1])
    late = waiting(make_user("late"))[0]
    assert queue.ahead(late) == 40 and ask_again(late) == 1.0
    look_again()
    assert queue.ahead(late) == 1 and ask_again(late) == 0.15

    lonely.refresh_from_db()
    assert api.get(f"/api/searches/{lonely.pk}/").json()["ask_again"] == ask_again(lonely)
    Search.objects.filter(pk=lonely.pk).update(status="done")
    assert api.get(f"/api/searches/{lonely.pk}/").json()["ask_again"] is None
