"""The composition root: settings, URLs, the Celery application, and the pages that join rooms."""

from tmportal.celery import app as celery_app

__all__ = ["celery_app"]
