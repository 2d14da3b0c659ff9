"""Requests that meet: real threads with connections of their own, on a database that locks as the service's does."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from feedback.models import Impression, Selection
from feedback.reports import report_make
from feedback.selectors import selection_of
from feedback.services import search_conclude, selection_set
from search import media, questions, refining
from search.errors import NotThere
from search.models import Mark, RefinedHit, Search, SearchResult
from search.refining import refine_ask
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

SHOWN = 230
PAGE = 24


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run all calls, each in a thread, let go together; what they return, in their order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            gate.wait(30)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def search(examiner: Any) -> Search:
    assert connection.vendor != "sqlite" or not connection.is_in_memory_db()
    Mark.objects.bulk_create(
        Mark(number=f"R{n:03}", name=f"Refined {n}", image=f"marks/r{n}", image_sha256=f"r{n}") for n in range(SHOWN)
    )
    return factories.done_search(examiner, scores=[0.9, 0.7, 0.5], threshold=0.8)


def hit(number: str) -> dict[str, Any]:
    return {"number": number, "rank": 1, "score": 0.4, "similarities": {"general": 0.4}, "boxes": None}


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the worker answers, page by page: 230 marks that are no results, pages overlapping by half."""
    numbers = [f"R{n:03}" for n in range(SHOWN)]
    pages = [numbers[start : start + PAGE] for start in range(0, SHOWN, PAGE // 2)]

    def ask(_: Any, search_id: str, like: list[str], unlike: list[str], page: int) -> dict[str, Any]:
        return {"count": SHOWN, "hits": [hit(number) for number in pages[page - 1]]}

    monkeypatch.setattr(questions, "ask", ask)
    return pages


def test_all_230_marks_shown_by_lists_at_once_can_be_selected_at_once(
    search: Search, examiner: Any, pages: list[list[str]]
) -> None:
    numbers = [f"R{n:03}" for n in range(SHOWN)]
    ask: Callable[[int], Any] = lambda page: refine_ask(  # noqa: E731
        search=search, like=["M1"], unlike=[], page=page, user=examiner
    )
    at_once([lambda page=page: ask(page) for page in range(1, len(pages) + 1)])

    def choose(part: list[str]) -> None:
        for number in part:
            assert selection_set(search=search, number=number, selected=True, user=examiner).selected

    # All by one of two threads or by both: a mark becomes one result, and is selected once.
    at_once([lambda: choose(numbers[:120]), lambda: choose(numbers[110:])])
    assert selection_of(search).numbers == {"M1", *numbers}
    rows = list(SearchResult.objects.filter(search=search).order_by("rank").values_list("rank", "position"))
    assert rows == [(n, n) for n in range(1, SHOWN + 4)]
    assert Selection.objects.count() == SHOWN


def test_what_an_earlier_release_has_shown_still_counts(
    search: Search, examiner: Any, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    media.write(f"{search.image}.refined.json", json.dumps({"R007": hit("R007"), "gone": hit("gone")}).encode())
    assert selection_set(search=search, number="R007", selected=True, user=examiner).selected
    assert search.results.get(mark__number="R007").score == 0.4
    for missing in ("R008", "gone"):
        with pytest.raises(NotThere):
            selection_set(search=search, number=missing, selected=True, user=examiner)
    media.write(f"{search.image}.refined.json", b"damaged")
    with pytest.raises(NotThere):
        selection_set(search=search, number="R009", selected=True, user=examiner)


def test_shown_again_it_is_as_it_was_shown_last(search: Search) -> None:
    refining._remember(search, [hit("R001")])
    refining._remember(search, [{**hit("R001"), "score": 0.6}, hit("M2"), hit("not in the register")])
    assert list(RefinedHit.objects.values_list("mark__number", "score")) == [("R001", 0.6)]


def test_selecting_and_concluding_at_once_the_log_the_report_and_the_page_agree(
    search: Search, examiner: Any, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path

    def toggle() -> None:
        for turn in range(12):
            selection_set(search=search, number="M3", selected=turn % 2 == 0, user=examiner)

    at_once([toggle, toggle, *[lambda: report_make(search=search, user=examiner) for _ in range(3)],
             lambda: search_conclude(search=search, kind="done", user=examiner)])  # fmt: skip
    state = False
    changes = list(Selection.objects.order_by("id").values_list("selected", "at"))
    for selected, _ in changes:  # a row is a change: nobody writes what is so already
        assert selected is not state
        state = selected
    assert changes and search.conclusions.count() == 4
    for conclusion in search.conclusions.all():
        before = [selected for selected, at in changes if at <= conclusion.at]
        frozen = Impression.objects.get(conclusion=conclusion, mark__number="M3").outcome == "added"
        assert frozen is (before[-1] if before else False)
        if conclusion.kind == "report":
            assert (",M3," in media.read(conclusion.report.csv).decode()) is frozen
