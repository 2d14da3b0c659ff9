"""Two roles: examiners search and report; administrators also see everything and govern the tuning."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

EXAMINER = "examiner"
ADMINISTRATOR = "administrator"


def _roles(user: Any) -> set[str]:
    if not hasattr(user, "_role_names"):  # one query per request
        user._role_names = set(user.groups.values_list("name", flat=True))
    return user._role_names


def is_administrator(user: Any) -> bool:
    return bool(user.is_authenticated and (user.is_superuser or ADMINISTRATOR in _roles(user)))


def is_examiner(user: Any) -> bool:
    return bool(user.is_authenticated and (is_administrator(user) or EXAMINER in _roles(user)))


class IsExaminer(BasePermission):
    message = "Your account has no role here: ask an administrator to make you an examiner."

    def has_permission(self, request: Request, view: Any) -> bool:
        return is_examiner(request.user)


class IsAdministrator(BasePermission):
    message = "This is for administrators."

    def has_permission(self, request: Request, view: Any) -> bool:
        return is_administrator(request.user)
