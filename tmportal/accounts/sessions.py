"""Sessions that know whose they are, so that all of a person's can be ended at once; the SESSION_ENGINE."""

from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class PersonalSession(AbstractBaseSession):
    # No way from an account to its sessions: a filter of the admin's list would spell their keys out.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")

    class Meta(AbstractBaseSession.Meta):
        verbose_name = "session"

    @classmethod
    def get_session_store_class(cls) -> type[DatabaseStore]:
        return SessionStore


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[PersonalSession]:
        return PersonalSession

    def create_model_instance(self, data: dict[str, Any]) -> PersonalSession:
        session = cast(PersonalSession, super().create_model_instance(data))
        session.user_id = data.get(SESSION_KEY)
        return session
