"""The REST contract that clients rely on; searches themselves are in test_search_api.py."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from search.models import Search
from search.retrieval.descriptors import DESCRIPTORS
from tests import pictures
from tests.factories import done_search

pytestmark = pytest.mark.django_db


def sentence(answer: Any) -> str:
    """The message of the one error shape."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "fields"}
    return error["message"]


@pytest.mark.parametrize("address", ["searches/", "marks/M1/thumbnail/"])
def test_without_login_there_is_nothing(address: str) -> None:
    answer = APIClient().get(f"/api/{address}")
    assert answer.status_code == 401
    assert sentence(answer)


def test_a_token_logs_in(examiner: Any) -> None:
    client = APIClient()
    wrong = client.post("/api/token/", {"username": "erin", "password": "guess"})
    assert wrong.status_code == 400 and sentence(wrong)
    token = client.post("/api/token/", {"username": "erin", "password": "a-long-password-9"}).json()["token"]
    assert client.get("/api/searches/", HTTP_AUTHORIZATION=f"Token {token}").status_code == 200


def test_an_account_without_a_role_is_told_whom_to_ask(make_user: Any) -> None:
    client = APIClient()
    client.force_authenticate(make_user("nobody", role=None))
    answer = client.get("/api/searches/")
    assert answer.status_code == 403 and "administrator" in sentence(answer)


def test_somebody_elses_search_is_not_found_for_an_examiner_but_open_to_an_administrator(
    api: APIClient, make_user: Any, administrator: Any
) -> None:
    other = done_search(make_user("olaf"), scores=[0.9], threshold=0.8)
    for path in ("", "results/", "image/", "report/"):
        assert api.get(f"/api/searches/{other.pk}/{path}").status_code == 404
    assert api.post(f"/api/searches/{other.pk}/report/").status_code == 404
    assert api.patch(f"/api/searches/{other.pk}/results/M1/", {"selected": False}).status_code == 404
    api.force_authenticate(administrator)
    assert api.get(f"/api/searches/{other.pk}/results/").status_code == 200
    refused = api.patch(f"/api/searches/{other.pk}/results/M1/", {"selected": False})
    assert refused.status_code == 403 and "examiner who made the search" in sentence(refused)


def test_results_come_in_pages_with_score_similarities_and_selection(
    api: APIClient, examiner: Any, settings: Any
) -> None:
    settings.TM_PAGE_SIZE = 2
    search = done_search(examiner, scores=[0.95, 0.7, 0.4], threshold=0.8)
    first = api.get(f"/api/searches/{search.pk}/results/").json()
    assert first["count"] == 3 and [row["rank"] for row in first["results"]] == [1, 2]
    row = first["results"][0]
    assert row["score"] == 95 and row["similarities"] == dict.fromkeys(DESCRIPTORS, 95)
    assert row["preselected"] is True and row["selected"] is True and row["name"] == "Mark M1"
    second = api.get(f"/api/searches/{search.pk}/results/?page=2").json()
    assert [row["mark"] for row in second["results"]] == ["M3"]
    beyond = api.get(f"/api/searches/{search.pk}/results/?page=3")
    assert beyond.status_code == 404 and "2 pages" in sentence(beyond)
    assert api.get(f"/api/searches/{search.pk}/results/?page=x").status_code == 400


def test_a_selection_is_saved_and_read_back(api: APIClient, examiner: Any) -> None:
    search = done_search(examiner, scores=[0.95, 0.7], threshold=0.8)
    url = f"/api/searches/{search.pk}/results"
    made = api.patch(f"{url}/M2/", {"selected": True}).json()
    assert made == {"mark": "M2", "selected": True, "change": made["change"]} and made["change"] > 0
    assert [row["selected"] for row in api.get(f"{url}/").json()["results"]] == [True, True]
    wrong = api.patch(f"{url}/M2/", {"selected": "maybe"})
    assert wrong.status_code == 400 and "selected" in sentence(wrong)
    assert api.patch(f"{url}/M2/", {}).status_code == 400
    unknown = api.patch(f"{url}/no-such-mark/", {"selected": True})
    assert unknown.status_code == 404 and "no-such-mark" in sentence(unknown)


def test_a_change_that_came_late_does_not_undo_a_newer_one(api: APIClient, examiner: Any) -> None:
    search = done_search(examiner, scores=[0.95, 0.7], threshold=0.8)
    url = f"/api/searches/{search.pk}/results"
    assert [row["change"] for row in api.get(f"{url}/").json()["results"]] == [0, 0]
    first = api.patch(f"{url}/M2/", {"selected": True, "after": 0}).json()["change"]
    again = api.patch(f"{url}/M2/", {"selected": True, "after": 0})  # its answer was lost: sent again
    assert again.status_code == 200 and again.json()["change"] == first
    second = api.patch(f"{url}/M2/", {"selected": False, "after": first}).json()["change"]
    late = api.patch(f"{url}/M2/", {"selected": True, "after": 0})
    assert late.status_code == 409 and "another window" in sentence(late)
    assert late.json()["error"]["fields"] == {"selected": False, "change": second}
    assert [row["selected"] for row in api.get(f"{url}/").json()["results"]] == [True, False]


