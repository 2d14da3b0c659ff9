"""From a backup back to an installation: verified before anything is written, put in place at the end, all or nothing.

While the entries of the data directory change places a file says so: until the restore was run again, nothing starts.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from search.errors import Refused
from search.retrieval.durable import make_folder, remove_whole, sync, sync_tree, write_whole
from tmportal.backups import database
from tmportal.backups.archive import (
    ASIDE,
    DATA,
    STAGED,
    Manifest,
    copy_file,
    newest,
    private_folder,
    read_manifest,
    verify,
)
from tmportal.backups.database import Progress
from tmportal.data_dir import only_one
from tmportal.upgrade import unknown_migration

UNFINISHED = "restore-unfinished"
_STAYS = {"run", "log", "lost+found", STAGED, UNFINISHED}
"""Entries of the data directory that no backup holds; another start may have made them."""


def backup_in(folder: Path) -> tuple[Path, Manifest]:
    """The newest backup in a folder, or the folder itself where it is one."""
    found = newest(folder) or folder
    return found, read_manifest(found)


def restore(backup: Path, manifest: Manifest, *, replace: bool, progress: Progress = lambda count: None) -> Path | None:
    """Make TM_DATA_DIR, and the server's database, what they were; returns where the old ones were put, if any.

    Raises Refused for a damaged backup, one of another database or of a newer release, and without `replace` for an
    installation that is there already; CannotStart while the service runs.
    """
    data_dir = Path(settings.TM_DATA_DIR)
    _fits(manifest)
    make_folder(data_dir / "run")
    with only_one(data_dir):
        file = database.sqlite_file()
        occupied = bool(_entries(data_dir)) or (file.exists() if file else not database.is_empty())
        if occupied and not replace:
            raise Refused(
                f"{data_dir} or its database is in use already: set TM_DATA_DIR and DATABASE_URL to new ones, or say "
                "--replace, which keeps the old ones aside."
            )
        verify(backup, manifest, progress)
        staged = data_dir / STAGED
        shutil.rmtree(staged, ignore_errors=True)
        _stage(backup, manifest, staged, progress)
        write_whole(data_dir / UNFINISHED, f"{backup}\n")
        aside = _put_aside(data_dir, progress) if occupied else None
        _put_in_place(data_dir, staged, manifest, progress)
        remove_whole(data_dir / UNFINISHED)
    return aside


def _fits(manifest: Manifest) -> None:
    kind = "server" if database.sqlite_file() is None else "sqlite"
    if manifest["database"]["kind"] != kind:
        raise Refused(
            f"The backup holds {'an SQLite file' if kind == 'server' else 'the tables of a PostgreSQL server'}: "
            f"{'leave DATABASE_URL empty' if kind == 'server' else 'set DATABASE_URL to such a server'}."
        )
    unknown = unknown_migration((app, name) for app, name in manifest["database"]["migrations"])
    if unknown:
        raise Refused(f"The backup is of a newer release ({unknown}): install that one first.")


def _entries(data_dir: Path) -> list[Path]:
    """What an installation consists of, but for what stays with the machine and what was put aside before."""
    return [path for path in data_dir.iterdir() if path.name not in _STAYS and not path.name.startswith(ASIDE)]


def _stage(backup: Path, manifest: Manifest, staged: Path, progress: Progress) -> None:
    """All files beside those in use, on disk, and each once more compared with the manifest."""
    staged.mkdir(mode=0o700)
    for name, stamp in manifest["files"].items():
        target = staged / name
        private_folder(target.parent)
        if copy_file(backup / name, target, progress)["sha256"] != stamp["sha256"]:
            raise Refused(f"{name} changed while it was read from {backup}: check the disk, or take another backup.")
    sync_tree(staged)


def _put_aside(data_dir: Path, progress: Progress) -> Path:
    aside = data_dir / f"{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    aside.mkdir(mode=0o700)
    file = database.sqlite_file()
    if file is None:
        if not database.is_empty():
            database.dump(aside / database.FOLDER, progress)
            sync_tree(aside)
    elif file.parent != data_dir:
        for part in file.parent.glob(f"{file.name}*"):
            shutil.move(part, aside / part.name)
    for entry in _entries(data_dir):
        entry.rename(aside / entry.name)
    sync(aside)
    sync(data_dir)
    return aside


def _put_in_place(data_dir: Path, staged: Path, manifest: Manifest, progress: Progress) -> None:
    for entry in (staged / DATA).iterdir() if (staged / DATA).is_dir() else ():
        entry.rename(data_dir / entry.name)
    file = database.sqlite_file()
    dumped = staged / database.FOLDER
    if file is None:
        database.load(dumped, manifest["database"]["migrations"], progress)
    else:
        make_folder(file.parent)
        (copy,) = dumped.iterdir()
        shutil.move(copy, file)
        sync(file)
        sync(file.parent)
    shutil.rmtree(staged)
    sync(data_dir)
