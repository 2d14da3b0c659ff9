"""What a file goes through before it counts as written. What a power cut leaves: tests/live/test_power_cut.py."""

import errno
import os
from pathlib import Path

import pytest

from search.retrieval.durable import make_folder, remove_whole, whole_file, write_whole


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Syncs, renames and removals as they happen, by the name of what they are about."""
    seen: list[str] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def synced(handle: int) -> None:
        seen.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name.split('.')[-1]}")
        fsync(handle)

    def replaced(source: Path, target: Path, **options: int) -> None:
        seen.append(f"name {Path(target).name}")
        replace(source, target, **options)

    def removed(path: Path, **options: int) -> None:
        unlink(path, **options)
        seen.append(f"remove {Path(path).name}")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "unlink", removed)
    return seen


def test_bytes_are_synced_before_the_name_and_every_new_folder_after_it_was_made(
    tmp_path: Path, steps: list[str]
) -> None:
    make_folder(tmp_path)
    steps.clear()
    write_whole(tmp_path / "new" / "deep" / "a", b"1")
    assert steps == [f"sync {tmp_path.name}", "sync new", "sync tmp", "name a", "sync deep"]
    steps.clear()
    write_whole(tmp_path / "new" / "deep" / "a", "2")
    assert steps == ["sync tmp", "name a", "sync deep"]
    assert (tmp_path / "new" / "deep" / "a").read_text() == "2"
    steps.clear()
    remove_whole(tmp_path / "new" / "deep" / "a")
    remove_whole(tmp_path / "new" / "deep" / "a")
    assert steps == ["remove a", "sync deep"]


def test_a_folder_that_another_process_has_just_made_is_synced_too(tmp_path: Path, steps: list[str]) -> None:
    make_folder(tmp_path)
    (tmp_path / "theirs").mkdir()
    steps.clear()
    make_folder(tmp_path / "theirs")
    assert steps == [f"sync {tmp_path.name}"]


def test_a_cache_is_whole_but_costs_no_sync(tmp_path: Path, steps: list[str]) -> None:
    write_whole(tmp_path / "a", b"1", synced=False)
    assert steps == ["name a"] and (tmp_path / "a").read_bytes() == b"1"


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "a", b"old")
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a") as hidden:
        hidden.write_bytes(b"half")
        raise KeyboardInterrupt

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_a_private_file_was_never_open_to_others(tmp_path: Path) -> None:
    with whole_file(tmp_path / "key", mode=0o600) as hidden:
        assert hidden.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
