"""What the management commands share: bad input ends in one sentence and exit status 1, never in a traceback."""

import os
import pwd
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from search.errors import Refused
from search.retrieval.imaging import ImageRefused


def add_by(parser: ArgumentParser) -> None:
    """`--by NAME`, for commands that write into the history."""
    parser.add_argument("--by", metavar="NAME", help="your account, kept with the history; else the system's user name")


def who(by: str | None) -> str:
    """Who gave the command, for the history: an account of the portal, or the operating system's user.

    Refused for a name that is no account, and where the operating system knows no name.
    """
    if by is not None:
        account = get_user_model().objects.filter(username=by, is_active=True).first()
        if account is None:
            raise Refused(f"There is no account {by}: give the name of your own with --by.")
        return f"{account.get_username()} (command line)"
    try:
        name = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise Refused(
            "The operating system does not say who you are: give the name of your account with --by."
        ) from None
    return f"{name} (operating system user)"


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
