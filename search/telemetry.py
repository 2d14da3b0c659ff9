"""What a process counts and times, in Prometheus' terms, and how the portal learns of the counts of the others.

Every process keeps its own; workers put theirs into the broker, wherever they run, and the portal hands all of them out
(tmportal/metrics.py). A process that starts again begins at zero, as Prometheus expects of counters.
"""

import contextlib
import threading

import redis
from prometheus_client import Counter, Histogram, disable_created_metrics, generate_latest

from search.broker import connect

disable_created_metrics()

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Upper edges of the buckets of every histogram here, in seconds."""

SEARCHES = Counter("tmportal_searches", "Searches that ended, by how.", ["outcome"])
SEARCH_SECONDS = Histogram("tmportal_search_seconds", "Seconds from upload to done.", buckets=SECONDS)
STAGE_SECONDS = Histogram("tmportal_search_stage_seconds", "Seconds of each stage.", ["stage"], buckets=SECONDS)
TASKS = Counter("tmportal_tasks", "Tasks of the workers that ended.", ["task", "outcome"])
TASK_SECONDS = Histogram("tmportal_task_seconds", "Seconds a task took.", ["task"], buckets=SECONDS)

_PREFIX = "tmportal:metrics:"
_EVERY_SECONDS = 5.0
_KEPT_SECONDS = 30  # by then a process that says nothing more is gone


def share(process: str) -> threading.Event:
    """Put the counts of this process into the broker every few seconds, until the returned event is set."""
    stop = threading.Event()

    def run() -> None:
        client = connect()
        while not stop.wait(_EVERY_SECONDS):
            # Without a broker or a connection to it the next turn tells as much.
            with contextlib.suppress(redis.RedisError, OSError):
                client.set(_PREFIX + process, generate_latest(), ex=_KEPT_SECONDS)

    threading.Thread(target=run, name="telemetry", daemon=True).start()
    return stop


def shared() -> dict[str, str]:
    """Process -> its counts in the text format. Raises redis.RedisError when the broker does not answer."""
    with connect() as client:
        keys = [key.decode() for key in client.scan_iter(f"{_PREFIX}*", count=1000)]
        texts = client.mget(keys) if keys else []
    return {key.removeprefix(_PREFIX): text.decode() for key, text in zip(keys, texts, strict=True) if text}
