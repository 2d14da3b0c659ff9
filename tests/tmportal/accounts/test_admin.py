"""What an administrator can do in the records, and what no form that he forges gets him."""

import json
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from rest_framework.test import APIClient

from tests.factories import done_search
from tmportal.accounts.models import AccessToken, PersonalSession
from tmportal.accounts.tokens import token_create
from tmportal.bootstrap import ensure_roles, ensure_schedule
from tuning.schedule import TASK

pytestmark = pytest.mark.django_db
EVERYTHING = {"is_superuser": "on", "is_staff": "on", "user_permissions": ["1", "2", "3"], "groups": ["1", "2", "3"],
              "password": "pbkdf2_sha256$1$x$x", "is_active": "on"}  # fmt: skip


@pytest.fixture
def records(client: Client, administrator: Any) -> Client:
    ensure_roles()
    client.force_login(administrator)
    return client


@pytest.fixture
def root(db: Any) -> Any:
    return User.objects.create_superuser("root", password="a-long-password-9")


def rights(user: Any) -> tuple[Any, ...]:
    user = User.objects.get(pk=user.pk)
    direct = list(user.user_permissions.values_list("pk", flat=True))
    return user.is_superuser, user.is_staff, direct, list(user.groups.values_list("name", flat=True)), user.password


def change(client: Client, user: Any, **fields: Any) -> Any:
    return client.post(f"/admin/auth/user/{user.pk}/change/", {"username": user.username, "is_active": "on", **fields})


def test_nobody_makes_himself_or_others_more_than_an_administrator(
    records: Client, administrator: Any, examiner: Any
) -> None:
    Group.objects.create(name="everything").permissions.set(Permission.objects.all())
    forged = {**EVERYTHING, "groups": [str(pk) for pk in Group.objects.values_list("pk", flat=True)]}
    own = rights(administrator)
    change(records, administrator, **forged, role="administrator")
    assert rights(administrator) == own
    before = rights(examiner)
    assert change(records, examiner, **forged, role="examiner").status_code == 302
    assert rights(examiner) == before
    assert change(records, examiner, role="superuser").status_code == 200  # the form again, with an error
    assert rights(examiner) == before
    new = {"username": "new", "usable_password": "true", "password1": "green-battery-9", "password2": "green-battery-9"}
    assert records.post("/admin/auth/user/add/", {**new, **forged, "role": "examiner"}).status_code == 302
    assert rights(User.objects.get(username="new"))[:4] == (False, False, [], ["examiner"])


def test_the_role_is_what_an_account_may_do(records: Client, examiner: Any) -> None:
    for role, staff in (("administrator", True), ("examiner", False), ("", False), ("administrator", True)):
        assert change(records, examiner, role=role).status_code == 302
        assert rights(examiner)[1:4] == (staff, [], [role] if role else [])
    other = Client()
    other.force_login(examiner)
    assert other.get("/admin/").status_code == 200 and other.get("/tuning/").status_code == 200
    change(records, examiner, role="examiner")
    assert other.get("/admin/", follow=True).status_code == 403 and other.get("/tuning/").status_code == 403


def test_nobody_takes_away_his_own_role_or_account(records: Client, administrator: Any) -> None:
    records.post(f"/admin/auth/user/{administrator.pk}/change/", {"username": "ada", "role": ""})
    administrator.refresh_from_db()
    assert administrator.is_active and rights(administrator)[3] == ["administrator"]


