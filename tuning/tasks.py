"""Thin tasks: an id in, one service call."""

from celery import shared_task

from tuning import services


@shared_task
def scheduled() -> str:
    return services.run_scheduled()


@shared_task
def run(run_id: int) -> str:
    return services.run_carry_out(run_id=run_id)


@shared_task
def recover() -> dict[str, int]:
    return services.recover()
