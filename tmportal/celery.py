"""The Celery application. Tasks live in the rooms; queues: search, questions, ingest, tuning."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tmportal.settings")

app = Celery("tmportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["search", "tuning"])
