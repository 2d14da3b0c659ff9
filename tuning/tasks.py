"""Thin tasks: an id in, one service call."""

from celery import shared_task

from search import recovery
from tuning import services

recovery.every_few_seconds("recovering tuning runs", services.recover)


@shared_task
def scheduled() -> str:
    return services.run_scheduled()


@shared_task
def run(run_id: int) -> str:
    return services.run_carry_out(run_id=run_id)
