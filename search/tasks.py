"""Thin tasks: an id in, one service call."""

from celery import shared_task

from search import growth, services, worker  # noqa: F401  the worker signals register on import


@shared_task
def run_search(search_id: str) -> str:
    return services.search_run(search_id=search_id)


@shared_task
def publish_snapshot() -> str:
    return growth.snapshot_publish()


@shared_task
def sweep() -> dict[str, int]:
    return services.sweep()
