"""Which search workers are alive: a key per worker in the broker that expires when the worker does."""

import contextlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

import redis

from search.broker import connect

_PREFIX = "tmportal:search-worker:"
_TTL_SECONDS = 6
_INTERVAL_SECONDS = 2.0
# Not the pid alone: a new container may well get the pid of the one that died.
WORKER = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


def alive() -> dict[str, dict[str, Any]]:
    """Live workers and what they serve. Raises redis.RedisError when the broker does not answer."""
    with connect() as client:
        keys = [key.decode() for key in client.scan_iter(f"{_PREFIX}*")]
        return {
            key.removeprefix(_PREFIX): json.loads(value)
            for key, value in zip(keys, client.mget(keys) if keys else [], strict=True)
            if value
        }


def start(status: Callable[[], dict[str, Any]]) -> threading.Event:
    """Beat in a daemon thread until the returned event is set; a broker that is away is tried again."""
    stop = threading.Event()

    def beat() -> None:
        client = connect()
        while not stop.is_set():
            # A broker that is away: the next beat tries again; health reports it meanwhile.
            with contextlib.suppress(redis.RedisError):
                client.set(_PREFIX + WORKER, json.dumps(status()), ex=_TTL_SECONDS)
            stop.wait(_INTERVAL_SECONDS)
        with contextlib.suppress(redis.RedisError):
            client.delete(_PREFIX + WORKER)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    return stop
