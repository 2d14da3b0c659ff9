"""Pages of an examiner: who may see what, what an empty page says, and that every state renders."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback.models import Selection
from feedback.reports import report_make
from feedback.services import search_conclude, selection_set
from search import media
from search.models import Mark, Search
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval.descriptors import DESCRIPTORS
from search.services import preview_name
from search.templatetags.portal import DESCRIPTOR_MEANINGS, DESCRIPTOR_WORDS
from tests import pictures
from tests.factories import done_search, live_set, mark

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client: Client, examiner: Any) -> Client:
    client.force_login(examiner)
    return client


def body(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status
    return answer.content.decode()


@pytest.mark.parametrize(
    "address", ["/", "/searches/", "/searches/00000000-0000-4000-8000-000000000000/", "/tuning/", "/tuning/runs/1/"]
)
def test_without_login_every_page_leads_to_the_login(client: Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/login/?next=")


def test_login_keeps_the_way_and_says_when_it_fails(client: Client, examiner: Any) -> None:
    form = body(client.get("/login/?next=/searches/"))
    assert 'name="next" value="/searches/"' in form
    wrong = body(client.post("/login/", {"username": "erin", "password": "guess", "next": "/searches/"}))
    assert "do not match" in wrong and 'value="erin"' in wrong
    right = client.post("/login/", {"username": "erin", "password": "a-long-password-9", "next": "/searches/"})
    assert right.headers["Location"] == "/searches/"


def test_an_account_without_a_role_is_told_whom_to_ask(client: Client, make_user: Any) -> None:
    client.force_login(make_user("nobody", role=None))
    for address in ("/", "/searches/"):
        assert "ask an administrator" in body(client.get(address), 403)


def test_the_search_page_offers_the_filters_that_the_register_has(page: Client) -> None:
    Mark.objects.create(number="A", name="A", jurisdiction="EM", status="opposed", image="x", image_sha256="x")
    text = body(page.get("/"))
    assert 'name="jurisdiction" value="EM"' in text and 'name="status" value="opposed"' in text
    assert len(re.findall(r'name="nice" value="\d+"', text)) == 45
    assert "None yet" in text  # no search so far: it says what to do
    assert "Demonstration register" not in text


def test_demonstration_marks_are_called_that(page: Client, examiner: Any) -> None:
    mark("M1")
    Mark.objects.filter(number="M1").update(source="logos:adobe")
    found = done_search(examiner, scores=[0.9], threshold=0.8)
    for address in ("/", f"/searches/{found.pk}/"):
        text = body(page.get(address))
        assert "Demonstration register:</strong> real logos, invented owners, numbers and dates" in text


def test_a_new_search_takes_over_the_filters_of_an_earlier_one(page: Client, examiner: Any, make_user: Any) -> None:
    earlier = done_search(examiner, scores=[0.9], threshold=0.8)
    filters = {"nice": [9], "jurisdictions": [], "statuses": [], "filed_from": "2020-01-31", "filed_to": None}
    Search.objects.filter(pk=earlier.pk).update(filters=filters, depth="cluster")
    text = body(page.get(f"/?again={earlier.pk}"))
    assert 'name="nice" value="9" checked' in text and 'value="2020-01-31"' in text
    assert 'value="cluster" checked' in text
    strange = done_search(make_user("olaf"), scores=[0.9], threshold=0.8)
    for asked in (strange.pk, "not-an-id"):
        assert "are filled in" not in body(page.get(f"/?again={asked}"))


def test_a_finished_search_shows_its_stamps_and_its_buttons(page: Client, examiner: Any) -> None:
    found = done_search(examiner, scores=[0.95, 0.85, 0.4], threshold=0.8)
    selection_set(search=found, number="M3", selected=True, user=examiner)
    selection_set(search=found, number="M1", selected=False, user=examiner)
    text = body(page.get(f"/searches/{found.pk}/"))
    assert 'data-selected="2" data-added="1" data-removed="1"' in text
    assert f"P{found.parameter_set_id}" in text and "s1" in text and "80.0 %" in text
    assert 'id="make-report"' in text and "data-may-change" in text
    assert f"/api/searches/{found.pk}/refine/" in text and 'data-refine-most="20"' in text
    assert "parameter-sets" not in text  # the page of parameters is not an examiner's


def test_somebody_elses_search_is_not_there_for_an_examiner(page: Client, make_user: Any) -> None:
    other = done_search(make_user("olaf"), scores=[0.9], threshold=0.8)
    assert "belongs to somebody else" in body(page.get(f"/searches/{other.pk}/"), 404)


def test_an_administrator_may_look_but_has_no_buttons(client: Client, examiner: Any, administrator: Any) -> None:
    found = done_search(examiner, scores=[0.9], threshold=0.8)
    client.force_login(administrator)
    text = body(client.get(f"/searches/{found.pk}/"))
    assert "Only erin can change its selection" in text
    for absent in ('id="make-report"', 'id="done"', 'id="detail-toggle"', "data-may-change", "refine"):
        assert absent not in text


@pytest.mark.parametrize(
    ("state", "words"), [("queued", "Waiting for a search worker."), ("running", "Comparing with the register.")]
)
def test_a_search_on_its_way_says_what_is_going_on(page: Client, examiner: Any, state: str, words: str) -> None:
    search = Search.objects.create(owner=examiner, image="x", status=state, attempts=1)
    text = body(page.get(f"/searches/{search.pk}/"))
    assert words in text and 'role="progressbar"' in text


def test_a_failed_search_says_why(page: Client, examiner: Any) -> None:
    search = Search.objects.create(owner=examiner, image="x", status="failed", error="The image broke the scanner.")
    assert "The image broke the scanner." in body(page.get(f"/searches/{search.pk}/"))


def test_filters_that_leave_nothing_are_explained(page: Client, examiner: Any) -> None:
    assert "No mark fits these filters" in body(
        page.get(f"/searches/{done_search(examiner, scores=[], threshold=0.8).pk}/")
    )


def test_a_report_and_a_change_after_it_are_both_shown(
    page: Client, examiner: Any, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    found = done_search(examiner, scores=[0.95, 0.4], threshold=0.8)
    media.write(preview_name(found.image), pictures.encoded(pictures.mark(1), "WEBP"))
    report_make(search=found, user=examiner)
    text = body(page.get(f"/searches/{found.pk}/"))
    assert "Reported" in text and 'id="report-links" hidden' not in text and 'id="stale" hidden' in text
    selection_set(search=found, number="M2", selected=True, user=examiner)
    assert 'id="stale" hidden' not in body(page.get(f"/searches/{found.pk}/"))


def test_the_history_counts_what_is_selected_and_how_it_ended(page: Client, examiner: Any, make_user: Any) -> None:
    assert "No search yet" in body(page.get("/searches/"))
    open_one = done_search(examiner, scores=[0.95, 0.85, 0.4, 0.3], threshold=0.8)
    for number, chosen in (("M3", True), ("M4", True), ("M4", False), ("M1", False)):
        selection_set(search=open_one, number=number, selected=chosen, user=examiner)
    concluded = done_search(examiner, scores=[0.9], threshold=0.8)
    search_conclude(search=concluded, kind="done", user=examiner)
    Search.objects.create(owner=examiner, image="x", status="failed", error="No.")
    done_search(make_user("olaf"), scores=[0.9], threshold=0.8)
    text = body(page.get("/searches/"))
    assert "3 searches, newest first" in text
    assert "<strong>2</strong> selected" in text and "1 added · 1 removed" in re.sub(r"\s+", " ", text)
    for badge in (">open<", ">done, no report<", ">failed<"):
        assert badge in text


def test_the_history_counts_what_its_report_holds_and_says_what_changed_since(
    page: Client, examiner: Any, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    found = done_search(examiner, scores=[0.95, 0.85, 0.4, 0.3], threshold=0.8)
    media.write(preview_name(found.image), pictures.encoded(pictures.mark(1), "WEBP"))
    selection_set(search=found, number="M1", selected=False, user=examiner)
    Selection.objects.update(at=timezone.now() + timedelta(days=40))  # a clock that jumped ahead and back
    report = report_make(search=found, user=examiner)
    assert "<strong>1</strong> in the report" in body(page.get("/searches/"))
    assert "changed since" not in body(page.get("/searches/"))
    for chosen in (True, False):  # back to what it was: nothing has changed
        selection_set(search=found, number="M4", selected=chosen, user=examiner)
    assert "changed since" not in body(page.get("/searches/"))
    assert 'id="stale" hidden' in body(page.get(f"/searches/{found.pk}/"))
    selection_set(search=found, number="M3", selected=True, user=examiner)
    text = body(page.get("/searches/"))
    assert "<strong>1</strong> in the report" in text and "changed since: 2 selected now" in text
    assert 'id="stale" hidden' not in body(page.get(f"/searches/{found.pk}/"))
    rows = media.read(report.csv).decode("utf-8-sig").splitlines()
    assert len(rows) == 1 + 1, "the report stays what it was"


def test_only_an_administrator_sees_everybodys_history(page: Client, make_user: Any, administrator: Any) -> None:
    done_search(make_user("olaf"), scores=[0.9], threshold=0.8)
    assert "No search yet" in body(page.get("/searches/?of=everyone"))
    page.force_login(administrator)
    assert "olaf" in body(page.get("/searches/?of=everyone"))
    assert "No search yet" in body(page.get("/searches/"))


def test_the_history_asks_the_database_no_more_for_more_searches(
    page: Client, examiner: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        done_search(examiner, scores=[0.9, 0.5], threshold=0.8)
    with django_assert_max_num_queries(12):
        page.get("/searches/")


def test_names_from_outside_are_text_and_never_markup(page: Client, examiner: Any) -> None:
    found = done_search(examiner, scores=[0.9], threshold=0.8)
    Search.objects.filter(pk=found.pk).update(image_name="<script>alert(1)</script>")
    for address in ("/", "/searches/", f"/searches/{found.pk}/"):
        text = body(page.get(address))
        assert "<script>alert" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text, address


def test_no_page_needs_an_inline_script_or_another_host(page: Client, examiner: Any) -> None:
    found = done_search(examiner, scores=[0.9], threshold=0.8)
    for address in ("/", "/searches/", f"/searches/{found.pk}/", "/login/"):
        answer = page.get(address, follow=True)
        text = body(answer)
        assert not re.search(r"\son\w+=", text), address
        scripts = re.findall(r"<script[^>]*>", text)
        assert scripts or address != f"/searches/{found.pk}/", "the page of a search has scripts"
        for script in scripts:
            assert "src=" in script or 'type="application/json"' in script
        assert not re.search(r'(src|href)="(https?:)?//', text), address
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_pages_only_read(page: Client) -> None:
    for name in ("search", "history"):
        assert page.post(reverse(name)).status_code == 405


def test_records_are_read_only_but_marks_can_be_corrected(client: Client, make_user: Any) -> None:
    boss = make_user("boss", role=None)
    boss.is_staff = boss.is_superuser = True
    boss.save()
    client.force_login(boss)
    found = done_search(boss, scores=[0.9], threshold=0.8)
    conclusion = search_conclude(search=found, kind="done", user=boss)
    for address in (
        f"search/search/{found.pk}",
        f"search/parameterset/{found.parameter_set_id}",
        f"feedback/conclusion/{conclusion.pk}",
    ):
        assert "_save" not in body(client.get(f"/admin/{address}/change/"))
        assert client.get(f"/admin/{address}/delete/").status_code == 403
    registered = Mark.objects.get(number="M1")
    assert "_save" in body(client.get(f"/admin/search/mark/{registered.pk}/change/"))
    for model in ("search/searchresult", "feedback/impression", "feedback/selection", "tuning/tuningrun"):
        body(client.get(f"/admin/{model}/"))


def test_every_descriptor_has_a_word_a_meaning_and_a_colour(page: Client, examiner: Any, settings: Any) -> None:
    """One without weight is named as such; one without its words or its colour would look like a mistake."""
    search = done_search(examiner, scores=[0.9], threshold=0.8)
    text = body(page.get(f"/searches/{search.pk}/"))
    styles = {
        name: (settings.BASE_DIR / f"tmportal/static/css/{name}.css").read_text()
        for name in ("portal", "results", "tuning")
    }
    for name in DESCRIPTORS:
        assert DESCRIPTOR_WORDS[name] in text and DESCRIPTOR_MEANINGS[name] in text
        assert f"--c-{name}:" in styles["portal"]
        assert all(f"[data-descriptor={name}]" in styles[sheet] for sheet in ("results", "tuning"))
    assert "shape and colour together" not in text


def test_a_descriptor_without_weight_says_so(page: Client, examiner: Any) -> None:
    base = live_set(threshold=0.8)
    weights = {**dict.fromkeys(DESCRIPTORS, 0.0), "general": 1.0}
    parameters = replace(base.unpack(), default=replace(base.unpack().default, weights=weights))
    made = parameter_set_create(parameters=parameters, made_by="test", reason="try", parent=base)
    parameter_set_promote(parameter_set=made, expected=base, actor="test", reason="try")
    text = body(page.get(f"/searches/{done_search(examiner, scores=[0.9], threshold=0.8).pk}/"))
    assert text.count("has no weight in this search") == len(DESCRIPTORS) - 1
