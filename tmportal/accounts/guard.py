"""The one door: every password is checked here, counted before it is looked at, by account and by address.

A try takes its place in the counts in one transaction and gives it back when the password was right, so guesses sent
side by side cannot pass a count that none of them has raised yet. Where an account has logged in from an address in
the last 90 days, its tries there are counted by themselves: strangers who lock the account do not lock out its holder,
and colleagues who lock an office's address do not lock each other out.

Addresses are REMOTE_ADDR alone, which the web server sets from the proxy's header where TM_BEHIND_PROXY says so. Names
that are no account are counted like any other and are told the same; they are not recorded, since people type passwords
into the wrong field.
"""

import ipaddress
import logging
import math
import random
import unicodedata
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, F, Q, When
from django.http import HttpRequest
from django.utils import timezone

from tmportal.accounts.models import LoginCount, LoginRecord

log = logging.getLogger(__name__)
KNOWN_FOR = timedelta(days=90)
KEPT_RECORDS = 5_000
_COUNTED_EXACTLY = 100
_CLOCKS_DIFFER = timedelta(minutes=1)  # of processes, and of a moment read before a wait and one read after it


class LoginLocked(ValidationError):  # noqa: N818  an answer to the user, not a fault
    """Too many wrong passwords; `seconds` until the next try."""

    def __init__(self, rest: timedelta) -> None:
        self.seconds = max(1, math.ceil(rest.total_seconds()))
        minutes = math.ceil(self.seconds / 60)
        super().__init__(
            f"Too many wrong passwords for this account or from this address: wait {minutes} "
            f"minute{'s' if minutes > 1 else ''} and try again, or ask an administrator.",
            code="locked",
        )


class GuardedBackend(ModelBackend):
    """Django's own check of the password, behind the counts. Raises LoginLocked."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> Any:
        if username is None or password is None:
            return None
        name = unicodedata.normalize("NFKC", username)  # as Django's form does
        address = address_of(request)
        limits = _limits(name, address)
        try:
            last = _take(limits)
        except LoginLocked:
            _record_refusal(name, address)
            raise
        user = super().authenticate(request, username=name, password=password, **more)
        if user is None:
            _record_failure(name, address, locks=last)
        else:
            _give_back(limits)
            _change(_record(name, address), succeeded_at=timezone.now())
        return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> Any:
        return await sync_to_async(self.authenticate)(request, username, password, **more)


def address_of(request: HttpRequest | None) -> str:
    """The network address that counts: IPv4 whole, IPv6 by its /64, of which one customer has all."""
    given = (request.META.get("REMOTE_ADDR") or "") if request else ""
    try:
        address = ipaddress.ip_address(given.partition("%")[0])
    except ValueError:
        return "local"  # a socket, or no request at all
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)


def login_unlock(*, name: str, address: str | None = None) -> None:
    """Forget the wrong passwords of an account, everywhere; with an address, of that address too."""
    keys = Q(key=f"account:{_hash(name)}") | Q(key__startswith=f"known:{_hash(name)}:")
    if address is not None:
        keys |= Q(key=f"address:{_hash(address)}")
    LoginCount.objects.filter(keys).delete()


def _limits(name: str, address: str) -> dict[str, int]:
    """Key of a count -> tries that it allows."""
    known = LoginRecord.objects.filter(
        user__username=name, address=address, succeeded_at__gt=timezone.now() - KNOWN_FOR
    ).exists()
    if known:
        return {f"known:{_hash(name)}:{_hash(address)}": settings.TM_LOGIN_TRIES}
    return {
        f"account:{_hash(name)}": settings.TM_LOGIN_TRIES,
        f"address:{_hash(address)}": settings.TM_LOGIN_TRIES_ADDRESS,
    }


def _hash(text: str) -> str:
    """One for all spellings of a name: variants of a letter must not be counted apart."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).strip().casefold())
    return sha256(plain.encode()).hexdigest()


