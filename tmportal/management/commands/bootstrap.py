"""`manage.py bootstrap`: data directory, keys, database, roles, schedule, and the demo register."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from tmportal import env
from tmportal.bootstrap import bootstrap
from tmportal.demo import demo_load


class Command(BaseCommand):
    help = "Make or update an installation in TM_DATA_DIR. Safe to repeat; `make run` calls it."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        demo = env.flag("TM_DEMO", True)
        try:
            bootstrap(demo=demo)
            if demo:
                demo_load(limit=env.number("TM_DEMO_LIMIT", 0, low=0, high=1_000_000) or None)
        except KeyboardInterrupt:
            sys.exit("\nStopped. The next start goes on from here.")
