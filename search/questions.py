"""Questions to a search worker that somebody waits for: asked and answered through the broker, kept nowhere."""

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

import redis

from search.broker import connect, send
from search.errors import Conflict, NotAllowed, NotThere, Refused, Unavailable

log = logging.getLogger(__name__)

_KEY = "tmportal:answers:"
_PATIENCE_SECONDS = 15
_KEEP_SECONDS = 60
_AWAY = "The broker does not answer just now. Try again in a moment."
_FAILED = "The service failed on this question. Try again; if it fails again, tell the administrator."
_REFUSALS: dict[str, type[Refused]] = {
    kind.code: kind for kind in (Refused, NotThere, NotAllowed, Conflict, Unavailable)
}


def ask(task: Any, *arguments: Any) -> dict[str, Any]:
    """The worker's answer to `task(ticket, *arguments)`; a refusal of the worker is raised here as it was there.

    Unavailable when nobody answers; the task should expire as soon as nobody waits any more.
    """
    ticket = uuid.uuid4().hex
    if not send(task, ticket, *arguments):
        raise Unavailable(_AWAY)
    try:
        with connect_patient() as client:
            found = client.blpop([_KEY + ticket], timeout=_PATIENCE_SECONDS)
    except redis.RedisError:
        raise Unavailable(_AWAY) from None
    if not found:
        raise Unavailable("No search worker answered. Try again in a moment.")
    told: dict[str, Any] = json.loads(found[1])
    if "error" in told:
        raise _REFUSALS.get(told.get("code", ""), Unavailable)(told["error"])
    return told


def answer(ticket: str, work: Callable[[], dict[str, Any]]) -> None:
    """What a worker does with a question: the answer, or the sentence why there is none, under the ticket."""
    try:
        told = work()
    except Refused as refusal:
        told = {"error": str(refusal), "code": refusal.code}
    except Exception:
        log.exception("the question %s failed", ticket)
        told = {"error": _FAILED, "code": Unavailable.code}
    with connect() as client:
        client.rpush(_KEY + ticket, json.dumps(told))
        client.expire(_KEY + ticket, _KEEP_SECONDS)


def connect_patient() -> redis.Redis:
    """A client that waits for as long as an answer may take."""
    client = connect()
    client.connection_pool.connection_kwargs["socket_timeout"] = _PATIENCE_SECONDS + 5
    return client