def test_a_superuser_is_out_of_reach(records: Client, root: Any) -> None:
    before = rights(root)
    assert "root" not in records.get("/admin/auth/user/").content.decode()
    forms = {"change": {"username": "mine", "is_active": "on"},
             "password": {"password1": "green-battery-9", "password2": "green-battery-9", "usable_password": "true"},
             "delete": {"post": "yes"}, "history": {}}  # fmt: skip
    for page, form in forms.items():
        for answer in (records.get(f"/admin/auth/user/{root.pk}/{page}/"),
                       records.post(f"/admin/auth/user/{root.pk}/{page}/", form)):  # fmt: skip
            assert answer.status_code in (302, 403, 404), page
    token_create(root)
    records.post("/admin/auth/user/", {"action": "end_sessions", "_selected_action": [root.pk]})
    records.post("/admin/auth/user/", {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"})
    assert rights(root) == before and AccessToken.objects.filter(user=root).exists()
    assert User.objects.get(pk=root.pk).username == "root"


def test_what_gives_rights_or_logs_in_is_not_in_the_records(records: Client, root: Any, examiner: Any) -> None:
    token_create(examiner)
    shown = {model._meta.label for model in admin.site._registry}
    assert not shown & {"auth.Group", "auth.Permission", "accounts.AccessToken", "accounts.PersonalSession",
                        "accounts.LoginCount", "authtoken.Token", "sessions.Session"}  # fmt: skip
    for address in (
        "auth/group/",
        "auth/permission/",
        "authtoken/token/",
        "accounts/accesstoken/",
        "sessions/session/",
    ):
        assert records.get(f"/admin/{address}").status_code == 404
    group = Group.objects.get(name="administrator")
    allowed = set(group.permissions.values_list("content_type__app_label", "codename"))
    assert not {name for app, name in allowed if app == "auth"} - {"view_user", "add_user", "change_user"}
    assert not {name for app, name in allowed if app == "accounts"} - {"view_loginrecord"}


@pytest.mark.parametrize(
    "question",
    ["auth/user/?password__startswith=p", "auth/user/?access_tokens__digest__startswith=a",
     "auth/user/?sessions__session_key__startswith=a", "auth/user/?personalsession__session_key__startswith=a",
     "auth/user/?accesstoken__pk__startswith=a", "search/search/?owner__password__startswith=p",
     "feedback/selection/?by__password__startswith=p", "accounts/loginrecord/?user__password__startswith=p"],
)  # fmt: skip
def test_no_filter_spells_out_what_is_hidden(records: Client, examiner: Any, question: str) -> None:
    done_search(examiner, scores=[0.9], threshold=0.8)
    assert records.get(f"/admin/{question}").status_code in (302, 400)


@pytest.mark.parametrize("how", ["password", "deactivate", "action"])
def test_an_administrator_ends_what_somebody_is_logged_in_with(records: Client, examiner: Any, how: str) -> None:
    token, _ = token_create(examiner)
    there = Client()
    there.force_login(examiner)
    person = f"/admin/auth/user/{examiner.pk}"
    if how == "password":
        new = {"password1": "green-battery-9", "password2": "green-battery-9", "usable_password": "true"}
        records.post(f"{person}/password/", new)
    elif how == "deactivate":
        records.post(f"{person}/change/", {"username": "erin", "role": "examiner"})
        change(records, examiner, role="examiner")  # again active: what it had stays ended
    else:
        records.post("/admin/auth/user/", {"action": "end_sessions", "_selected_action": [examiner.pk]})
    assert there.get("/").status_code == 302
    assert APIClient().get("/api/searches/", headers={"authorization": f"Token {token}"}).status_code == 401
    assert not AccessToken.objects.exists() and not PersonalSession.objects.filter(user=examiner).exists()
    assert "erin" in records.get("/admin/admin/logentry/").content.decode()


def test_the_schedule_takes_only_the_services_own_tasks(records: Client) -> None:
    ensure_schedule()
    crontab = CrontabSchedule.objects.create(minute="0")
    form = {"name": "Mine", "task": TASK, "enabled": "on", "crontab": crontab.pk}
    for task in ("celery.backend_cleanup", "os.system", "tuning.tasks.run", "search.tasks.run_search", ""):
        answer = records.post("/admin/django_celery_beat/periodictask/add/", {**form, "task": task})
        assert answer.status_code == 200 and not PeriodicTask.objects.filter(name="Mine").exists(), task
    forged = {"args": json.dumps([1]), "kwargs": json.dumps({"a": 1}), "queue": "search", "headers": '{"a": 1}',
              "regtask": "celery.backend_cleanup", "exchange": "x", "routing_key": "y"}  # fmt: skip
    assert records.post("/admin/django_celery_beat/periodictask/add/", {**form, **forged}).status_code == 302
    made = PeriodicTask.objects.get(name="Mine")
    assert (made.task, made.args, made.kwargs, made.queue, made.headers) == (form["task"], "[]", "{}", None, "{}")
    weekly = PeriodicTask.objects.get(name="Tuning")
    page = f"/admin/django_celery_beat/periodictask/{weekly.pk}/change/"
    assert records.get(page).status_code == 200
    assert records.post(page, {**form, **forged, "name": "Tuning"}).status_code == 302
    weekly.refresh_from_db()
    assert (weekly.task, weekly.args, weekly.queue, weekly.crontab) == (TASK, "[]", "tuning", crontab)


def test_a_row_that_names_a_strange_task_is_not_run(records: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import Task

    ran = []
    monkeypatch.setattr(Task, "apply_async", lambda self, *args, **more: ran.append(self.name))
    often = IntervalSchedule.objects.create(every=5, period="seconds")
    rows = [PeriodicTask.objects.create(name=name, task=name, interval=often, args=args)
            for name, args in ((TASK, "[]"), ("celery.backend_cleanup", "[]"),
                               ("search.tasks.run_search", '["x"]'))]  # fmt: skip
    form = {"action": "run_tasks", "_selected_action": [row.pk for row in rows]}
    assert records.post("/admin/django_celery_beat/periodictask/", form).status_code == 302
    assert ran == [TASK]


def test_no_schedule_floods_or_stops_the_clockwork(records: Client) -> None:
    add = "/admin/django_celery_beat/intervalschedule/add/"
    none = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    refused = records.post(add, {"every": "1", "period": "microseconds", **none})
    assert "The shortest interval is one second." in refused.content.decode()
    assert records.post(add, {"every": "1", "period": "seconds", **none}).status_code == 302
    assert records.get("/admin/django_celery_beat/solarschedule/add/").status_code == 404
    assert not SolarSchedule.objects.exists()
