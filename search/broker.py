"""The broker as the rooms see it: a client, and sending that answers instead of raising."""

import logging
from typing import Any

import redis
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from search.retrieval import progress

log = logging.getLogger(__name__)


def connect() -> redis.Redis:
    url = settings.CELERY_BROKER_URL.replace("redis+socket://", "unix://")
    # The library's own retries would make whoever asks wait for many seconds while the broker is away.
    return redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=2, retry=Retry(NoBackoff(), 0))


def send(task: Any, *arguments: Any) -> bool:
    """Queue a task with JSON arguments. False when the broker is away: the row waits, a sweep sends it again."""
    try:
        with progress.work("telling the broker", limit=progress.BROKER_SECONDS):
            task.apply_async(arguments, retry=False)
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning("%s%s waits, the broker does not answer: %s", task.name, arguments, error)
        return False
    return True
