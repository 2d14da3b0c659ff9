"""Thin tasks: an id in, one service call."""

from typing import Any

from celery import shared_task

from search import concepts, questions, recovery, refining, services, snapshots, worker  # noqa: F401  the worker signals register on import
from search.answering import runner

recovery.every_few_seconds("recovering searches", services.sweep)


@shared_task
def run_searches() -> int:
    return runner.work()


@shared_task(expires=15)
def run_concepts(ticket: str, words: str, filters: dict[str, Any], top: int) -> None:
    # Not kept in a row: whoever asked waits for it, and asks again when nothing comes.
    limits = services.filters_from_json(filters)
    questions.answer(ticket, lambda: concepts.concept_search(text=words, filters=limits, top=top))


@shared_task(expires=15)
def run_refine(ticket: str, search_id: str, like: list[str], unlike: list[str], page: int) -> None:
    questions.answer(ticket, lambda: refining.refine(search_id=search_id, like=like, unlike=unlike, page=page))


@shared_task
def publish_snapshot() -> str:
    return snapshots.snapshot_publish()


@shared_task(expires=55)
def renew_snapshot() -> str | None:
    # Asked for again every minute for as long as it is needed.
    return snapshots.snapshot_renew()
