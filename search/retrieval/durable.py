"""Files that are there whole and outlive a power cut, or are not there at all.

A rename alone is not enough: for half a minute the kernel may hold the new name without the bytes, or the bytes without
the name. So a file is written under another name, synced, renamed, and the folder that names it is synced as well.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from search.retrieval import progress

TEMPORARY = ".tmp"
"""How the name of a file that is not whole yet ends; it begins with a dot."""

_UNSYNCABLE = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EROFS}
"""Folders that are not ours to open, and file systems that sync no folders."""

_keeping = partial(progress.work, "keeping a file on the disk", limit=progress.DISK_SECONDS)
"""Not only syncing waits for a busy disk: so does whoever makes or renames a file."""

_named: set[tuple[str, int, int]] = set()
"""Folders (path, device, inode) whose names this process has synced, up to the root."""


@contextmanager
def whole_file(path: Path, *, mode: int = 0o666, synced: bool = True) -> Iterator[Path]:
    """Lend a temporary path to write to; after the block its file is `path`, on disk. Where it fails nothing is left.

    mode: of the new file, less the umask. synced=False: for caches, whose readers find out when one is damaged.
    """
    make_folder(path.parent, synced=synced)
    hidden = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{TEMPORARY}")
    with _keeping():
        try:
            os.close(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            yield hidden
            put(hidden, path, synced=synced)
        finally:
            hidden.unlink(missing_ok=True)


def put(hidden: Path, path: Path, *, synced: bool = True) -> None:
    """Give a finished file its name, in the same folder; both are on disk when this returns."""
    if synced:
        sync(hidden)
    hidden.replace(path)
    if synced:
        sync(path.parent)


def write_whole(path: Path, data: bytes | str, *, mode: int = 0o666, synced: bool = True) -> None:
    """Write a small file as `whole_file` does; text is UTF-8."""
    with whole_file(path, mode=mode, synced=synced) as hidden:
        hidden.write_bytes(data.encode() if isinstance(data, str) else data)


def make_folder(folder: Path, *, synced: bool = True) -> None:
    """`mkdir -p` of which a power cut takes nothing back, not even what another process has made a moment ago."""
    folder = folder.absolute()
    with _keeping():
        folder.mkdir(parents=True, exist_ok=True)
    found = folder.stat()
    key = (str(folder), found.st_dev, found.st_ino)
    if not synced or key in _named:
        return
    if folder.parent != folder:
        make_folder(folder.parent)
        sync(folder.parent)
    _named.add(key)


def sync(path: Path) -> None:
    """A file's bytes, or the names in a folder, are on disk when this returns."""
    folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if folder:
            return
        raise
    try:
        with _keeping():
            os.fsync(handle)
    except OSError as error:
        if not folder or error.errno not in _UNSYNCABLE:
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Everything below `folder`, and the names in it, is on disk when this returns."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def remove_whole(path: Path) -> None:
    """Take a file away for good; nothing happens where there is none."""
    with suppress(FileNotFoundError):
        path.unlink()
        sync(path.parent)