def _take(limits: dict[str, int]) -> bool:
    """Count a try that may fail; True when it is the last one. Raises LoginLocked, and counts nothing, after that."""
    counts = LoginCount.objects.filter(key__in=limits)
    now = timezone.now()
    for key, tries, since in counts.filter(_running(now)).values_list("key", "tries", "since"):
        if tries >= limits[key]:  # most tries of a flood end here, having written nothing
            raise LoginLocked(since + _lock_time() - now)
    with transaction.atomic():
        for key, most in sorted(limits.items()):
            _count_one(key, most)
        full = any(tries >= limits[key] for key, tries in counts.values_list("key", "tries"))
    LoginCount.objects.exclude(_running(timezone.now())).delete()
    return full


def _count_one(key: str, most: int) -> None:
    """One more in this count. The lock begins with the try that fills it, and ends by itself."""
    now = timezone.now()  # not before the transaction: it may have waited
    row = LoginCount.objects.filter(key=key)
    filling = Case(When(tries__gte=most - 1, then=now), default=F("since"))
    for _ in range(2):  # somebody else may make the row in between
        row.exclude(_running(now)).update(tries=0, since=now)
        if row.filter(tries__lt=most).update(tries=F("tries") + 1, since=filling):
            return
        if LoginCount.objects.get_or_create(key=key, defaults={"tries": 1, "since": now})[1]:
            return
    raise LoginLocked(_lock_time())


def _running(now: datetime) -> Q:
    """Counts and locks that hold. One that a clock left in the future holds no longer than it would have."""
    return Q(since__gt=now - _lock_time(), since__lte=now + _CLOCKS_DIFFER)


def _give_back(limits: dict[str, int]) -> None:
    for key in limits:
        row = LoginCount.objects.filter(key=key)
        if key.startswith("known:"):
            row.delete()  # the holder is here
        else:
            row.filter(tries__gt=0).update(tries=F("tries") - 1)


def _lock_time() -> timedelta:
    return timedelta(minutes=settings.TM_LOGIN_LOCK_MINUTES)


def _record(name: str, address: str) -> LoginRecord:
    now = timezone.now()
    user = get_user_model().objects.filter(username=name).first()
    record, made = LoginRecord.objects.get_or_create(
        user=user, address=address, defaults={"first_at": now, "last_at": now}
    )
    if made:
        _keep_newest()
    return record


def _change(record: LoginRecord, **changes: Any) -> None:
    LoginRecord.objects.filter(pk=record.pk).update(last_at=timezone.now(), **changes)


def _record_failure(name: str, address: str, *, locks: bool) -> None:
    record = _record(name, address)
    _change(record, failures=F("failures") + 1, **({"locked_at": timezone.now()} if locks else {}))
    log.info("log-in failed: %s", record)
    if locks:
        log.warning("log-in locked for %d minutes: %s", settings.TM_LOGIN_LOCK_MINUTES, record)


def _record_refusal(name: str, address: str) -> None:
    """A flood must not become as many writes: from 100 on one in many is written, and stands for that many."""
    record = _record(name, address)
    step = max(1, record.refused // _COUNTED_EXACTLY)
    if random.randrange(step) == 0:  # noqa: S311  a sample, not a secret
        _change(record, refused=F("refused") + step)


def _keep_newest() -> None:
    """Old rows of failures go first; where an account has logged in from is kept as long as it counts."""
    now = timezone.now()
    LoginRecord.objects.filter(succeeded_at__lt=now - KNOWN_FOR, last_at__lt=now - KNOWN_FOR).delete()
    over = LoginRecord.objects.count() - KEPT_RECORDS
    if over > 0:
        oldest = LoginRecord.objects.order_by(F("succeeded_at").asc(nulls_first=True), "last_at")[:over]
        LoginRecord.objects.filter(pk__in=list(oldest.values_list("pk", flat=True))).delete()
