"""What a search worker does for itself, beside the searches.

Every few seconds it asks the search that was kept with the snapshot, as a user would: the answer must be the kept one.
It looks whether the live snapshot is as this release would make it and has a new one made where it is not. Slowly, and
in the background, it reads every byte of the live snapshot again: what it has loaded serves on, whatever it finds.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import close_old_connections

from search.broker import send
from search.engine import Engine
from search.errors import Unavailable
from search.retrieval import progress
from search.retrieval.imaging import decode_picture
from search.retrieval.probe import Probe
from search.retrieval.snapshot import Snapshot, SnapshotRefused
from search.snapshots import snapshot_lacks

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
_LOOK_SECONDS = 5.0
_REQUEST_SECONDS = 60.0
_VERIFY_BYTES_A_SECOND = 16 * 2**20
"""A fiftieth of what one core hashes: a million marks take a quarter of an hour and nobody notices."""
_NICENESS = 10


class _Stopped(Exception):  # noqa: N818  not an error
    """The worker ends while files are being read."""


class Upkeep:
    """Of the engine of this process. Its threads end with it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._asked_at: float | None = None
        self._asked_of: str | None = None
        self._requested, self._requested_at = "", 0.0
        self.trouble = ""
        """What is wrong with the answer to the kept search, as a sentence."""
        self._damage: tuple[str, str] | None = None

    @property
    def damage(self) -> str:
        """What the last reading of the live snapshot's files has found, as a sentence."""
        return self._damage[1] if self._damage and self._damage[0] == self._engine.snapshots.current() else ""

    def start(self) -> None:
        self.ask()
        for name, turn in (("probe", self._ask_and_look), ("verify", self._verify_for_ever)):
            threading.Thread(target=turn, name=name, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def status(self) -> dict[str, Any]:
        """For the heartbeat: what the engine says; asked: seconds since the kept search was tried, None before."""
        asked_at = self._asked_at
        return {
            **self._engine.status(),
            "trouble": self.trouble,
            "damage": self.damage,
            "asked": None if asked_at is None else round(time.monotonic() - asked_at, 1),
        }

    def ask(self) -> None:
        """Try the kept search on what serves now."""
        try:
            searcher, describe = self._engine.serving()
            snapshot = searcher.snapshot
            if snapshot.probe is None:
                found, kept = searcher.probed(snapshot.table.description(0)), _itself(snapshot)
            else:
                found, kept = searcher.probed(describe(decode_picture(snapshot.probe.image))), snapshot.probe
            difference = kept.difference(found[: len(kept.answer)])
            said = f"The search kept with snapshot {snapshot.id} is answered otherwise: {difference}." * bool(
                difference
            )
            self._asked_of = snapshot.id
        except Unavailable as away:
            said = str(away)
        except Exception:
            log.exception("the kept search failed")
            said = "The search that is tried every few seconds fails inside the service; the worker's log says where."
        if said and said != self.trouble:
            log.error("%s", said)
        self.trouble, self._asked_at = said, time.monotonic()

    def look(self) -> None:
        """Have a new snapshot made where one is needed; costs no reading of large files."""
        why = self.damage or snapshot_lacks(thorough=False)
        now = time.monotonic()
        if why and (why != self._requested or now - self._requested_at >= _REQUEST_SECONDS):
            from search.tasks import renew_snapshot

            log.warning("a new snapshot is asked for: %s", why)
            self._requested_at = now
            send(renew_snapshot)
        self._requested = why

    def verify(self, pace: Callable[[int], None] | None = None) -> None:
        """Read the live snapshot's files once."""
        live = self._engine.snapshots.current()
        if live is None:
            return  # the pointer is lost, which `look` sees
        try:
            self._engine.snapshots.verify(live, pace=pace)
        except SnapshotRefused as refusal:
            if str(refusal) != self.damage:
                log.error("%s", refusal)
            self._damage = (live, str(refusal))
            return
        self._damage = None
        loaded = self._engine.loaded()
        if loaded is None or loaded.id != live:
            self._engine.look_again()  # somebody has brought its files back

    def _ask_and_look(self) -> None:
        with progress.work("the kept search") as turns:
            self._turn_for_ever(turns)

    def _turn_for_ever(self, turns: progress.Work) -> None:
        looked_at = -_LOOK_SECONDS
        while not self._stop.wait(1.0):
            turns.step()
            now = time.monotonic()
            loaded = self._engine.loaded()
            if (
                self._asked_at is None
                or now - self._asked_at >= ASK_SECONDS
                or (loaded is not None and loaded.id != self._asked_of)
            ):
                self.ask()
            if now - looked_at >= _LOOK_SECONDS:
                looked_at = now
                self._careful(self.look)

    def _verify_for_ever(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # a thread has a niceness of its own on Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._stop.wait(settings.TM_VERIFY_SECONDS):
            self._careful(lambda: self.verify(self._pace))

    def _pace(self, count: int) -> None:
        if self._stop.wait(count / _VERIFY_BYTES_A_SECOND):
            raise _Stopped

    @staticmethod
    def _careful(turn: Callable[[], None]) -> None:
        """One failed turn does not end the next."""
        try:
            close_old_connections()
            turn()
        except _Stopped:
            pass
        except Exception:
            log.exception("the upkeep of the search worker failed")
        finally:
            close_old_connections()


def _itself(snapshot: Snapshot) -> Probe:
    """For a snapshot of a release before, which kept no search: its first mark finds itself."""
    return Probe(b"", ((str(snapshot.table.numbers[0]), 1.0),))
