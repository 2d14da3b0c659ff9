"""Backups in a folder: each is a folder of its own, whole or under a hidden name.

    DIR/
      20260101T120000Z/     manifest.json: versions, size and SHA-256 of every file, its own seal
                            database/      as `tmportal.backups.database` writes it
                            data/          what lay in TM_DATA_DIR, but for what a start makes again
      .partial-...          one that was cut off; the next backup removes it

What did not change since the backup before is a hard link to its file there: so another backup costs the database and
what is new, and each can be deleted by itself.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from search.errors import Conflict, Refused
from search.retrieval.durable import TEMPORARY, make_folder, sync
from search.retrieval.integrity import FileDamaged, check, file_digest, seal
from tmportal.backups import database
from tmportal.backups.database import Progress

FORMAT = 1
DATA = "data"
MANIFEST = "manifest.json"
ASIDE = "before-restore-"
STAGED = ".restoring"
_PARTIAL = ".partial-"
_MADE_AGAIN = {"run", "log", "static", "broker", STAGED, "lost+found"}
"""Entries of the data directory that belong to this machine, or that a start makes. Queued work is in the database."""
_POINTERS = {"snapshot": "snapshots/CURRENT", "encoder": "encoders/CURRENT"}
_BLOCK = 1 << 20
_TRIES = 5

Manifest = dict[str, Any]


def backup(folder: Path, *, progress: Progress = lambda count: None, expect: Progress = lambda count: None) -> Path:
    """Back up this installation into `folder`, while it runs; returns the new backup's folder.

    First the database, then the files: a file is on disk before the row that names it, and never changes. The pointers
    to snapshot and encoder are read on both sides of the database, so that they belong to it. expect: called with the
    number of bytes to come. Raises Refused.
    """
    data_dir = Path(settings.TM_DATA_DIR)
    if folder.resolve().is_relative_to(data_dir.resolve()):
        raise Refused(f"{folder} lies inside the data directory: choose a folder elsewhere, best on another disk.")
    private_folder(folder)
    with _turn(folder):
        for cut_off in folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(cut_off)
        before = newest(folder)
        made = datetime.now(UTC)
        partial = folder / f"{_PARTIAL}{made:%Y%m%dT%H%M%S%fZ}"
        try:
            manifest = _take(partial, before, progress, expect)
            manifest |= {"format": FORMAT, "made": made.isoformat(timespec="seconds")}
            manifest["seal"] = seal(manifest)
            _write_private(partial / MANIFEST, json.dumps(manifest, indent=1).encode())
            os.sync()  # thousands of files: one by one they would take minutes
            whole = folder / partial.name.removeprefix(_PARTIAL)
            partial.rename(whole)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync(folder)
    return whole


def _whole(folder: Path) -> list[Path]:
    """The whole backups in `folder`, oldest first."""
    return sorted(path.parent for path in folder.glob(f"[0-9]*Z/{MANIFEST}"))


def newest(folder: Path) -> Path | None:
    """The newest whole backup in `folder`."""
    return next(reversed(_whole(folder)), None)


def thin_out(folder: Path, keep: int) -> int:
    """Delete all but the `keep` newest backups; returns how many went."""
    with _turn(folder):
        old = _whole(folder)[:-keep]
        for backup_folder in old:
            doomed = folder / f"{_PARTIAL}{backup_folder.name}"
            backup_folder.rename(doomed)
            shutil.rmtree(doomed)
    return len(old)


def read_manifest(backup_folder: Path) -> Manifest:
    """Raises Refused for a folder that is no backup, or whose list of files was damaged."""
    try:
        manifest: Manifest = json.loads((backup_folder / MANIFEST).read_text("utf-8"))
        whole = manifest["seal"] == seal(manifest)
    except FileNotFoundError:
        raise Refused(f"There is no backup in {backup_folder}.") from None
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise Refused(f"The backup {backup_folder} is damaged: {MANIFEST} cannot be read. Take another one.")
    if manifest["format"] != FORMAT:
        raise Refused(f"The backup {backup_folder} was made by another release.")
    return manifest


def verify(backup_folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Read every byte of a backup. Raises Refused naming the first file that is not as it was written."""

    def read(count: int) -> None:
        progress(count)

    try:
        check(backup_folder, manifest["files"], pace=read)
    except FileDamaged as damage:
        raise Refused(f"The backup {backup_folder} is damaged: {damage}. Take another one.") from None


