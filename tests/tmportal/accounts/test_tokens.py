"""What an account is logged in with: tokens that nobody can read again, sessions, and what ends them."""

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from tmportal.accounts import tokens
from tmportal.accounts.models import AccessToken, PersonalSession

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-password-9"


def get_token(name: str = "erin") -> str:
    answer = APIClient().post("/api/token/", {"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.json()
    return answer.json()["token"]


def status(token: str | bytes) -> int:
    header = token if isinstance(token, str) else token.decode("latin-1")
    return APIClient().get("/api/searches/", headers={"authorization": f"Token {header}"}).status_code


def browser(name: str = "erin") -> Client:
    client = Client()
    assert client.post("/login/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


def logged_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_a_token_is_shown_once_and_stands_nowhere_in_the_database(examiner: Any) -> None:
    token = get_token()
    assert status(token) == 200 and status(token[:-1]) == 401 and get_token() != token
    for model in apps.get_models():
        for row in model.objects.values():
            assert not any(token in str(value) for value in row.values()), model
    stored = AccessToken.objects.values_list("digest", flat=True)
    assert all(status(digest) == 401 for digest in stored)


def test_the_old_way_of_asking_still_works(examiner: Any) -> None:
    sent = {"username": "erin", "password": PASSWORD}
    for given in ({"data": sent}, {"data": sent, "format": "json"}):
        answer = APIClient().post("/api/token/", **given)
        assert answer.status_code == 200 and set(answer.json()) == {"token", "expires"}
    for wrong in ({}, {"username": "erin"}, {**sent, "password": "x"}, {**sent, "username": "e\0"}, [], "x"):
        answer = APIClient().post("/api/token/", wrong, format="json")
        assert answer.status_code == 400 and answer.json()["error"]["message"], wrong


@pytest.mark.parametrize("strange", ["", "a b", b"\xff\xfe", "\u00e9" * 64, "0" * 5000])
def test_a_strange_token_is_refused_with_a_sentence(examiner: Any, strange: Any) -> None:
    assert status(strange) == 401


def test_a_token_ends_by_itself_whatever_the_clock_does(
    examiner: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TM_TOKEN_HOURS = 2
    token = get_token()
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(hours=1, minutes=59))
    assert status(token) == 200
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(hours=2, seconds=1))
    assert status(token) == 401
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(days=40))
    ahead = get_token()
    assert AccessToken.objects.count() == 1  # what has ended is deleted
    monkeypatch.setattr(timezone, "now", real)
    assert status(ahead) == 401


def test_an_account_has_a_bounded_number_of_tokens(examiner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KEPT_TOKENS", 3)
    made = [get_token() for _ in range(5)]
    assert [status(token) for token in made] == [401, 401, 200, 200, 200]


def test_a_new_password_by_any_way_ends_tokens_and_sessions(examiner: Any) -> None:
    token, there = get_token(), browser()
    assert status(token) == 200 and logged_in(there)
    examiner.set_password("another-long-password-9")
    examiner.save()
    assert status(token) == 401 and not logged_in(there)


def test_sessions_that_have_ended_do_not_pile_up(examiner: Any) -> None:
    for _ in range(3):
        browser()
    PersonalSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    here = browser()
    assert PersonalSession.objects.count() == 1 and logged_in(here)


def test_one_logs_out_everywhere(examiner: Any, make_user: Any) -> None:
    make_user("olaf")
    here, there, token = browser(), browser(), get_token()
    others = browser("olaf"), get_token("olaf")
    assert here.get("/account/log-out-everywhere/").status_code == 405 and logged_in(here)
    answer = here.post("/account/log-out-everywhere/", follow=True)
    assert answer.request["PATH_INFO"] == "/login/" and "logged out everywhere" in answer.content.decode()
    assert not logged_in(here) and not logged_in(there) and status(token) == 401
    assert logged_in(others[0]) and status(others[1]) == 200


def test_one_sets_a_new_password_and_stays_only_here(examiner: Any) -> None:
    here, there, token = browser(), browser(), get_token()
    text = here.get("/account/").content.decode()
    assert "2 browser sessions and 1 API token" in text and "127.0.0.1" in text
    form = {"old_password": PASSWORD, "new_password1": "green-battery-9", "new_password2": "green-battery-9"}
    for wrong in ({"old_password": "x"}, {"new_password2": "y"}, {"new_password1": "1234", "new_password2": "1234"}):
        assert here.post("/account/", {**form, **wrong}).status_code == 200
        assert status(token) == 200
    assert here.post("/account/", form, follow=True).status_code == 200
    assert logged_in(here) and not logged_in(there) and status(token) == 401
    assert PersonalSession.objects.filter(user=examiner).count() == 1


def test_the_old_password_is_guessed_at_the_same_door(examiner: Any, settings: Any) -> None:
    settings.TM_LOGIN_TRIES = 3
    here = browser()
    form = {"new_password1": "green-battery-9", "new_password2": "green-battery-9"}
    for number in range(3):
        here.post("/account/", {**form, "old_password": f"guess-{number}"})
    answer = here.post("/account/", {**form, "old_password": PASSWORD})
    assert "Too many wrong passwords" in answer.content.decode()
    examiner.refresh_from_db()
    assert examiner.check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_an_old_database_keeps_no_plain_token_and_no_right_beside_the_roles(request: pytest.FixtureRequest) -> None:
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    request.addfinalizer(lambda: MigrationExecutor(connection).migrate(newest))
    MigrationExecutor(connection).migrate([("accounts", "0001_tokens_sessions_and_logins")])
    old = MigrationExecutor(connection).loader.project_state([("auth", "0012_alter_user_first_name_max_length")]).apps
    users = old.get_model("auth", "User").objects
    sly, boss = users.create(username="sly", is_staff=True), users.create(username="boss")
    sly.user_permissions.add(old.get_model("auth", "Permission").objects.first())
    boss.groups.add(old.get_model("auth", "Group").objects.create(name="administrator"))
    root = users.create(username="root", is_staff=True, is_superuser=True)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE authtoken_token (key varchar(40) PRIMARY KEY, user_id integer)")
        cursor.execute("INSERT INTO authtoken_token VALUES ('plain', %s)", [boss.pk])
    MigrationExecutor(connection).migrate(newest)
    assert "authtoken_token" not in connection.introspection.table_names()
    assert not users.get(pk=sly.pk).user_permissions.exists()
    assert dict(users.values_list("username", "is_staff")) == {"sly": False, "boss": True, "root": True}, root
