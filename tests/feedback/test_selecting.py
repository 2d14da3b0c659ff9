"""What selecting and concluding write and answer, to the letter, and how it is read again."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from feedback.models import Conclusion, Impression, PageView, Report, Selection
from feedback.propensity import PropensityModel, estimate
from feedback.selectors import (
    Change,
    Chosen,
    conclusions_between,
    latest_report,
    propensity_at,
    selection_changes,
    selection_of,
    selections_of,
)
from feedback.services import ChangedElsewhere, page_of, page_seen, search_conclude, selection_set
from search.errors import NotAllowed, Refused
from search.models import Search, SearchResult
from tests.factories import done_search, mark

pytestmark = pytest.mark.django_db


def refuses(kind: type[Refused], sentence: str) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def search(examiner: Any) -> Search:
    """M1 and M2 are pre-selected, M3 and M4 are not."""
    return done_search(examiner, scores=[0.95, 0.9, 0.6, 0.5], threshold=0.8)


def test_each_change_has_a_number_and_what_is_so_already_has_its_latest(search: Search, examiner: Any) -> None:
    def put(number: str, selected: bool) -> Change:
        return selection_set(search=search, number=number, selected=selected, user=examiner)

    assert put("M1", True) == Change(True, 0) and put("M3", False) == Change(False, 0)
    added = put("M3", True)
    row = Selection.objects.get()
    assert added == Change(True, row.pk) == put("M3", True)
    assert (row.search, row.mark.number, row.selected, row.by) == (search, "M3", True, examiner)
    removed = put("M1", False)
    assert removed.selected is False and removed.number > added.number == put("M3", True).number
    assert selection_changes(search) == {"M1": removed, "M3": added}


def test_who_saw_an_older_change_does_not_undo_a_newer_one(search: Search, examiner: Any) -> None:
    def put(selected: bool, after: int | None, number: str = "M3") -> Change:
        return selection_set(search=search, number=number, selected=selected, user=examiner, after=after)

    first = put(True, 0)
    with refuses(
        ChangedElsewhere,
        "Mark M3 was changed in another window meanwhile and is selected now: choose again if you want it otherwise.",
    ) as refused:
        put(False, 0)
    assert refused.value.fields == {"selected": True, "change": first.number}
    assert refused.value.code == "changed_elsewhere" and refused.value.status == 409
    second = put(False, first.number)
    assert put(False, 0) == second  # it is as asked, whatever was seen
    search.results.get(mark__number="M3").mark.__class__.objects.filter(number="M3").update(name="")
    with refuses(
        ChangedElsewhere,
        "M3 was changed in another window meanwhile and is not selected now: choose again if you want it otherwise.",
    ):
        put(True, first.number)
    assert put(True, None).number > second.number and Selection.objects.count() == 3
    assert put(True, 0, "M4").selected  # another mark's changes do not matter


def test_only_the_owner_selects_and_concludes(search: Search, administrator: Any) -> None:
    sentence = "Only the examiner who made the search may change its selection or conclude it."
    with refuses(NotAllowed, sentence):
        selection_set(search=search, number="M1", selected=False, user=administrator)
    with refuses(NotAllowed, sentence):
        search_conclude(search=search, kind="done", user=administrator)
    assert not Selection.objects.exists() and not Conclusion.objects.exists()


def test_only_a_search_with_results_can_be_concluded(search: Search, examiner: Any) -> None:
    for field, value in (("status", "running"), ("parameter_set", None)):
        other = done_search(examiner, scores=[0.9], threshold=0.8)
        setattr(other, field, value)
        with refuses(Refused, "The search is not done yet: wait for its results."):
            search_conclude(search=other, kind="done", user=examiner)
    assert not Conclusion.objects.exists()


def test_every_page_is_seen_once_even_when_two_requests_come_at_once(
    search: Search, examiner: Any, administrator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page_seen(search=search, page=1, user=administrator)
    for page in (2, 1, 2):
        page_seen(search=search, page=page, user=examiner)
    assert list(PageView.objects.order_by("page").values_list("search", "page")) == [(search.pk, 1), (search.pk, 2)]
    other = done_search(examiner, scores=[0.9], threshold=0.8)
    page_seen(search=other, page=2, user=examiner)
    assert PageView.objects.filter(search=other).get().page == 2
    # Both have looked and found nothing: the second row is refused by the database, and nobody is told.
    monkeypatch.setattr(PageView.objects.filter().__class__, "exists", lambda _: False)
    page_seen(search=search, page=1, user=examiner)
    assert PageView.objects.filter(search=search).count() == 2


@pytest.mark.parametrize(("position", "page"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
def test_positions_are_on_pages(settings: Any, position: int, page: int) -> None:
    settings.TM_PAGE_SIZE = 4
    assert page_of(position) == page


def test_the_log_holds_each_result_as_it_was_shown_and_left(search: Search, examiner: Any, settings: Any) -> None:
    settings.TM_PAGE_SIZE = 3
    SearchResult.objects.filter(rank=2).update(position=4, audit=True, above_cut=False, arm=1)
    SearchResult.objects.filter(rank=4).update(position=2, above_cut=True, arm=0)
    Search.objects.filter(pk=search.pk).update(plain=True)
    search.refresh_from_db()
    SearchResult.objects.create(
        search=search, mark=mark("M9"), rank=5, position=5, score=0.4, similarities={}, preselected=False, refined=True
    )
    page_seen(search=search, page=1, user=examiner)
    for number, selected in (("M1", False), ("M4", True), ("M9", True)):
        last = selection_set(search=search, number=number, selected=selected, user=examiner)
    conclusion = search_conclude(search=search, kind="report", user=examiner)
    assert (conclusion.search, conclusion.kind, conclusion.by) == (search, "report", examiner)
    assert conclusion.last_change == last.number
    names = ("mark__number", "rank", "position", "page", "seen", "outcome", "preselected", "above_cut", "audit", "arm")
    assert list(Impression.objects.order_by("rank").values_list(*names)) == [
        ("M1", 1, 1, 1, True, "removed", True, None, False, None),
        ("M2", 2, 4, 2, False, "kept", True, False, True, 1),
        ("M3", 3, 3, 1, True, "untouched", False, None, False, None),
        ("M4", 4, 2, 1, True, "added", False, True, False, 0),
    ]
    for row in Impression.objects.select_related("mark"):
        result = search.results.get(mark=row.mark)
        assert (row.score, row.similarities) == (result.score, result.similarities)
        assert (row.conclusion, row.examiner, row.parameter_set_id) == (conclusion, examiner, search.parameter_set_id)
        assert row.plain and row.at == conclusion.at
    stored = Search.objects.get(pk=search.pk)
    assert stored.concluded_at == search.concluded_at == conclusion.at


def test_whoever_changed_a_mark_has_seen_it_and_who_kept_it_may_not(search: Search, examiner: Any) -> None:
    selection_set(search=search, number="M2", selected=False, user=examiner)
    selection_set(search=search, number="M3", selected=True, user=examiner)
    conclusion = search_conclude(search=search, kind="done", user=examiner)
    assert conclusion.last_change == Selection.objects.latest("pk").pk
    assert dict(Impression.objects.values_list("mark__number", "seen")) == {
        "M1": False, "M2": True, "M3": True, "M4": False,
    }  # fmt: skip
    assert not Impression.objects.filter(plain=True).exists()
    nothing = search_conclude(search=done_search(examiner, scores=[0.9], threshold=0.8), kind="done", user=examiner)
    assert nothing.last_change == 0


def test_selections_of_many_searches_and_as_they_were(search: Search, examiner: Any) -> None:
    other = done_search(examiner, scores=[0.9, 0.3], threshold=0.8)
    first = selection_set(search=search, number="M3", selected=True, user=examiner)
    selection_set(search=search, number="M1", selected=False, user=examiner)
    selection_set(search=other, number="M1", selected=False, user=examiner)
    selection_set(search=search, number="M3", selected=False, user=examiner)
    found = selections_of([search.pk, other.pk])
    assert found == {
        search.pk: Chosen(frozenset({"M1", "M2"}), frozenset({"M2"})),
        other.pk: Chosen(frozenset({"M1"}), frozenset()),
    }
    assert selection_of(search) == found[search.pk]
    was = selection_of(search, through=first.number)
    assert was.numbers == {"M1", "M2", "M3"} and (was.added, was.removed) == (1, 0)
    assert (found[search.pk].added, found[search.pk].removed) == (0, 1)
    assert selection_of(search, through=0).numbers == {"M1", "M2"}
    assert selections_of([]) == {}
    swapped = Chosen(frozenset({"A", "B"}), frozenset({"B", "C", "D"}))
    assert (swapped.added, swapped.removed, Chosen().added) == (2, 1, 0)


def test_evidence_is_the_latest_conclusion_of_each_search_in_the_window(search: Search, examiner: Any) -> None:
    now = timezone.now()
    made = []
    for one, age in ((search, 30), (search, 20), (done_search(examiner, scores=[0.9], threshold=0.8), 10)):
        conclusion = search_conclude(search=one, kind="done", user=examiner)
        Conclusion.objects.filter(pk=conclusion.pk).update(at=now - timedelta(minutes=age))
        made.append(conclusion)
    old, again, other = made

    def between(start: int | None, end: int) -> list[Conclusion]:
        since = None if start is None else now - timedelta(minutes=start)
        return list(conclusions_between(since, now - timedelta(minutes=end)))

    assert between(None, 0) == [again, other]
    assert between(None, 20) == [again] and between(None, 21) == [old] and between(None, 31) == []
    assert between(20, 0) == [other] and between(21, 10) == [again, other] and between(30, 20) == [again]
    assert between(10, 0) == []


def test_propensities_come_from_the_audit_slots_of_what_counts(search: Search, examiner: Any) -> None:
    assert propensity_at(timezone.now()) == PropensityModel.flat()
    slots = []
    for turn in range(60):
        one = done_search(examiner, scores=[0.9, *[0.5] * 11], threshold=0.8)
        place = 2 + turn % 11
        one.results.filter(position=place).update(audit=True)
        changed = place < 6 and turn % 4 != 0
        if changed:
            selection_set(search=one, number=f"M{place}", selected=True, user=examiner)
        if turn % 3:
            page_seen(search=one, page=1, user=examiner)
        slots.append((place - 1, changed, turn % 3 > 0 or changed))
        search_conclude(search=one, kind="done", user=examiner)
    for slot in range(0, 60, 2):  # concluded again it counts once
        search_conclude(search=Search.objects.order_by("created_at")[slot + 1], kind="done", user=examiner)
    positions, changes, shown = zip(*slots, strict=True)
    expected = estimate(positions=positions, changed=changes, shown=shown, fewest=1)
    assert sum(changes) < 30 and propensity_at(timezone.now()).is_flat and not expected.is_flat
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("feedback.selectors.estimate", lambda **told: estimate(**told, fewest=1))
        assert propensity_at(timezone.now()) == expected
        assert propensity_at(timezone.now() - timedelta(hours=1)).is_flat


def test_the_latest_report_of_a_search(search: Search, examiner: Any, django_assert_num_queries: Any) -> None:
    assert latest_report(search) is None
    other = done_search(examiner, scores=[0.9], threshold=0.8)
    made = [
        Report.objects.create(conclusion=search_conclude(search=one, kind="report", user=examiner), pdf=name, csv=name)
        for name, one in (("a", search), ("b", search), ("c", other))
    ]
    with django_assert_num_queries(1):
        report = latest_report(search)
        assert report == made[1] and report.conclusion.kind == "report"
