"""Typed readers for environment variables: a wrong value stops the start with a sentence."""

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path


class BadSetting(SystemExit):
    """A configuration value cannot be used; the message says which and why."""


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def secret(name: str) -> str:
    """A key that cannot be guessed, or nothing where none is given."""
    value = text(name)
    repeats = value and (value + value).find(value, 1) < len(value)
    if value and (len(value) < 32 or len(set(value)) < 10 or repeats or value.startswith("django-insecure-")):
        raise BadSetting(
            f"{name} is too weak: whoever guesses it can sign in as anyone. Set 32 random characters or more "
            '(python3 -c "import secrets; print(secrets.token_urlsafe(60))"), or leave it unset: one is made.'
        )
    return value


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def in_address(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def flag(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(f"{name}={value!r} is not a yes or no: use 1 or 0.")


def number(name: str, default: int, *, low: int, high: int) -> int:
    value = text(name)
    if not value:
        return default
    try:
        parsed = int(value)
    except ValueError:
        raise BadSetting(f"{name}={value!r} is not a whole number.") from None
    if not low <= parsed <= high:
        raise BadSetting(f"{name}={parsed} is outside {low}..{high}.")
    return parsed


def share(name: str, default: float) -> float:
    """A number from 0 to 1."""
    value = text(name)
    if not value:
        return default
    try:
        parsed = float(value)
    except ValueError:
        raise BadSetting(f"{name}={value!r} is not a number.") from None
    if not 0 <= parsed <= 1:
        raise BadSetting(f"{name}={value} is not a share: use a number from 0 to 1.")
    return parsed


def choice(name: str, default: str, options: Sequence[str]) -> str:
    value = text(name, default).lower()
    if value not in options:
        raise BadSetting(f"{name}={value!r} is not known: use {', '.join(options)}.")
    return value


def folder(name: str, default: Path) -> Path:
    return Path(text(name, str(default))).expanduser().absolute()


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]
