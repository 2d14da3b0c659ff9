"""What a worker does besides tasks: load the engine before it takes work, keep the service up, show that it gets on."""

import contextlib
import threading
from typing import Any

from celery.signals import task_postrun, task_prerun, worker_init, worker_ready, worker_shutting_down
from celery.worker.consumer import Consumer as CeleryConsumer

from search import heartbeat, recovery, telemetry
from search.answering import runner
from search.engine import LOADING_SECONDS, engine
from search.retrieval import progress
from search.upkeep import Upkeep

_threads: list[threading.Event] = []
_turns: list[progress.Work] = []
_upkeep = Upkeep(engine)
_tasks: dict[str, contextlib.ExitStack] = {}


class Consumer(CeleryConsumer):
    """Celery's loop that takes messages; it also turns while it waits for a broker that is away."""

    def ensure_connected(self, conn: Any) -> Any:
        connect = conn.ensure_connection

        def ensure_connection(errback: Any, max_retries: Any, callback: Any) -> Any:
            def turn() -> None:
                _turn()
                callback()

            return connect(errback, max_retries, callback=turn)

        conn.ensure_connection = ensure_connection
        return super().ensure_connected(conn)


def _turn() -> None:
    for turns in _turns:
        turns.step()


def _status() -> dict[str, Any]:
    return _upkeep.status() if heartbeat.role() == heartbeat.SEARCH_WORKER else {}


@worker_init.connect
def _begin(**_: Any) -> None:
    if not heartbeat.role():
        return
    _threads.append(heartbeat.start(_status, away=_turn))
    _threads.append(telemetry.share(f"{heartbeat.role()}:{heartbeat.WORKER}"))
    if heartbeat.role() == heartbeat.SEARCH_WORKER:
        with progress.work("loading the models", limit=LOADING_SECONDS):
            engine.warm()
            _upkeep.start()


@worker_ready.connect
def _watch_the_loop(sender: Any, **_: Any) -> None:
    if heartbeat.role():
        _turns.append(progress.loop("the loop that takes tasks"))
        sender.timer.call_repeatedly(1.0, _turn)
        _threads.append(recovery.start())


@task_prerun.connect
def _open(task_id: str, task: Any, **_: Any) -> None:
    """Every task is a piece of work; what may wait for longer than that has pieces of its own."""
    stack = contextlib.ExitStack()
    stack.enter_context(progress.work(f"{task.name} {task_id}"))
    _tasks[task_id] = stack


@task_postrun.connect
def _shut(task_id: str, **_: Any) -> None:
    if stack := _tasks.pop(task_id, None):
        stack.close()


@worker_shutting_down.connect
def _say_goodbye(**_: Any) -> None:
    runner.stop()
    _upkeep.stop()
    for stop in _threads:
        stop.set()