def test_a_browser_asks_who_is_logged_in_and_gets_a_token_that_counts(examiner: Any) -> None:
    assert APIClient().get("/api/session/").status_code == 401
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(examiner)
    search = done_search(examiner, scores=[0.95], threshold=0.8)
    url = f"/api/searches/{search.pk}/results/M1/"
    refused = client.patch(url, {"selected": False})
    assert refused.status_code == 403 and refused.json()["error"]["code"] == "csrf"
    session = client.get("/api/session/").json()
    assert (session["user"], session["name"]) == (str(examiner.pk), "erin")
    assert client.patch(url, {"selected": False}, HTTP_X_CSRFTOKEN=session["csrf"]).status_code == 200


def test_a_report_is_a_pdf_and_a_csv(api: APIClient, examiner: Any, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    search = done_search(examiner, scores=[0.95], threshold=0.8)
    assert api.get(f"/api/searches/{search.pk}/report/").status_code == 404
    made = api.post(f"/api/searches/{search.pk}/report/")
    assert made.status_code == 201
    pdf = api.get(made.json()["url"])
    assert pdf["Content-Type"] == "application/pdf" and pdf.content.startswith(b"%PDF")
    assert b"M1" in api.get(made.json()["csv"]).content


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.png", b"", "empty"),
        ("noise.png", bytes(range(256)) * 8, ""),
        ("cut.png", pictures.encoded(pictures.mark(1))[:300], ""),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "PNG"),
    ],
)
def test_a_bad_image_is_refused_at_once_with_a_sentence(api: APIClient, name: str, data: bytes, says: str) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    answer = api.post("/api/searches/", {"image": SimpleUploadedFile(name, data)}, format="multipart")
    assert answer.status_code == 400
    assert says in sentence(answer) and sentence(answer).endswith(".")
    assert not Search.objects.exists()


@pytest.mark.parametrize(
    "field",
    [
        {"nice": "46"},
        {"nice": "x"},
        {"filed_from": "yesterday"},
        {"depth": "deep"},
        {"filed_from": "2024-02-01", "filed_to": "2024-01-01"},
    ],
)
def test_a_wrong_filter_is_refused(api: APIClient, field: dict[str, str]) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    image = SimpleUploadedFile("q.png", pictures.encoded(pictures.mark(1)))
    answer = api.post("/api/searches/", {"image": image, **field}, format="multipart")
    assert answer.status_code == 400 and sentence(answer)


def test_no_image_at_all_is_refused(api: APIClient) -> None:
    answer = api.post("/api/searches/", {}, format="multipart")
    assert answer.status_code == 400 and "image" in sentence(answer)


def test_a_body_far_too_large_is_refused_before_it_is_read(api: APIClient) -> None:
    answer = api.post("/api/searches/", {}, format="multipart", CONTENT_LENGTH=str(10**9))
    assert answer.status_code == 413 and "20 MB" in sentence(answer)


def test_an_unknown_address_and_a_failure_inside_have_the_same_shape(
    api: APIClient, examiner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in (api.get("/api/nothing/"), api.post("/api/searches/x/y/", {})):
        assert answer.status_code == 404 and "schema" in sentence(answer)

    def broken(**_: Any) -> Any:
        raise RuntimeError("inside")

    monkeypatch.setattr("search.api.search_get", broken)
    answer = api.get(f"/api/searches/{done_search(examiner, scores=[0.9], threshold=0.8).pk}/")
    assert answer.status_code == 500 and "administrator" in sentence(answer) and "inside" not in sentence(answer)


def test_health_is_open_and_names_what_is_away(settings: Any) -> None:
    answer = APIClient().get("/api/health/")
    assert answer.status_code == 503
    body = answer.json()
    assert body["database"] == "ok" and "broker" in body["broker"] and body["snapshot"] is None


def test_the_schema_needs_a_login() -> None:
    assert APIClient().get("/api/schema/").status_code == 401


def test_the_schema_describes_the_contract(api: APIClient) -> None:
    answer = api.get("/api/schema/")
    assert answer.status_code == 200
    for path in (
        "/api/searches/{search_id}/results/{number}/",
        "/api/token/",
        "/api/health/",
        "/api/searches/{search_id}/report/",
    ):
        assert path in answer.content.decode()


def test_a_full_disk_is_said_and_leaves_no_search(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from django.core.files.uploadedfile import SimpleUploadedFile

    from search import media

    def full(*_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(media, "write", full)
    image = SimpleUploadedFile("q.png", pictures.encoded(pictures.mark(1)))
    answer = api.post("/api/searches/", {"image": image}, format="multipart")
    assert answer.status_code == 503 and "disk" in sentence(answer)
    assert not Search.objects.exists()
