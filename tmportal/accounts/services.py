"""Roles, and the end of everything that somebody is logged in with."""

from typing import Any

from django.contrib.auth.models import Group

from search.roles import ADMINISTRATOR, EXAMINER
from tmportal.accounts.guard import login_unlock
from tmportal.accounts.models import AccessToken, PersonalSession


def log_out_everywhere(user: Any) -> None:
    """Every session and every token of this account, wherever it is logged in."""
    AccessToken.objects.filter(user=user).delete()
    PersonalSession.objects.filter(user=user).delete()


def role_set(*, user: Any, role: str) -> None:
    """EXAMINER, ADMINISTRATOR or "" for none; the records at /admin/ go with the role."""
    roles = Group.objects.filter(name__in=[EXAMINER, ADMINISTRATOR])
    user.groups.remove(*roles.exclude(name=role))
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    staff = role == ADMINISTRATOR or user.is_superuser
    if user.is_staff != staff:
        user.is_staff = staff
        user.save(update_fields=["is_staff"])


def password_changed(user: Any) -> None:
    """Sessions and tokens made with the old password end; so do the counts of wrong tries."""
    log_out_everywhere(user)
    login_unlock(name=user.get_username())
