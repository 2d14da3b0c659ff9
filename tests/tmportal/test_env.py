"""Settings from the environment: a wrong value stops the start with a sentence."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tmportal import env

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("value", "share"), [("", 0.05), ("0", 0.0), ("0.25", 0.25), ("1", 1.0)])
def test_a_share_is_a_number_from_0_to_1(monkeypatch: pytest.MonkeyPatch, value: str, share: float) -> None:
    monkeypatch.setenv("TM_PLAIN_SHARE", value)
    assert env.share("TM_PLAIN_SHARE", 0.05) == share


@pytest.mark.parametrize("value", ["5", "-0.1", "half", "nan"])
def test_anything_else_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TM_PLAIN_SHARE", value)
    with pytest.raises(env.BadSetting, match="TM_PLAIN_SHARE"):
        env.share("TM_PLAIN_SHARE", 0.05)


@pytest.mark.parametrize(
    "key", ["x", "secret" * 10, "0123456789abcdef" * 3, "a" * 60, "django-insecure-" + "q7W!z" * 12]
)
def test_a_key_that_can_be_guessed_stops_the_start(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("TM_SECRET_KEY", key)
    with pytest.raises(env.BadSetting, match=r"TM_SECRET_KEY is too weak.*leave it unset"):
        env.secret("TM_SECRET_KEY")


def test_a_random_key_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(50):
        key = secrets.token_urlsafe(32)
        monkeypatch.setenv("TM_SECRET_KEY", key)
        assert env.secret("TM_SECRET_KEY") == key


@pytest.mark.parametrize(("host", "loopback"), [
    ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.0.2.7", False), ("portal.example", False),
])  # fmt: skip
def test_only_this_machine_reaches_a_loopback_address(host: str, loopback: bool) -> None:
    assert env.is_loopback(host) is loopback


@pytest.mark.parametrize(("changes", "words"), [
    ({"TM_SECRET_KEY": "x"}, "TM_SECRET_KEY is too weak"),
    ({"TM_DEBUG": "1", "TM_BIND": "0.0.0.0"}, "TM_DEBUG=1 shows"),
])  # fmt: skip
def test_the_start_says_what_to_do_instead(changes: dict[str, str], words: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TM_DATA_DIR": str(tmp_path), **changes}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "manage.py", "run"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and words in done.stderr and "Traceback" not in done.stderr


def test_sqlite_is_as_durable_by_its_address_as_by_default(tmp_path: Path) -> None:
    """The same settings, but for what the address says itself."""
    asked = (
        "import json; from django.conf import settings; from django.db import connection as c; cursor = c.cursor();"
        "print(json.dumps([cursor.execute(f'PRAGMA {p}').fetchone()[0] for p in ('journal_mode', 'synchronous')]"
        " + [settings.DATABASES['default'][k] for k in ('OPTIONS', 'CONN_MAX_AGE')]))"
    )
    told = []
    for address in ("", f"sqlite:///{tmp_path / 'other.sqlite3'}", f"sqlite:///{tmp_path / 'third.sqlite3'}?timeout=7"):
        environment = {**os.environ, "TM_DATA_DIR": str(tmp_path), "DATABASE_URL": address}
        environment["DJANGO_SETTINGS_MODULE"] = "tmportal.settings"
        done = subprocess.run(
            [sys.executable, "-c", asked], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        told.append(json.loads(done.stdout))
    assert (tmp_path / "tmportal.sqlite3").is_file() and (tmp_path / "other.sqlite3").is_file()
    journal, synchronous, options, _ = told[0]
    assert (journal, synchronous, options["transaction_mode"], options["timeout"]) == ("wal", 2, "IMMEDIATE", 30)
    assert told[1] == told[0]
    assert told[2][2] == {**options, "timeout": 7}
