"""What the management commands share: bad input ends in one sentence and exit status 1, never in a traceback."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from search.errors import Refused
from search.retrieval.imaging import ImageRefused


class SentenceCommand(BaseCommand):
    """A command that talks to people: refusals and a missing database become one sentence."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (Refused, ImageRefused) as refusal:
            raise CommandError(str(refusal)) from None
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database is not ready ({str(error).splitlines()[0]}): run `manage.py bootstrap` first."
            ) from None
