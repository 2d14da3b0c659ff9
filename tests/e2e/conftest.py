"""The whole service in a data directory of its own, and a real browser in front of it."""

import contextlib
import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "search" / "demo"
MARKS = 80
SHOWN = 48  # fewer than there are, so that refining can find others
START_SECONDS = 240
WIDTHS = {1280: 860, 390: 844}


@dataclass(frozen=True)
class Service:
    """A running portal: its address, and role -> (name, password)."""

    base: str
    logins: dict[str, tuple[str, str]]
    data_dir: Path


def families() -> dict[str, list[Path]]:
    """Query images of the families that are whole within the small register, by group."""
    with (DEMO / "register.csv").open(newline="") as file:
        images = [row["image"] for row in csv.DictReader(file)]
    loaded = [image for image in images if image.startswith("queries/")][:MARKS]
    every = [path.name for path in (DEMO / "queries").iterdir()]
    groups: dict[str, list[Path]] = {}
    for image in loaded:
        groups.setdefault(Path(image).stem.split("-")[1], []).append(DEMO / image)
    size = {group: sum(name.split("-")[1].split(".")[0] == group for name in every) for group in groups}
    return {group: sorted(paths) for group, paths in groups.items() if len(paths) == size[group] > 2}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`manage.py run` with 80 demo marks; one search is evidence enough to be decided on."""
    data_dir = tmp_path_factory.mktemp("e2e")
    held_out = tmp_path_factory.mktemp("held-out")
    (held_out / "queries").mkdir()
    (held_out / "pool").mkdir()
    for paths in families().values():
        for path in paths:
            shutil.copy(path, held_out / "queries")
    shutil.copy(next(iter(sorted((DEMO / "pool").iterdir()))), held_out / "pool")
    shutil.copy(DEMO / "splits.json", held_out)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "TM_DATA_DIR": str(data_dir), "PORT": str(port), "TM_DEMO_LIMIT": str(MARKS), "TM_RESULTS": str(SHOWN),
        "TM_HELD_OUT": str(held_out), "TM_TUNING_MIN_SEARCHES": "1", "TM_TUNING_MIN_EXAMINERS": "1",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    log = data_dir.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT, env=kept | settings, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        logins = _wait_until_ready(base, process, log)
        yield Service(base, logins, data_dir)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(base: str, process: subprocess.Popen[bytes], log: Path) -> dict[str, tuple[str, str]]:
    """The logins it prints, once searching works too."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.findall(r"^login (\w+) (\S+) (\S+)$", log.read_text(errors="replace"), re.MULTILINE)
        if len(found) >= 2 and _healthy(base):
            return {role: (name, word) for role, name, word in found}
        time.sleep(0.5)
    return pytest.fail(f"The service did not become ready:\n{log.read_text(errors='replace')[-3000:]}")


def wait_for_pages(base: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Wait until the web server shows its pages, workers or not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/login/", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("The web server did not start.")


_WEB = """
import os, django
django.setup()
from django.conf import settings
from tmportal.supervision import programs
command = programs(settings.TM_DATA_DIR)["web"]
os.execv(command[0], command)
"""


class WebServer:
    """The service's own web server, without workers: started, frozen, killed and started again at one address."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        dropped = ("DJANGO_SETTINGS_MODULE", "REDIS_URL", "TM_HTTPS")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        own = {"TM_DATA_DIR": str(data_dir), "PORT": str(port), "TM_LOG_LEVEL": "WARNING"}
        self.env = kept | own | settings
        self.data_dir = data_dir
        self.base = f"http://127.0.0.1:{port}"

    def prepare(self, *arguments: str) -> str:
        """Run a Python program on the data directory, such as `-m tests.weeks`; what it prints."""
        made = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-3000:]
        return made.stdout

    def start(self) -> None:
        with (self.data_dir / "web.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _WEB],
                cwd=ROOT, env=self.env | {"DJANGO_SETTINGS_MODULE": "tmportal.settings"},
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        wait_for_pages(self.base, self.process)

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
        self.process.wait(20)


def _healthy(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/api/health/", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window. Closed with the module: its event loop must not reach tests that use the database."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("no chromium is installed")
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield chromium
        chromium.close()


@pytest.fixture
def login(browser: Any, service: Service) -> Iterator[Callable[[str], Any]]:
    """login("examiner") -> a page of somebody logged in. Fails the test on any script error or blocked script."""
    contexts, problems = [], []

    def open_page(role: str) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": WIDTHS[1280]}, base_url=service.base)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
        name, password = service.logins[role]
        page.goto("/login/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Log out").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


_TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter(one => one.getBoundingClientRect().right > window.innerWidth && !one.closest(".scroll"))
    .slice(0, 6).map(one => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 30)}`).join(" | ")"""


@pytest.fixture(scope="module")
def snap(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """snap(page, "results") saves results-1280.png and results-390.png; nothing may stick out sideways."""
    folder = Path(os.environ.get("TM_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def save(page: Any, name: str, *, full: bool = True) -> None:
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(150)
            page.screenshot(path=folder / f"{name}-{width}.png", full_page=full)
            overhang = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            wide = page.evaluate(_TOO_WIDE) if overhang > 0 else ""
            assert overhang <= 0, f"{name} is {overhang} px too wide at {width} px: {wide}"
        page.set_viewport_size({"width": 1280, "height": WIDTHS[1280]})

    return save
