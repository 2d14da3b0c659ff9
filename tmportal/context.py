"""What every page's template knows."""

from typing import Any

from django.http import HttpRequest

from search.roles import is_administrator, is_examiner


def portal(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    return {
        "is_administrator": user is not None and is_administrator(user),
        "is_examiner": user is not None and is_examiner(user),
    }
