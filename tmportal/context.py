"""What every page's template knows."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from search.roles import is_administrator, is_examiner
from tmportal.accounts.models import LoginRecord


def locked_logins() -> int:
    """Accounts and addresses that wrong passwords have locked in the last day."""
    return LoginRecord.objects.filter(locked_at__gt=timezone.now() - timedelta(days=1)).count()


def portal(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    return {
        "is_administrator": user is not None and is_administrator(user),
        "is_examiner": user is not None and is_examiner(user),
        "locked_logins": locked_logins,  # called where a page shows it
    }
