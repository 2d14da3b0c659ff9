"""The load: examiners who search, select and report, and an administrator who moves the live pointer."""

import abc
import http.cookiejar
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.live.service import Service
from tests.torture.ledger import Ledger

AWAY = {0, 429, 502, 503, 504, 507}  # "not now": try again, nothing was promised


class Person(threading.Thread, abc.ABC):
    """Acts until told to stop. `going` is asked before each step."""

    def __init__(self, name: str, service: Service, ledger: Ledger, seed: int, going: Callable[[], bool]) -> None:
        super().__init__(name=name, daemon=True)
        self.service, self.ledger, self.going = service, ledger, going
        self.chance = random.Random(seed)

    def run(self) -> None:
        while self.going():
            try:
                self.act()
            except Exception as error:  # noqa: BLE001  what a client trips over is a finding, not the end of the load
                self.ledger.fail(f"{self.name} tripped: {type(error).__name__}: {error}")
                time.sleep(1)

    @abc.abstractmethod
    def act(self) -> None:
        """One round of what this person does."""

    def call(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        status, body = self.service.call(method, path, **how)
        self.ledger.answered(status, f"{method} {path}", body)
        return status, body


class Examiner(Person):
    """One journey after another: upload, wait, look, select, report."""

    def __init__(self, *args: Any, password: str, images: list[Path], patience: float = 180, **person: Any) -> None:
        super().__init__(*args, **person)
        self.password, self.images, self.patience = password, images, patience
        self.token = ""

    def call(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        """As a client does: with a new token where the one it has ran out, as all do when the clock jumps ahead."""
        if self.token:
            status, body = super().call(method, path, token=self.token, **how)
            if status != 401:
                return status, body
        status, body = super().call("POST", "/api/token/", body={"username": self.name, "password": self.password})
        if status != 200:
            return status, body
        self.token = str(body["token"])
        return super().call(method, path, token=self.token, **how)

    def act(self) -> None:
        image = self.chance.choice(self.images).read_bytes()
        status, made = self.call("POST", "/api/searches/", image=image)
        if status != 201:
            self._expected(status, made, "an upload")
            time.sleep(0.3)
            return
        search = str(made["id"])
        self.ledger.searched(search, self.name)
        if self._done(search):
            self._choose(search)

    def _done(self, search: str) -> bool:
        end = time.monotonic() + self.patience
        while self.going() and time.monotonic() < end:
            status, state = self.call("GET", f"/api/searches/{search}/")
            if status == 200 and state["status"] in ("done", "failed"):
                return bool(state["status"] == "done")
            time.sleep(0.2)
        return False

    def _choose(self, search: str) -> None:
        status, page = self.call("GET", f"/api/searches/{search}/results/")
        if status != 200:
            return
        for row in self.chance.sample(page["results"], k=min(4, len(page["results"]))):
            mark = row["mark"]
            for value in (not row["selected"], self.chance.random() < 0.5):
                path = f"/api/searches/{search}/results/{urllib.parse.quote(mark)}/"
                status, body = self.call("PATCH", path, body={"selected": value})
                self.ledger.selected(search, mark, value, status == 200)
                self._expected(status, body, "a selection")
        if self.chance.random() < 0.7:
            status, body = self.call("POST", f"/api/searches/{search}/report/")
            self.ledger.reported(search, status == 201)
            self._expected(status, body, "a report")

    def _expected(self, status: int, body: Any, what: str) -> None:
        if status not in AWAY | {200, 201, 500}:  # 500 is written down already
            self.ledger.fail(f"{what} was answered {status}: {str(body)[:200]}")


class Administrator(Person):
    """Lets one of two parameter sets serve after the other, each time with a reason of its own, and starts runs."""

    def __init__(self, *args: Any, login: tuple[str, str], sets: tuple[int, int], **person: Any) -> None:
        super().__init__(*args, **person)
        self.login, self.sets, self.count = login, sets, 0
        self._forget()

    def _forget(self) -> None:
        self._jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))

    def act(self) -> None:
        time.sleep(self.chance.uniform(2, 5))
        page = self._open("/tuning/")
        # Who is not logged in is led to the login page, which has a token too.
        if page is None or "csrf-token" not in page or 'name="password"' in page:
            self._forget()
            form = self._open("/login/") or ""
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
            if token:
                name, password = self.login
                self._open("/login/", {"username": name, "password": password, "csrfmiddlewaretoken": token.group(1)})
            return
        token = re.search(r'name="csrf-token" content="([^"]+)"', page)
        if not token:
            return
        secret = {"csrfmiddlewaretoken": token.group(1)}
        if self.chance.random() < 0.3:
            self._open("/tuning/runs/", {**secret, "kind": "manual"})
        self.count += 1
        reason = f"torture {self.count}"
        target = self.sets[self.count % 2]
        answer = self._open(f"/tuning/parameter-sets/{target}/roll-back/", {**secret, "reason": reason, "sure": "yes"})
        if answer is None or "is live already" not in answer:
            self.ledger.promoted(reason, answer is not None and f"P{target} is live again" in answer)

    def _open(self, path: str, form: dict[str, str] | None = None) -> str | None:
        """The page where a request ends up; None where nobody answered or it was refused."""
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(self.service.base + path, data=data, headers={"Referer": self.service.base})
        try:
            with self._opener.open(request, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            self.ledger.answered(error.code, path, error.read()[:200])
        except (urllib.error.URLError, OSError):
            self.ledger.answered(0, path, "")
        return None
