"""Makes an installation out of an empty data directory, and brings an old one up to date. Safe to repeat."""

import fcntl
import json
import os
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from search.retrieval.durable import make_folder, write_whole
from search.roles import ADMINISTRATOR, EXAMINER
from tmportal import static_files
from tmportal.accounts.services import role_set
from tmportal.backups.archive import ASIDE
from tmportal.backups.restoring import UNFINISHED
from tmportal.upgrade import refuse_newer, seal_vectors
from tuning import schedule

DEMO_LOGINS = "demo-logins.json"


def write_private(path: Path, text: str) -> None:
    """A file only its owner can read; whole and on disk when this returns."""
    write_whole(path, text, mode=0o600)


def ensure_data_dir() -> None:
    if (settings.TM_DATA_DIR / UNFINISHED).is_file():
        raise CommandError(
            f"A restore into {settings.TM_DATA_DIR} was cut off: run `manage.py restore DIR --replace` again. "
            f"What lay there before is kept in its folders {ASIDE}*."
        )
    for name in ("run", "log", "media", "static"):
        make_folder(settings.TM_DATA_DIR / name)


def ensure_secret_key() -> None:
    """Made once per data directory, unless the environment gives one."""
    path = settings.TM_DATA_DIR / "secret-key"
    if not path.exists() and not os.environ.get("TM_SECRET_KEY"):
        write_private(path, settings.SECRET_KEY)


def ensure_database() -> None:
    call_command("migrate", interactive=False, verbosity=0)


def ensure_roles() -> None:
    Group.objects.get_or_create(name=EXAMINER)
    administrators, _ = Group.objects.get_or_create(name=ADMINISTRATOR)
    wanted = Permission.objects.filter(
        content_type__app_label__in=["django_celery_beat", "search", "feedback", "tuning", "auth", "accounts", "admin"]
    )
    # The log and the history are looked at, never edited; users and the schedule are managed here.
    administrators.permissions.set([p for p in wanted if _sees(p) or _manages(p)])


def _sees(permission: Permission) -> bool:
    """Not what logs somebody in, nor what groups and permissions are: roles are all that an account has."""
    app, model = permission.content_type.app_label, permission.content_type.model
    hidden = app in ("auth", "accounts") and model not in ("user", "loginrecord")
    return permission.codename.startswith("view_") and not hidden


def _manages(permission: Permission) -> bool:
    app, model = permission.content_type.app_label, permission.content_type.model
    if app == "django_celery_beat" or (app, model) == ("search", "mark"):
        return True
    return (app, model) == ("auth", "user") and not permission.codename.startswith("delete_")


def ensure_schedule() -> None:
    """The default times; what an administrator has edited since stays as edited."""
    monday, _ = CrontabSchedule.objects.get_or_create(
        minute="0", hour="3", day_of_week="1", day_of_month="*", month_of_year="*", timezone=settings.TIME_ZONE
    )
    PeriodicTask.objects.get_or_create(
        name="Tuning",
        defaults={
            "task": schedule.TASK,
            "crontab": monday,
            "queue": "tuning",
            "description": "Reads what examiners did since the last run, decides per cluster, proves and promotes.",
        },
    )
    # The service keeps itself up by a clock of its own (search/recovery.py): no entry to switch off, no clock to set.
    PeriodicTask.objects.filter(task__in=["search.tasks.sweep", "tuning.tasks.recover"]).delete()


def ensure_demo_users() -> dict[str, dict[str, str]]:
    """Demo accounts with passwords made for this data directory. Returns role -> {name, password}."""
    path = settings.TM_DATA_DIR / DEMO_LOGINS
    if not path.exists():
        logins = {
            role: {"name": f"demo-{role}", "password": secrets.token_urlsafe(12)} for role in (EXAMINER, ADMINISTRATOR)
        }
        write_private(path, json.dumps(logins, indent=1))
    logins = json.loads(path.read_text())
    for role, login in logins.items():
        with transaction.atomic():  # with password and role, or not at all
            user, made = get_user_model().objects.get_or_create(username=login["name"])
            if made:
                user.set_password(login["password"])
                user.save()
                role_set(user=user, role=role)
    return logins


def bootstrap(*, demo: bool) -> dict[str, dict[str, str]]:
    """Everything an installation needs besides marks. Returns the demo logins, if any."""
    ensure_data_dir()
    with (settings.TM_DATA_DIR / "run" / "bootstrap.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two at once would make two keys and two passwords of one account
        refuse_newer()
        ensure_secret_key()
        ensure_database()
        seal_vectors()
        static_files.collect(settings.TM_DATA_DIR / "static")
        ensure_roles()
        ensure_schedule()
        return ensure_demo_users() if demo else {}
