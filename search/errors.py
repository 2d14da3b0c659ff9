"""What a user or client can be told: each is one sentence, and says what to do."""

import errno
from typing import Any

_FULL = "The disk of the service is full: tell the administrator. Nothing was lost."
DISK_SENTENCES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "The disk of the service cannot be written to: tell the administrator. Nothing was lost.",
}
"""What is told when a file cannot be written, by the number of the error."""


class Refused(Exception):  # noqa: N818  an answer to the user, not a fault
    """The request cannot be carried out as it stands. fields: what a client may need beside the sentence.

    retry_after: seconds after which it may be asked again; 0 where that says nothing.
    """

    status = 400
    code = "refused"
    retry_after = 0

    def __init__(self, sentence: str, **fields: Any) -> None:
        super().__init__(sentence)
        self.fields = fields


class TooLarge(Refused):
    """More bytes than are taken."""

    status = 413
    code = "too_large"


class NotThere(Refused):
    """It does not exist, or not for this user."""

    status = 404
    code = "not_found"


class NotAllowed(Refused):
    """The user's role does not include this."""

    status = 403
    code = "not_allowed"


class Conflict(Refused):
    """Somebody or something else changed it first."""

    status = 409
    code = "conflict"


class Unavailable(Refused):
    """A part of the service does not answer just now."""

    status = 503
    code = "unavailable"


class TooMany(Refused):
    """This user has asked for more than one may."""

    status = 429
    code = "too_many"
    retry_after = 10


class Overloaded(Unavailable):
    """More is asked of the service than it can take."""

    code = "overloaded"
    retry_after = 10
