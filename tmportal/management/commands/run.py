"""`manage.py run`: the whole service in one terminal. Ctrl-C stops all of it."""

import functools
import os
import signal
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tmportal import env, supervision
from tmportal.bootstrap import ensure_data_dir
from tmportal.data_dir import CannotStart, keep_private, must_be_free, only_one
from tmportal.program import die_with_parent


class Command(BaseCommand):
    help = "Set up the data directory, load the demo register if it is empty, and start every process."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        data_dir = settings.TM_DATA_DIR
        keep_private(data_dir)
        ensure_data_dir()
        with only_one(data_dir) as lock:
            must_be_free(settings.TM_BIND, settings.TM_PORT)
            # In a process of its own: encoder and index must not stay in the memory of this one.
            try:
                done = subprocess.run(
                    [sys.executable, "manage.py", "bootstrap"],
                    cwd=settings.BASE_DIR,
                    check=False,
                    pass_fds=[lock],  # it holds the directory as well
                    preexec_fn=functools.partial(die_with_parent, os.getpid(), signal.SIGKILL),
                )
            except KeyboardInterrupt:  # it reached that process too, which has said so
                sys.exit(130)
            if done.returncode:
                raise CannotStart(done.returncode)
            announce = [f"portal http://{env.in_address(settings.TM_BIND)}:{settings.TM_PORT}"]
            # Before anything answers: whoever waits for the portal to be healthy finds them printed.
            for line in _logins() if env.flag("TM_DEMO", True) else []:
                self.stdout.write(line)
            self.stdout.write(f"Starting (logs in {data_dir / 'log'}); Ctrl-C stops everything.")
            self.stdout.flush()
            code = supervision.serve(data_dir, lock, announce)
        self.stdout.write(f"Stopped after {time.monotonic() - began:.0f} s.")
        if code:
            sys.exit(code)


def _logins() -> list[str]:
    import json

    from tmportal.bootstrap import DEMO_LOGINS

    path = settings.TM_DATA_DIR / DEMO_LOGINS
    if not path.is_file() or os.environ.get("TM_QUIET_LOGINS"):
        return []
    return [f"login {role} {login['name']} {login['password']}" for role, login in json.loads(path.read_text()).items()]
