"""How far the index is that is being built, told through the broker, and what searches wait for while there is none."""

import json
import logging
import threading
import time
from typing import Any

import redis

from search import heartbeat
from search.broker import connect
from search.models import Mark

log = logging.getLogger(__name__)

_KEY = "tmportal:renewal"
_KEEP_SECONDS = 120
"""Longer than a step takes: what was killed is forgotten."""
_FRESH_SECONDS = 2.0
_AGAIN = "The index of the register is being built again."


def tell(state: dict[str, Any] | None) -> None:
    """What `progress` shall say; None when nothing is built any more. A broker that is away is passed over."""
    try:
        with connect() as client:
            if state is None:
                client.delete(_KEY)
            else:
                client.set(_KEY, json.dumps(state), ex=_KEEP_SECONDS)
    except (redis.RedisError, OSError) as error:
        log.warning("the progress of the new snapshot was not told: %s", error)


def progress() -> dict[str, Any] | None:
    """{done, of, minutes} of the register that is being described, minutes left or None; or {failed}; None: no work.

    Raises redis.RedisError when the broker does not answer.
    """
    with connect() as client:
        told = client.get(_KEY)
    return json.loads(told) if told else None


def sentence(state: dict[str, Any] | None) -> str:
    """The progress in words; "" where nothing is built."""
    if not state:
        return ""
    if "failed" in state:
        return f"The index of the register could not be built: {state['failed']}"
    if state["done"] >= state["of"]:
        return _AGAIN
    left = state["minutes"]
    how_long = f"about {left} minute{'s' if left > 1 else ''} left" if left else "it has just begun"
    return f"The register is being described for this release: {state['done']:,} of {state['of']:,} marks, {how_long}."


class _Kept:
    """What is asked at every page and every poll is asked of the broker now and then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._said = ""

    def get(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._said = _waiting()
                except (redis.RedisError, OSError):
                    self._said = ""
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._said


def _waiting() -> str:
    workers = heartbeat.alive().values()
    if not workers or any(worker.get("snapshot") for worker in workers):
        return ""
    if not any(worker.get("waits") for worker in workers):
        return ""  # it is starting
    return sentence(progress()) or (_AGAIN if Mark.objects.exists() else "")


sentence_now = _Kept().get
"""Why no search is answered just now and for how long, as a sentence; "" while they are, or where nobody knows."""
