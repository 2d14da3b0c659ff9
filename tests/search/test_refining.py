"""More like these, less like those: with the real engine on a small register, through API and report."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from rest_framework.test import APIClient

from feedback.models import Impression, PageView
from feedback.reports import report_make
from feedback.services import search_conclude, selection_set
from search import media, query_file
from search.errors import NotThere
from search.models import Search, SearchResult
from search.retrieval.records import Filters
from search.services import search_create
from tests import pictures
from tests.broker import Broker
from tests.searching import search_run

pytestmark = pytest.mark.django_db

SHOWN = 12


@pytest.fixture
def search(register: Any, examiner: Any, settings: Any, worker: Broker) -> Search:
    """A finished search that shows 12 of the 40 marks, so that 28 can only be found by refining."""
    settings.TM_RESULTS = SHOWN
    settings.TM_PAGE_SIZE = 8
    data = pictures.encoded(pictures.mark(3))
    made = search_create(owner=examiner, data=data, image_name="q.png", filters=Filters(), depth="register")
    assert search_run(search_id=str(made.pk)) == "done"
    made.refresh_from_db()
    return made


def refine(api: APIClient, search: Search, **body: Any) -> Any:
    return api.post(f"/api/searches/{search.pk}/refine/", body, format="json")


def numbers(search: Search) -> list[str]:
    return list(search.results.order_by("rank").values_list("mark__number", flat=True))


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "fields"} and error["message"].endswith(".")
    return str(error["message"])


def found_by_refining(api: APIClient, search: Search) -> dict[str, Any]:
    """A row that the results do not hold. Far marks are near the worst of the list, unlike the best."""
    shown = numbers(search)
    for page in (1, 2):
        rows = refine(api, search, like=shown[-3:], unlike=shown[:3], page=page).json()["results"]
        fresh = [row for row in rows if row["mark"] not in shown]
        if fresh:
            return dict(fresh[0])
    return pytest.fail("refining found nothing new; the test needs a mark that only it finds")


def test_a_page_of_the_refined_list_has_the_shape_of_a_page_of_results(api: APIClient, search: Search) -> None:
    shown = numbers(search)
    page = api.get(f"/api/searches/{search.pk}/results/").json()
    answer = refine(api, search, like=[shown[5]], unlike=[shown[1]])
    assert answer.status_code == 200
    told = answer.json()
    assert set(told) == set(page) and set(told["results"][0]) == set(page["results"][0]) | {"rank_before"}
    assert (told["count"], told["page"], told["pages"]) == (SHOWN, 1, 2)
    assert [row["rank"] for row in told["results"]] == list(range(1, 9))
    before = {row["mark"]: row for row in page["results"]}
    assert len([row for row in told["results"] if row["mark"] in before]) > 1
    liked = next(row for row in told["results"] if row["mark"] == shown[5])
    assert liked["rank"] < liked["rank_before"] == 6
    for row in told["results"]:
        if row["mark"] in before:  # one mark has one percentage in one search
            kept = before[row["mark"]]
            assert (row["score"], row["similarities"], row["selected"]) == (
                kept["score"], kept["similarities"], kept["selected"]
            )  # fmt: skip


def test_the_search_itself_stays_as_it_was(api: APIClient, search: Search, examiner: Any) -> None:
    before = list(search.results.values())
    refine(api, search, like=numbers(search)[5:7], unlike=numbers(search)[:1], page=2)
    assert list(search.results.values()) == before
    assert not PageView.objects.exists() and not Impression.objects.exists()


def test_a_mark_that_only_refining_found_can_be_selected_and_is_no_evidence(
    api: APIClient, search: Search, examiner: Any, settings: Any, tmp_path: Path
) -> None:
    row = found_by_refining(api, search)
    assert row["refined"] is True and row["rank_before"] is None and row["preselected"] is False
    assert row["selected"] is False and SearchResult.objects.filter(search=search).count() == SHOWN
    url = f"/api/searches/{search.pk}/results"
    for _ in range(2):
        assert api.patch(f"{url}/{row['mark']}/", {"selected": True}).status_code == 200
    stored = SearchResult.objects.get(search=search, mark__number=row["mark"])
    assert (stored.rank, stored.refined, stored.preselected) == (SHOWN + 1, True, False)
    assert round(100 * stored.score, 2) == row["score"] and set(stored.similarities) == set(row["similarities"])

    last = api.get(f"{url}/?page=2").json()
    assert (last["count"], last["pages"]) == (SHOWN + 1, 2)
    assert last["results"][-1]["mark"] == row["mark"] and last["results"][-1]["selected"] is True
    liked = refine(api, search, like=[row["mark"]]).json()["results"]
    again = next(one for one in liked if one["mark"] == row["mark"])
    assert again["rank"] <= 2 and again["selected"] is True and again["rank_before"] is None

    report = report_make(search=search, user=examiner)
    line = next(one for one in media.read(report.csv).decode().splitlines() if f",{row['mark']}," in one)
    assert ",False,True," in line  # not pre-selected, refined
    logged = set(Impression.objects.values_list("mark__number", flat=True))
    assert logged == set(numbers(search)) - {row["mark"]} and len(logged) == SHOWN


def test_a_selection_in_the_refined_list_is_one_in_the_original_list(
    api: APIClient, search: Search, examiner: Any
) -> None:
    unseen = search.results.filter(preselected=False).order_by("rank").last()
    assert unseen is not None
    refine(api, search, like=[unseen.mark.number])
    selection_set(search=search, number=unseen.mark.number, selected=True, user=examiner)
    search_conclude(search=search, kind="done", user=examiner)
    row = Impression.objects.get(mark=unseen.mark)
    assert (row.outcome, row.rank, row.seen) == ("added", unseen.rank, True)


def test_a_mark_that_no_list_showed_cannot_be_selected(api: APIClient, search: Search, examiner: Any) -> None:
    shown = numbers(search)
    other = next(f"T/{seed:03}" for seed in range(40) if f"T/{seed:03}" not in shown)
    with pytest.raises(NotThere):
        selection_set(search=search, number=other, selected=True, user=examiner)
    assert search.results.count() == SHOWN


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "at least one"),
        ({"like": [], "unlike": []}, "at least one"),
        ({"like": ["T/003"], "unlike": ["T/003"]}, "choose one"),
        ({"like": [f"T/{n:03}" for n in range(21)]}, "20"),
        ({"unlike": [f"T/{n:03}" for n in range(21)]}, "20"),
        ({"like": "T/003"}, "list"),
        ({"like": [["T/003"]]}, "like"),
        ({"like": ["T/003"], "page": 0}, "page"),
    ],
)
def test_wrong_questions_are_refused_before_any_worker_is_asked(
    api: APIClient, search: Search, worker: Broker, body: dict[str, Any], says: str
) -> None:
    assert says in refused(refine(api, search, **body), 400)
    assert worker.asked == []


def test_unknown_marks_and_pages_are_not_there(api: APIClient, search: Search) -> None:
    assert "no-such" in refused(refine(api, search, like=["no-such"]), 404)
    assert "2 pages" in refused(refine(api, search, like=["T/003"], page=3), 404)


def test_only_the_owner_refines_and_only_a_finished_search(
    api: APIClient, search: Search, administrator: Any, make_user: Any
) -> None:
    Search.objects.filter(pk=search.pk).update(status="running")
    assert "not done" in refused(refine(api, search, like=["T/003"]), 400)
    Search.objects.filter(pk=search.pk).update(status="done")
    api.force_authenticate(administrator)
    assert "examiner who made the search" in refused(refine(api, search, like=["T/003"]), 403)
    api.force_authenticate(make_user("olaf"))
    refused(refine(api, search, like=["T/003"]), 404)
    assert refine(APIClient(), search, like=["T/003"]).status_code == 401


def test_the_description_is_kept_with_the_search_and_made_again_where_it_is_lost(
    api: APIClient, search: Search, register: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register.searcher().snapshot.descriptors_version
    kept = query_file.query_kept(search, version)
    assert kept is not None and query_file.query_kept(search, "other descriptors") is None
    first = refine(api, search, like=["T/003"]).json()

    path = media.path_of(f"{search.image}.description")
    assert path.is_relative_to(django_settings.MEDIA_ROOT) and path.stat().st_size < 64 * 1024
    path.write_bytes(b"damaged")
    assert refine(api, search, like=["T/003"]).json() == first
    assert query_file.query_kept(search, version) is not None
    path.unlink()
    media.path_of(search.image).unlink()
    assert "no longer on file" in refused(refine(api, search, like=["T/003"]), 503)


def test_it_is_documented_in_the_schema(api: APIClient) -> None:
    schema = api.get("/api/schema/?format=json").json()
    assert "RefineInput" in schema["components"]["schemas"]
    assert "rank_before" in schema["components"]["schemas"]["RefinedOutput"]["properties"]
    assert "post" in schema["paths"]["/api/searches/{search_id}/refine/"]
