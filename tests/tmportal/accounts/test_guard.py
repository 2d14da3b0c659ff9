"""The door: how many wrong passwords it takes, whom the lock holds off and whom not, and what is recorded of it."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from tmportal.accounts import guard
from tmportal.accounts.models import LoginCount, LoginRecord
from tmportal.bootstrap import ensure_roles

pytestmark = pytest.mark.django_db
RIGHT, WRONG = "a-long-password-9", "a-guess"
ROOT = Path(__file__).resolve().parents[3]


def page(address: str, name: str, password: str, **more: Any) -> Any:
    return Client(REMOTE_ADDR=address).post("/login/", {"username": name, "password": password}, **more)


def token(address: str, name: str, password: str, **more: Any) -> Any:
    sent = {"username": name, "password": password}
    return APIClient(REMOTE_ADDR=address).post("/api/token/", sent, format="json", **more)


def let_in(answer: Any) -> bool:
    return answer.status_code in (200, 302) and (answer.status_code == 302 or "token" in answer.json())


@pytest.fixture(autouse=True)
def three_tries(settings: Any) -> None:
    settings.TM_LOGIN_TRIES, settings.TM_LOGIN_TRIES_ADDRESS, settings.TM_LOGIN_LOCK_MINUTES = 3, 6, 15


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Sets the service's clock so far from the real one."""
    real = timezone.now

    def to(shift: timedelta) -> None:
        monkeypatch.setattr(timezone, "now", lambda: real() + shift)

    return to