def _take(target: Path, before: Path | None, progress: Progress, expect: Progress) -> Manifest:
    """Database and files into `target`; everything of the manifest but what says when."""
    data_dir = Path(settings.TM_DATA_DIR)
    for _ in range(_TRIES):
        pointers = {what: _pointer(data_dir / path) for what, path in _POINTERS.items()}
        if target.exists():
            shutil.rmtree(target)
        target.mkdir(mode=0o700)
        expect(_size(database.sqlite_file() or target))
        applied, named = database.dump(target / database.FOLDER, progress)
        if pointers != {what: _pointer(data_dir / path) for what, path in _POINTERS.items()}:
            continue  # a snapshot was published meanwhile: is it this database's, or the next one's?
        stamps = {name: _stamped(target / name) for name in _files_in(target)}
        try:
            stamps |= _copy_files(target, before, pointers, progress, expect)
        except _SnapshotGone:
            continue
        there = {name.removeprefix(f"{DATA}/media/") for name in stamps}
        key = "environment" if os.environ.get("TM_SECRET_KEY") else "file"
        return {
            "database": {"kind": "server" if database.sqlite_file() is None else "sqlite", "migrations": applied},
            "key_from": key, "missing": sorted(named - there - {""}), "files": stamps, **pointers,
        }  # fmt: skip
    raise Conflict("A new snapshot was published each time: wait until the ingest is through, and try again.")


class _SnapshotGone(Exception):  # noqa: N818  begin again with the one that took its place
    """The live snapshot was pruned while it was copied."""


def _copy_files(
    target: Path, before: Path | None, pointers: dict[str, str | None], progress: Progress, expect: Progress
) -> dict[str, Any]:
    data_dir = Path(settings.TM_DATA_DIR)
    known = read_manifest(before)["files"] if before is not None else {}
    stamps: dict[str, Any] = {}
    for what, path in _POINTERS.items():
        if pointers[what]:
            copy = target / DATA / path
            private_folder(copy.parent)
            _write_private(copy, f"{pointers[what]}\n".encode())
            stamps[f"{DATA}/{path}"] = _stamped(copy)
    live = f"snapshots/{pointers['snapshot']}/"
    # The snapshot first: it is the one thing here that is ever deleted.
    names = sorted(_worth_keeping(data_dir, live), key=lambda name: (not name.startswith(live), name))
    expect(sum(size for name in names if (size := _size(data_dir / name))))
    for name in names:
        source, copy = data_dir / name, target / DATA / name
        try:
            found = source.stat()
            old = known.get(f"{DATA}/{name}")
            private_folder(copy.parent)
            if before is not None and old and (old["bytes"], old["mtime_ns"]) == (found.st_size, found.st_mtime_ns):
                stamps[f"{DATA}/{name}"] = _linked(before / DATA / name, copy, old)
                progress(found.st_size)
            else:
                stamps[f"{DATA}/{name}"] = copy_file(source, copy, progress)
        except FileNotFoundError:
            if name.startswith(live):
                raise _SnapshotGone from None
            # A cache or a file that was set aside; whether a row misses it is looked up in the end.
    if pointers["snapshot"] and f"{DATA}/{live}{MANIFEST}" not in stamps:
        raise _SnapshotGone
    return stamps


def _worth_keeping(data_dir: Path, live: str) -> Iterator[str]:
    """Files of the data directory by their paths in it: all but the database, what a start makes, what is not whole.

    live: prefix of the files of the snapshot that serves. Of the snapshots only that one is taken.
    """
    file = database.sqlite_file()
    skipped = {str(file), f"{file}-wal", f"{file}-shm", f"{file}-journal"}
    pointers = set(_POINTERS.values())
    for place, folders, files in os.walk(data_dir, followlinks=True):
        here = Path(place)
        if here == data_dir:
            folders[:] = [f for f in folders if f not in _MADE_AGAIN and not f.startswith(ASIDE)]
        for name in files:
            path = str((here / name).relative_to(data_dir))
            unfinished = name.endswith((TEMPORARY, ".lock")) or path in pointers
            other_snapshot = path.startswith("snapshots/") and not path.startswith(live)
            if not unfinished and not other_snapshot and str(here / name) not in skipped:
                yield path


def private_folder(folder: Path) -> None:
    """`mkdir -p`, for the owner's eyes only."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def copy_file(source: Path, target: Path, progress: Progress) -> dict[str, Any]:
    """Copy a file, for its owner's eyes only, with its time; returns its stamp, made of the very bytes written."""
    digest = hashlib.sha256()
    count = 0
    with source.open("rb") as file, os.fdopen(_private(target), "wb") as out:
        while block := file.read(_BLOCK):
            digest.update(block)
            out.write(block)
            count += len(block)
            progress(len(block))
        when = os.fstat(file.fileno()).st_mtime_ns
    os.utime(target, ns=(when, when))
    return {"bytes": count, "sha256": digest.hexdigest(), "mtime_ns": when}


def _linked(old: Path, copy: Path, stamp: dict[str, Any]) -> dict[str, Any]:
    try:
        copy.hardlink_to(old)
    except OSError:  # this file system has no links, or no more for this file
        return copy_file(old, copy, lambda count: None)
    return stamp


def _stamped(path: Path) -> dict[str, Any]:
    path.chmod(0o600)
    found = path.stat()
    return {"bytes": found.st_size, "sha256": file_digest(path), "mtime_ns": found.st_mtime_ns}


def _files_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]


def _pointer(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _write_private(path: Path, data: bytes) -> None:
    with os.fdopen(_private(path), "wb") as file:
        file.write(data)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One backup at a time into a folder."""
    make_folder(folder)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Another backup into {folder} is under way: wait until it is through.") from None
        yield
