"""Runs broker, workers, beat and web server together under supervisord, which restarts what dies."""

import configparser
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from django.conf import settings

from tmportal import broker, env
from tmportal.program import die_with_parent
from tmportal.watchdog import Watchdog

_READY_SECONDS = 300
_ONE_CORE = ',OMP_NUM_THREADS="1",OPENBLAS_NUM_THREADS="1"'
"""Of one operation of the engine: a batch spreads over the cores (retrieval.describe), and threads that wait for each
other within an operation stand still whenever the web server needs a core."""
_GIVES_BACK = {
    "web": ',MALLOC_MMAP_THRESHOLD_="1048576",MALLOC_ARENA_MAX="2"',
    "search-worker": ',MALLOC_MMAP_THRESHOLD_="16777216"',
}
"""Blocks from this size on go back to the system when they are freed. By itself the allocator learns from the first
large upload to keep such blocks, in as many places as there are threads: 374 MB after 24 uploads of 20 MB."""

PROGRAM = Path(__file__).with_name("program.py")


def programs(data_dir: Path) -> dict[str, list[str]]:
    """Name -> command line, in the order of starting."""
    python = sys.executable
    celery = [python, "-m", "celery", "--app", "tmportal", "--quiet"]
    found = {"broker": broker.command(data_dir)} if broker.embedded() else {}
    worker = [*celery, "worker", "--loglevel", "WARNING", "--without-mingle", "--without-gossip", "-P", "threads"]
    found |= {
        # Searches keep one thread at most (search.queue.Runner), so questions always find one.
        "search-worker": [*worker, "-Q", "search,questions", "-c", "4", "-n", "search@%%h"],
        "tuning-worker": [*worker, "-Q", "tuning,ingest", "-c", "1", "-n", "tuning@%%h"],
        "beat": [*celery, "beat", "--loglevel", "WARNING", "--pidfile", ""],
        "web": [python, "-m", "tmportal.web"],
    }
    # Every program is one process, its tasks are threads: it shows whether it gets on.
    before = [python, "-I", "-S", str(PROGRAM)]
    return {name: [*before, name, str(data_dir / "run"), *command] for name, command in found.items()}


def supervisord_config(data_dir: Path) -> configparser.RawConfigParser:
    config = configparser.RawConfigParser()
    config["supervisord"] = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": str(data_dir / "log" / "supervisord.log"),
        "pidfile": str(data_dir / "run" / "supervisord.pid"),
        "childlogdir": str(data_dir / "log"),
        "directory": str(settings.BASE_DIR),
        "umask": "077",
    }
    if os.geteuid() == 0:
        config["supervisord"]["user"] = "root"
    found = programs(data_dir)
    for name, command in found.items():
        config[f"program:{name}"] = {
            "command": " ".join(_quoted(part) for part in command),
            "autorestart": "true",
            "startsecs": "2",
            "startretries": "1000000",  # a full disk or a lost network may take a while; keep trying
            "stopwaitsecs": "10",
            "stopasgroup": "false" if "worker" in name else "true",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": str(data_dir / "log" / f"{name}.log"),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "3",
            "environment": f'TM_ROLE="{name}"'
            + (_ONE_CORE if name == "search-worker" else "")
            + _GIVES_BACK.get(name, ""),
            "priority": "1" if name == "broker" else "10",
        }
    # One group: they stop together, and the broker last.
    config["group:tmportal"] = {"programs": ",".join(name for name in found if name != "broker"), "priority": "10"}
    return config


def _quoted(part: str) -> str:
    return f'"{part}"' if part == "" or any(c in part for c in " \t;'") else part


def readiness() -> tuple[bool, str]:
    """Whether searches are answered; and how far the register is, where they wait until it is described anew."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.TM_BIND, settings.TM_BIND)  # noqa: S104
    try:
        address = f"http://{env.in_address(host)}:{settings.TM_PORT}/api/health/ready/"
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200), ""
    except urllib.error.HTTPError as answer:
        with contextlib.suppress(ValueError, KeyError):
            told = json.load(answer)
            return False, told["parts"]["snapshot"] if told["progress"] else ""
    except (urllib.error.URLError, OSError):
        pass
    return False, ""


def serve(data_dir: Path, lock: int, announce: list[str]) -> int:
    """Run until Ctrl-C or SIGTERM; print `announce` once searching works. Returns the exit status."""
    path = data_dir / "run" / "supervisord.conf"
    with path.open("w") as file:
        supervisord_config(data_dir).write(file)
    # Ctrl-C reaches the whole process group: supervisord stops the children, this process waits for it.
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        watching.set()
        with contextlib.suppress(ProcessLookupError):
            supervisor.send_signal(signal.SIGTERM)

    # When this process is killed outright, the supervisor still stops everything in good order.
    supervisor = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)],
        pass_fds=[lock],
        start_new_session=True,
        preexec_fn=functools.partial(die_with_parent, os.getpid(), signal.SIGTERM),  # noqa: PLW1509  one thread yet
    )
    watching = Watchdog(data_dir / "run", supervisor.pid, list(programs(data_dir)), _say).start()
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    started = time.monotonic()
    said = waits = False
    while supervisor.poll() is None:
        if not said and not stopping:
            ready, building = readiness()
            if ready:
                print("\n".join(announce), flush=True)
                said = True
            elif building:
                if not waits:
                    print("\n".join([*announce, f"Searches wait. {building}"]), flush=True)
                waits, started = True, time.monotonic()
            elif time.monotonic() - started > _READY_SECONDS:
                print(f"Still not ready: look into {data_dir / 'log'}.", flush=True)
                said = True
        time.sleep(0.2)
    if not stopping:
        _say(f"The supervisor ended ({supervisor.returncode}), and everything with it: start again.")
    return 0 if stopping else supervisor.returncode or 1


def _say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)