@pytest.mark.parametrize("door", [page, token])
def test_wrong_passwords_lock_the_account_and_the_lock_ends_by_itself(
    examiner: Any, door: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        assert door(f"10.0.0.{number}", "erin", WRONG).status_code in (200, 400)
    with caplog.at_level(logging.WARNING):
        refused = door("10.0.0.9", "erin", RIGHT)
    assert refused.status_code == 429 and 800 < int(refused.headers["Retry-After"]) <= 900
    assert "wait 15 minutes and try again, or ask an administrator" in refused.content.decode()
    clock(timedelta(minutes=14))
    assert door("10.0.0.9", "erin", RIGHT).status_code == 429
    clock(timedelta(minutes=15, seconds=1))
    assert let_in(door("10.0.0.9", "erin", RIGHT))


def test_the_admin_has_no_door_of_its_own(client: Client, examiner: Any) -> None:
    for method in (client.get, client.post):
        assert method("/admin/login/?next=/admin/auth/user/").headers["Location"] == (
            "/login/?next=%2Fadmin%2Fauth%2Fuser%2F"
        )
    client.force_login(examiner)
    assert client.get("/admin/", follow=True).status_code == 403


def test_one_address_that_tries_many_accounts_is_locked(make_user: Any) -> None:
    for name in ("a1", "a2", "a3"):
        make_user(name)
        assert [token("10.0.0.1", name, WRONG).status_code for _ in range(2)] == [400, 400]
    assert token("10.0.0.1", "a1", RIGHT).status_code == 429
    assert let_in(token("10.0.0.2", "a1", RIGHT))


def test_strangers_who_lock_an_account_do_not_lock_out_its_holder(examiner: Any) -> None:
    assert let_in(token("10.0.0.1", "erin", RIGHT))
    for number in range(5):
        token(f"10.0.1.{number}", "erin", WRONG)
    assert token("10.0.1.9", "erin", RIGHT).status_code == 429
    assert let_in(token("10.0.0.1", "erin", RIGHT)) and let_in(page("10.0.0.1", "erin", RIGHT))


def test_colleagues_who_lock_the_address_do_not_lock_out_who_is_known_there(make_user: Any) -> None:
    make_user("ann"), make_user("bob")
    assert let_in(token("10.0.0.1", "ann", RIGHT))
    for number in range(6):
        token("10.0.0.1", f"nobody-{number}", WRONG)
    assert token("10.0.0.1", "bob", RIGHT).status_code == 429 and let_in(token("10.0.0.1", "ann", RIGHT))
    assert [token("10.0.0.1", "ann", WRONG).status_code for _ in range(4)] == [400, 400, 400, 429]


def test_an_own_account_does_not_buy_more_guesses_at_others(make_user: Any) -> None:
    make_user("eve"), make_user("victim")
    asked = []
    for number in range(12):
        asked.append(token("10.0.0.1", f"name-{number}", WRONG).status_code)
        token("10.0.0.1", "eve", RIGHT)
    assert asked == [400] * 6 + [429] * 6


def test_a_forged_header_is_not_an_address(examiner: Any, settings: Any) -> None:
    for name in ("10.0.0.1", "a", "b", "c", "d", "e", "f"):
        token("10.0.0.1", f"x{name}", WRONG, headers={"x-forwarded-for": f"{name}, 1.2.3.4"})
    answer = token("10.0.0.1", "erin", RIGHT, headers={"x-forwarded-for": "99.9.9.9", "x-real-ip": "9.9.9.9"})
    assert answer.status_code == 429
    assert set(LoginRecord.objects.values_list("address", flat=True)) == {"10.0.0.1"}


def test_all_spellings_of_a_name_are_one_account(examiner: Any) -> None:
    spellings = ["ERIN", "ｅｒｉｎ", " erin "]
    assert [token(f"10.0.0.{i}", name, WRONG).status_code for i, name in enumerate(spellings)] == [400] * 3
    assert token("10.0.0.9", "erin", RIGHT).status_code == 429


@pytest.mark.parametrize(
    ("given", "counted"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
     ("fe80::1%eth0", "fe80::/64"), ("", "local"), ("unix:", "local")],
)  # fmt: skip
def test_what_counts_as_one_address(given: str, counted: str) -> None:
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = given
    assert guard.address_of(request) == counted and guard.address_of(None) == "local"


def test_guesses_that_overlap_are_counted_before_they_are_checked(
    examiner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each check of a password begins the next guess: none has failed yet when the others ask."""
    checked = []
    real = ModelBackend.authenticate

    def check(self: Any, request: Any, **credentials: Any) -> Any:
        checked.append(credentials["password"])
        if len(checked) < 20:
            token("10.0.0.1", "erin", f"guess-{len(checked)}")
        return real(self, request, **credentials)

    monkeypatch.setattr(ModelBackend, "authenticate", check)
    token("10.0.0.1", "erin", "guess-0")
    assert len(checked) == 3


def test_guesses_of_many_threads_on_a_real_database_pass_no_count(tmp_path: Path) -> None:
    """Twelve at once, of one account from one address, on a database on disk: three are looked at."""
    code = """
import django; django.setup()
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from django.core.management import call_command
from django.http import HttpRequest
from django.contrib.auth import authenticate
call_command("migrate", "accounts", verbosity=0)
from django.contrib.auth.models import User
from tmportal.accounts.guard import LoginLocked
from tmportal.accounts.models import LoginCount, LoginRecord
User.objects.create_user("erin", password="x")
together = Barrier(12)
def guess(number):
    request = HttpRequest(); request.META["REMOTE_ADDR"] = "10.0.0.1"
    together.wait()
    try:
        return str(authenticate(request, username="erin", password=str(number)))
    except LoginLocked:
        return "locked"
with ThreadPoolExecutor(12) as threads:
    found = Counter(threads.map(guess, range(12)))
record = LoginRecord.objects.get()
assert found == {"None": 3, "locked": 9} and (record.failures, record.refused) == (3, 9), (found, vars(record))
assert record.locked_at
"""
    env = {**os.environ, "TM_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tmportal.settings"}
    env |= {"TM_LOGIN_TRIES": "3"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_right_password_gives_its_place_back(examiner: Any) -> None:
    for _ in range(10):
        assert let_in(token("10.0.0.1", "erin", RIGHT))
    for _ in range(2):
        token("10.0.0.1", "erin", WRONG)
    assert let_in(token("10.0.0.1", "erin", RIGHT))  # and forgets the wrong ones here
    for _ in range(2):
        token("10.0.0.1", "erin", WRONG)
    assert let_in(token("10.0.0.1", "erin", RIGHT))
    assert set(LoginCount.objects.values_list("tries", flat=True)) <= {0}


def test_a_clock_that_runs_ahead_and_comes_back_leaves_no_lock_behind(examiner: Any, clock: Any) -> None:
    clock(timedelta(days=40))
    for _ in range(3):
        token("10.0.0.1", "erin", WRONG)
    assert token("10.0.0.1", "erin", RIGHT).status_code == 429
    clock(timedelta(0))
    assert let_in(token("10.0.0.1", "erin", RIGHT))


def test_neither_words_nor_work_tell_whether_an_account_exists(examiner: Any, make_user: Any, settings: Any) -> None:
    gone = make_user("gone")
    gone.is_active = False
    gone.save()
    told, worked = [], []
    for name, password in (("erin", WRONG), ("nobody", WRONG), ("gone", WRONG), ("gone", RIGHT)):
        for door, address in ((page, "10.0.0.1"), (token, "10.0.0.2")):
            token(address, name + "x", WRONG)  # the address has its row
            LoginCount.objects.all().delete()
            LoginRecord.objects.exclude(user=None).delete()
            guard._record(name, address)
            with CaptureQueriesContext(
                connection,
            ) as asked:
                answer = door(address, name, password)
            text = answer.content.decode().replace(name, "NAME")
            told.append(("do not match an account" in text, answer.status_code, door))
            worked.append((door, len(asked)))
    assert all(words for words, _, _ in told)
    assert len(set(told)) == len(set(worked)) == 2, worked  # one for each door


def test_the_record_says_who_where_when_and_how_often(examiner: Any) -> None:
    for _ in range(5):
        token("10.0.0.1", "erin", WRONG)
    token("10.0.0.2", "my-secret-password", WRONG)
    record = LoginRecord.objects.get(user=examiner)
    assert (record.address, record.failures, record.refused) == ("10.0.0.1", 3, 2)
    assert record.first_at < record.locked_at < record.last_at and record.succeeded_at is None
    unknown = LoginRecord.objects.get(user=None)
    assert unknown.failures == 1 and "secret" not in str(unknown)


def test_a_lock_is_told_in_the_log_on_the_console_and_in_the_records(
    client: Client, examiner: Any, administrator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ensure_roles()
    client.force_login(administrator)
    assert "locked after wrong" not in client.get("/tuning/").content.decode()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            token("10.0.0.1", "erin", WRONG)
    assert [r.getMessage() for r in caplog.records if "locked" in r.getMessage()] == [
        "log-in locked for 15 minutes: erin from 10.0.0.1"
    ]
    for page_of_his in ("/tuning/", "/status/"):
        assert "locked after wrong" in client.get(page_of_his).content.decode()
    assert "locked after wrong passwords in the last day" in client.get("/admin/").content.decode()
    rows = client.get("/admin/accounts/loginrecord/?o=-7").content.decode()
    assert "erin" in rows and "10.0.0.1" in rows
    client.force_login(examiner)
    assert "locked after wrong" not in client.get("/").content.decode()


def test_an_administrator_unlocks_an_account_or_an_address(client: Client, examiner: Any, administrator: Any) -> None:
    ensure_roles()
    client.force_login(administrator)
    for action, model, ids in (
        ("unlock", "auth/user", [examiner.pk]),
        ("unlock", "accounts/loginrecord", None),
    ):
        for _ in range(3):
            token("10.0.0.1", "erin", WRONG)
        assert token("10.0.0.2", "erin", RIGHT).status_code == 429
        chosen = ids or list(LoginRecord.objects.filter(user=examiner).values_list("pk", flat=True))
        client.post(f"/admin/{model}/", {"action": action, "_selected_action": chosen})
        assert let_in(token("10.0.0.2", "erin", RIGHT))
        LoginRecord.objects.all().delete()


def test_what_strangers_can_make_the_service_write_is_bounded(
    examiner: Any, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(guard, "KEPT_RECORDS", 5)
    assert let_in(token("10.9.9.9", "erin", RIGHT))
    for number in range(12):
        token(f"10.0.0.{number}", f"name-{number}", WRONG)
    assert LoginRecord.objects.count() == 5
    assert LoginRecord.objects.filter(user=examiner).exists()  # where somebody is known is not pushed out
    clock(timedelta(minutes=16))
    token("10.0.0.99", "one-more", WRONG)
    assert LoginCount.objects.count() == 2  # of this try; the others are over

    for _ in range(3):
        token("10.0.0.99", "one-more", WRONG)
    LoginRecord.objects.filter(address="10.0.0.99").update(refused=10_000)
    with CaptureQueriesContext(connection) as asked:
        for _ in range(100):
            assert token("10.0.0.99", "one-more", WRONG).status_code == 429
    writes = [query for query in asked if query["sql"].startswith(("UPDATE", "INSERT", "DELETE"))]
    assert len(writes) < 12
    assert LoginRecord.objects.get(address="10.0.0.99").refused <= 10_000 + 101 * len(writes)
