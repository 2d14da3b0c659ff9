"""The composition root: settings, URLs, the Celery application, and the pages that join rooms."""

import os

# Before any OpenMP library loads: threads that wait for each other sleep instead of spinning. On two cores shared by
# web server, workers and beat, spinning made describing several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from tmportal.celery import app as celery_app

__all__ = ["celery_app"]
