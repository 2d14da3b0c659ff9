"""The whole service as processes of its own, for tests that look at it from outside."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
MARKS = 80
"""In the register of the service that the tests share."""


class Service:
    """`manage.py run` on a data directory. Start, look, kill parts, stop."""

    def __init__(self, data_dir: Path, *, root: Path = ROOT, **env: str) -> None:
        """root: the tree whose `manage.py` runs."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.data_dir, self.root = data_dir, root
        self.base = f"http://127.0.0.1:{self.port}"
        self.output = data_dir.parent / f"{data_dir.name}.out"
        self.env = {**os.environ, "TM_DATA_DIR": str(data_dir), "PORT": str(self.port), "TM_LOG_LEVEL": "INFO", **env}
        self.env["SPT_NOENV"] = "1"  # process titles, where there are any, leave alone what `processes` reads
        self.env.pop("DJANGO_SETTINGS_MODULE", None)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 300) -> float:
        """Start and wait until searching works; returns the seconds it took."""
        began = time.monotonic()
        self.launch()
        assert self.process
        self.until(lambda: self.healthy() or self.process.poll() is not None, seconds, "the service to be ready")
        assert self.process.poll() is None, self.output.read_text()[-3000:]
        self.until(self.logins, 10, "the logins to be printed")
        return time.monotonic() - began

    def launch(self) -> None:
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run"], cwd=self.root, env=self.env, stdout=out, stderr=subprocess.STDOUT
            )

    def stop(self, seconds: float = 30) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(seconds)

    def healthy(self) -> bool:
        return self.call("GET", "/api/health/")[0] == 200

    def logins(self) -> dict[str, tuple[str, str]]:
        """Role -> (name, password), as printed."""
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        return {role: (name, word) for role, name, word in re.findall(r"^login (\w+) (\S+) (\S+)$", text, re.M)}

    def token(self, role: str = "examiner") -> str:
        return self.token_of(*self.logins()[role])

    def token_of(self, name: str, password: str) -> str:
        status, body = self.call("POST", "/api/token/", body={"username": name, "password": password})
        assert status == 200, body
        return str(body["token"])

    def call(
        self, method: str, path: str, *, token: str = "", body: Any = None, image: bytes | None = None,
        seconds: float = 30,
    ) -> tuple[int, Any]:  # fmt: skip
        """(status, parsed JSON or bytes); status 0 when nobody answers within these seconds, or not to the end."""
        headers = {"Authorization": f"Token {token}"} if token else {}
        data = None
        if image is not None:
            edge = uuid.uuid4().hex
            part = f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="q.png"\r\n\r\n'.encode()
            data = part + image + f"\r\n--{edge}--\r\n".encode()
            headers["Content-Type"] = f"multipart/form-data; boundary={edge}"
        elif body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return error.code, _parsed(error.read())
        except (OSError, http.client.HTTPException):
            pass
        return 0, None

    def search(self, token: str, image: bytes, seconds: float = 60) -> dict[str, Any]:
        """Search and wait; returns the finished search."""
        status, made = self.call("POST", "/api/searches/", token=token, image=image)
        assert status in (201, 202), made
        return self.finished(token, made["id"], seconds)

    def finished(self, token: str, search: str, seconds: float = 60) -> dict[str, Any]:
        def state() -> Any:
            answer = self.call("GET", f"/api/searches/{search}/", token=token)[1]
            return answer if answer and answer["status"] in ("done", "failed") else None

        return self.until(state, seconds, f"search {search} to finish")

    def processes(self, role: str) -> list[psutil.Process]:
        """Processes of one program ("search-worker", "tuning-worker", "broker", "web", "beat"), parents first."""
        found = []
        assert self.process
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                # The broker's own title overwrites what its environment says.
                named = role == "broker" and "valkey-server" in process.name()
                if named or process.environ().get("TM_ROLE") == role:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return sorted(found, key=lambda process: process.create_time())

    def kill(self, role: str) -> None:
        """SIGKILL every process of a program, at once."""
        processes = self.processes(role)
        assert processes, f"no {role} is running"
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)

    @staticmethod
    def until(condition: Any, seconds: float, what: str) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {what}")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return data
