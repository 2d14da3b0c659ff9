"""The page and the route of names: what they show, whom they answer, what they refuse."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from search.words.api import _AMinute
from tests.factories import mark

pytestmark = pytest.mark.django_db


@pytest.fixture
def named(db: Any) -> None:
    cache.clear()
    for number, name in {"M1": "Red Hat", "M2": "KWIX", "M3": "<b>שלום</b>"}.items():
        one = mark(number)
        one.name, one.owner = name, "Owner Ltd"
        one.save()


def test_the_page_shows_marks_and_how_they_were_found(client: Client, examiner: Any, named: None) -> None:
    assert client.get("/words/").status_code == 302
    client.force_login(examiner)
    empty = client.get("/words/").content.decode()
    assert "What can be typed" in empty and ">What it shows</a>" in empty
    shown = client.get("/words/", {"q": "quicks"}).content.decode()
    assert "KWIX" in shown and "sounds like" in shown and "Red Hat" not in shown
    assert "1 mark, nearest first" in shown


@pytest.mark.parametrize("typed", ["???", "😀😀", "\x01\x02", "zzyzx qqq", "-red", "' OR 1=1 --", "\u202e"])
def test_nothing_close_is_said_when_nothing_is(client: Client, examiner: Any, named: None, typed: str) -> None:
    client.force_login(examiner)
    answer = client.get("/words/", {"q": typed})
    assert answer.status_code == 200 and "Nothing close" in answer.content.decode()


def test_far_too_much_is_refused_and_markup_is_text(client: Client, examiner: Any, named: None) -> None:
    client.force_login(examiner)
    assert "longer than 200 letters" in client.get("/words/", {"q": "x" * 10_000}).content.decode()
    shown = client.get("/words/", {"q": "<b>שלום</b>"}).content.decode()
    assert "&lt;b&gt;שלום" in shown and "<b>שלום" not in shown
    assert "filters is not valid" in client.get("/words/", {"q": "red", "nice": "99"}).content.decode()


def test_an_account_without_role_sees_nothing(client: Client, make_user: Any, named: None) -> None:
    client.force_login(make_user("norole", None))
    assert client.get("/words/").status_code == client.get("/words/shows/").status_code == 403


def test_the_route_answers_with_ways_and_thumbnails(api: APIClient, named: None) -> None:
    answer = api.get("/api/words/", {"q": "red -kwix"}).json()
    assert answer["name"] == "red" and answer["without"] == ["kwix"]
    (hit,) = answer["results"]
    assert hit["mark"] == "M1" and hit["rank"] == 1 and hit["ways"] == ["begins with it"] and 0 < hit["score"] < 1
    assert hit["thumbnail"] == "/api/marks/M1/thumbnail/"
    assert api.get("/api/words/", {"q": "???"}).json()["results"] == []


@pytest.mark.parametrize("query", ["", "q=", "q=%20", "q=up&top=0", "q=up&nice=99", "q=" + "x" * 10_000, "q=a%00b"])
def test_the_route_refuses_in_the_one_error_shape(api: APIClient, named: None, query: str) -> None:
    answer = api.get(f"/api/words/?{query}")
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_the_route_is_for_examiners_and_has_a_limit(
    api: APIClient, named: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert APIClient().get("/api/words/?q=red").status_code == 401
    monkeypatch.setattr(_AMinute, "rate", "2/min")
    assert [api.get("/api/words/?q=red").status_code for _ in range(3)] == [200, 200, 429]
    refused = api.get("/api/words/?q=red")
    assert refused.json()["error"]["code"] == "too_many" and int(refused.headers["Retry-After"]) > 0
