"""Tokens of the API: shown once, kept as a hash, ended by time, by a new password and by "log out everywhere"."""

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from tmportal.accounts.models import AccessToken

KEPT_TOKENS = 100  # of one account; the oldest makes room
_CLOCKS_DIFFER = timedelta(minutes=5)


def token_create(user: Any) -> tuple[str, AccessToken]:
    """The token itself, which nobody can read again, and its row."""
    now = timezone.now()
    AccessToken.objects.filter(expires_at__lte=now).delete()
    spare = (
        AccessToken.objects.filter(user=user).order_by("-created_at").values_list("pk", flat=True)[KEPT_TOKENS - 1 :]
    )
    AccessToken.objects.filter(pk__in=list(spare)).delete()
    token = secrets.token_hex(32)
    row = AccessToken.objects.create(
        digest=_digest(token),
        user=user,
        password_state=user.get_session_auth_hash(),
        created_at=now,
        expires_at=now + timedelta(hours=settings.TM_TOKEN_HOURS),
    )
    return token, row


class HashedTokenAuthentication(TokenAuthentication):
    """`Authorization: Token ...`"""

    def authenticate_credentials(self, key: str) -> tuple[Any, AccessToken]:
        now = timezone.now()
        # One made while the clock ran ahead would otherwise last until then.
        valid = AccessToken.objects.filter(expires_at__gt=now, created_at__lte=now + _CLOCKS_DIFFER)
        row = valid.select_related("user").filter(digest=_digest(key)).first()
        if (
            row is None
            or not row.user.is_active
            or not constant_time_compare(row.password_state, row.user.get_session_auth_hash())
        ):
            raise AuthenticationFailed("This token is not valid, or no longer: ask for a new one at /api/token/.")
        return row.user, row


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
