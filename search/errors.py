"""What a user or client can be told: each is one sentence, and says what to do."""

from typing import Any


class Refused(Exception):  # noqa: N818  an answer to the user, not a fault
    """The request cannot be carried out as it stands. fields: what a client may need beside the sentence."""

    status = 400
    code = "refused"

    def __init__(self, sentence: str, **fields: Any) -> None:
        super().__init__(sentence)
        self.fields = fields


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
