"""What is recorded of an examiner's work."""

from typing import Any

import pytest

from feedback.models import Impression, PageView, Selection
from feedback.reports import report_make
from feedback.selectors import conclusions_between, selection_of
from feedback.services import page_seen, search_conclude, selection_set
from search.errors import NotAllowed, NotThere, Refused
from search.retrieval.descriptors import DESCRIPTORS
from tests.factories import done_search

pytestmark = pytest.mark.django_db


def test_a_selection_is_a_row_per_change_and_the_last_word_counts(examiner: Any) -> None:
    search = done_search(examiner, scores=[0.9, 0.6, 0.3], threshold=0.8)
    selection_set(search=search, number="M2", selected=True, user=examiner)
    selection_set(search=search, number="M2", selected=True, user=examiner)  # already so: nothing to write
    selection_set(search=search, number="M1", selected=False, user=examiner)
    selection_set(search=search, number="M2", selected=False, user=examiner)
    selection_set(search=search, number="M2", selected=True, user=examiner)
    assert Selection.objects.count() == 4
    assert selection_of(search).numbers == {"M2"}


def test_setting_a_preselected_mark_to_selected_writes_nothing(examiner: Any) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    selection_set(search=search, number="M1", selected=True, user=examiner)
    assert not Selection.objects.exists()


def test_unknown_marks_and_strangers_are_refused(examiner: Any, administrator: Any) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    with pytest.raises(NotThere):
        selection_set(search=search, number="M9", selected=True, user=examiner)
    with pytest.raises(NotAllowed):
        selection_set(search=search, number="M1", selected=False, user=administrator)
    with pytest.raises(NotAllowed):
        search_conclude(search=search, kind="done", user=administrator)


def test_only_the_owner_makes_a_page_seen(examiner: Any, administrator: Any) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    page_seen(search=search, page=1, user=administrator)
    assert not PageView.objects.exists()
    page_seen(search=search, page=1, user=examiner)
    page_seen(search=search, page=1, user=examiner)
    assert PageView.objects.count() == 1


def test_a_conclusion_freezes_every_result_with_its_outcome(examiner: Any, settings: Any) -> None:
    settings.TM_PAGE_SIZE = 4
    search = done_search(examiner, scores=[0.95, 0.9, 0.6, 0.5, 0.4, 0.3], threshold=0.8)
    page_seen(search=search, page=1, user=examiner)
    selection_set(search=search, number="M2", selected=False, user=examiner)
    selection_set(search=search, number="M3", selected=True, user=examiner)
    selection_set(search=search, number="M6", selected=True, user=examiner)  # on a page never asked for
    search_conclude(search=search, kind="done", user=examiner)
    rows = list(Impression.objects.order_by("rank").values_list("mark__number", "page", "seen", "outcome"))
    assert rows == [
        ("M1", 1, True, "kept"),
        ("M2", 1, True, "removed"),
        ("M3", 1, True, "added"),
        ("M4", 1, True, "untouched"),
        ("M5", 2, False, "untouched"),
        ("M6", 2, True, "added"),
    ]
    first = Impression.objects.get(rank=1)
    assert first.similarities == dict.fromkeys(DESCRIPTORS, 0.95)
    assert first.parameter_set_id == search.parameter_set_id and first.examiner == examiner


def test_an_abandoned_search_is_no_evidence_and_the_latest_conclusion_counts(examiner: Any) -> None:
    from django.utils import timezone

    done_search(examiner, scores=[0.9], threshold=0.8)  # never concluded
    search = done_search(examiner, scores=[0.9, 0.5], threshold=0.8)
    search_conclude(search=search, kind="done", user=examiner)
    selection_set(search=search, number="M2", selected=True, user=examiner)
    second = search_conclude(search=search, kind="done", user=examiner)
    assert list(conclusions_between(None, timezone.now())) == [second]
    assert not conclusions_between(second.at, timezone.now()).exists()


def test_the_log_cannot_be_rewritten(examiner: Any) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    search_conclude(search=search, kind="done", user=examiner)
    row = Impression.objects.get()
    row.outcome = "removed"
    with pytest.raises(TypeError, match="immutable"):
        row.save()
    with pytest.raises(TypeError, match="never deleted"):
        row.delete()


def test_a_report_is_written_as_pdf_and_csv_with_its_stamps(examiner: Any, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    search = done_search(examiner, scores=[0.95, 0.6], threshold=0.8)
    selection_set(search=search, number="M2", selected=True, user=examiner)
    report = report_make(search=search, user=examiner)
    assert (tmp_path / report.pdf).read_bytes().startswith(b"%PDF")
    table = (tmp_path / report.csv).read_text("utf-8-sig").splitlines()
    assert len(table) == 3 and str(search.pk) in table[1] and search.snapshot in table[1]
    assert "M2" in table[2] and f"P{search.parameter_set_id}" in table[2] and "False" in table[2]


def test_a_name_that_looks_like_a_formula_stays_text_in_the_csv(examiner: Any, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    search = done_search(examiner, scores=[0.95], threshold=0.8)
    mark = search.results.get().mark
    mark.name = "=HYPERLINK(1)"
    mark.save()
    report = report_make(search=search, user=examiner)
    assert "'=HYPERLINK(1)" in (tmp_path / report.csv).read_text("utf-8-sig")


def test_a_search_that_is_not_done_cannot_be_concluded(examiner: Any) -> None:
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    search.status = "running"
    search.save()
    with pytest.raises(Refused, match="not done"):
        search_conclude(search=search, kind="done", user=examiner)
