"""Backup and restore on a real database file and real files. The whole service: tests/live/test_backup.py."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError
from django.db import connection

from search import media
from search.errors import Conflict, Refused
from search.models import Mark
from search.retrieval.durable import write_whole
from tmportal.backups import archive, database
from tmportal.backups.archive import ASIDE, backup, newest, read_manifest, thin_out
from tmportal.backups.restoring import UNFINISHED, backup_in, restore
from tmportal.bootstrap import ensure_data_dir
from tmportal.data_dir import CannotStart, only_one

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="about files; PostgreSQL: tests/live/test_postgres.py"),
]

SNAPSHOT = "20260101T000000000000-aaaaaa"


@pytest.fixture
def office(settings: Any, tmp_path: Path, examiner: Any) -> Path:
    """An installation with something of everything, and something of what no backup needs."""
    data = tmp_path / "data"
    settings.TM_DATA_DIR, settings.MEDIA_ROOT = data, data / "media"
    for number in range(3):
        name, digest = media.mark_image_write(f"image {number}".encode(), _pixels())
        Mark.objects.create(number=f"B{number}", name=f"Mark {number}", image=name, image_sha256=digest)
    for name in (
        f"snapshots/{SNAPSHOT}/manifest.json", f"snapshots/{SNAPSHOT}/clusters/00.feather", "vectors/d1/1.feather",
        "encoders/office-1/encoder.safetensors", "secret-key", "something-that-comes-later/x",
        "run/lock", "log/web.log", "static/a.css", "broker/appendonly.aof", "snapshots/older/manifest.json",
        "media/marks/.x.tmp", f"{ASIDE}1/old", "snapshots/.building-1/index.faiss", "encoders/.lock",
    ):  # fmt: skip
        write_whole(data / name, f"content of {name}", synced=False)
    write_whole(data / "snapshots" / "CURRENT", f"{SNAPSHOT}\n", synced=False)
    write_whole(data / "encoders" / "CURRENT", "office-1\n", synced=False)
    return data


def _pixels() -> Any:
    import numpy as np

    return np.full((8, 8, 3), 200, np.uint8)


@pytest.fixture
def elsewhere(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another machine: call it once the backup is made."""

    class Elsewhere:
        def __call__(self, name: str = "new") -> Path:
            settings.TM_DATA_DIR = tmp_path / name
            monkeypatch.setitem(django_settings.DATABASES["default"], "NAME", tmp_path / name / "tmportal.sqlite3")
            return tmp_path / name

    return Elsewhere()  # type: ignore[return-value]


def rows(file: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with sqlite3.connect(file) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table: sorted(opened.execute(f'SELECT * FROM "{table}"').fetchall(), key=repr) for table in tables}
    opened.close()
    return found


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_everything_that_a_new_machine_needs_comes_back_and_nothing_else(
    office: Path, tmp_path: Path, elsewhere: Any
) -> None:
    before = rows(Path(connection.settings_dict["NAME"]))
    made = backup(tmp_path / "kept")
    assert newest(tmp_path / "kept") == made and read_manifest(made)["missing"] == []
    new = elsewhere()
    assert restore(*backup_in(tmp_path / "kept"), replace=False) is None
    assert rows(new / "tmportal.sqlite3") == before and len(before["search_mark"]) == 3
    back = files(new)
    for name in ("tmportal.sqlite3", "run/lock"):
        back.pop(name)
    wanted = {
        name: content
        for name, content in files(office).items()
        if not name.startswith(("run/", "log/", "static/", "broker/", ASIDE, "snapshots/older", "snapshots/.building"))
        and not name.endswith((".tmp", ".lock"))
    }
    assert back == wanted and "something-that-comes-later/x" in wanted
    for path in [*made.rglob("*"), *(p for p in new.rglob("*") if "run" not in p.parts)]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_backup_costs_what_is_new_and_stands_alone(office: Path, tmp_path: Path, elsewhere: Any) -> None:
    kept = tmp_path / "kept"
    first = backup(kept)
    write_whole(office / "vectors/d1/2.feather", b"new")
    write_whole(office / "secret-key", b"another key")
    second = backup(kept)
    data = sorted(str(path.relative_to(second)) for path in (second / "data").rglob("*") if path.is_file())
    copied = [name for name in data if (second / name).stat().st_nlink == 1]
    assert copied == ["data/encoders/CURRENT", "data/secret-key", "data/snapshots/CURRENT", "data/vectors/d1/2.feather"]
    assert (first / "data/secret-key").read_bytes() == b"content of secret-key"
    assert thin_out(kept, 1) == 1 and not first.exists()
    elsewhere()
    restore(*backup_in(kept), replace=False)


@pytest.mark.parametrize("step", ["dump", "copy_file", "_stamped", "seal"])
def test_a_backup_that_was_cut_off_is_never_taken_for_one(
    office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    kept = tmp_path / "kept"
    first = backup(kept)
    write_whole(office / "vectors/d1/2.feather", b"new")

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(database if step == "dump" else archive, step, die)
        killed.setattr(archive.shutil, "rmtree", lambda *_, **__: None)  # killed outright it could not tidy up either
        with pytest.raises(KeyboardInterrupt):
            backup(kept)
    assert [path for path in kept.iterdir() if path.name.startswith(".partial-")] and newest(kept) == first
    second = backup(kept)
    assert newest(kept) == second and {path.name for path in kept.iterdir()} == {".lock", first.name, second.name}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "harm",
    [
        lambda b: _flip(b / "database/tmportal.sqlite3"),
        lambda b: _flip(b / "data/secret-key"),
        lambda b: (b / "data/secret-key").unlink(),
        lambda b: _flip(b / "manifest.json"),
        lambda b: (b / "manifest.json").write_text("{"),
    ],
    ids=["database", "file", "gone", "manifest", "cut"],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    office: Path, tmp_path: Path, elsewhere: Any, harm: Any
) -> None:
    made = backup(tmp_path / "kept")
    harm(made)
    new = elsewhere()
    with pytest.raises(Refused, match="damaged"):
        restore(*backup_in(made), replace=False)
    assert not new.exists() or set(files(new)) == {"run/lock"}


def test_what_is_there_is_kept_unless_told_and_then_put_aside(office: Path, tmp_path: Path, elsewhere: Any) -> None:
    found = backup_in(backup(tmp_path / "kept"))
    new = elsewhere()
    write_whole(new / "media" / "precious", b"1")
    with pytest.raises(Refused, match="--replace"):
        restore(*found, replace=False)
    aside = restore(*found, replace=True)
    assert aside is not None and (aside / "media" / "precious").read_bytes() == b"1"
    assert not (new / "media" / "precious").exists() and (new / "tmportal.sqlite3").is_file()


def test_refused_with_a_sentence(office: Path, tmp_path: Path, elsewhere: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="inside the data directory"):
        backup(office / "backups")
    with pytest.raises(Refused, match="no backup"):
        backup_in(tmp_path)
    made, manifest = backup_in(backup(tmp_path / "kept"))
    new = elsewhere()
    (new / "run").mkdir(parents=True)
    with only_one(new), pytest.raises(CannotStart, match="already runs"):
        restore(made, manifest, replace=True)
    newer = {**manifest, "database": {**manifest["database"], "migrations": [["search", "9999_to_come"]]}}
    with pytest.raises(Refused, match=r"newer release \(migration search\.9999_to_come\)"):
        restore(made, newer, replace=False)
    other = {**manifest, "database": {**manifest["database"], "kind": "server"}}
    with pytest.raises(Refused, match="PostgreSQL"):
        restore(made, other, replace=False)
    with archive._turn(tmp_path / "kept"), pytest.raises(Conflict, match="under way"):
        elsewhere("data")
        backup(tmp_path / "kept")


def test_a_restore_that_was_cut_off_starts_nothing_until_it_was_run_again(
    office: Path, tmp_path: Path, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = backup_in(backup(tmp_path / "kept"))
    new = elsewhere()
    write_whole(new / "media" / "precious", b"1")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(shutil, "move", die)
        with pytest.raises(KeyboardInterrupt):
            restore(*found, replace=True)
    assert (new / UNFINISHED).is_file()
    with pytest.raises(CommandError, match="DIR --replace` again"):
        ensure_data_dir()
    restore(*found, replace=True)
    ensure_data_dir()
    assert [path.read_bytes() for path in new.glob(f"{ASIDE}*/media/precious")] == [b"1"]
    assert (new / "secret-key").read_text() == "content of secret-key"


def test_rows_written_while_the_database_is_copied_do_not_tear_it(
    office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_STEP", 3)
    written = 0

    def write(count: int) -> None:
        nonlocal written
        if written < 40:
            with sqlite3.connect(connection.settings_dict["NAME"]) as other:
                other.execute("UPDATE search_mark SET name = ?, owner = ?", (f"turn {written}", f"turn {written}"))
            other.close()
            written += 1

    before = rows(Path(connection.settings_dict["NAME"]))
    made = backup(tmp_path / "kept", progress=write)
    assert written > 10  # the copy was under way
    assert rows(made / "database" / "tmportal.sqlite3") == before


def test_a_snapshot_published_meanwhile_is_taken_with_its_own_database(
    office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = database.dump
    times = []

    def publishing(*arguments: Any) -> Any:
        times.append(1)
        if len(times) == 1:
            write_whole(office / "snapshots/20270101T0/manifest.json", b"{}")
            write_whole(office / "snapshots/CURRENT", "20270101T0\n")
        return dump(*arguments)

    monkeypatch.setattr(database, "dump", publishing)
    manifest = read_manifest(backup(tmp_path / "kept"))
    assert len(times) == 2 and manifest["snapshot"] == "20270101T0"
    assert [n for n in manifest["files"] if "snapshots/" in n] == [
        "data/snapshots/CURRENT", "data/snapshots/20270101T0/manifest.json"
    ]  # fmt: skip


def test_a_snapshot_pruned_while_it_is_copied_is_replaced_by_the_next(
    office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_file = archive.copy_file

    def pruned(source: Path, *rest: Any) -> Any:
        if SNAPSHOT in str(source):
            shutil.rmtree(office / "snapshots" / SNAPSHOT)
            write_whole(office / "snapshots/20270101T0/manifest.json", b"{}")
            write_whole(office / "snapshots/CURRENT", "20270101T0\n")
        return copy_file(source, *rest)

    monkeypatch.setattr(archive, "copy_file", pruned)
    assert read_manifest(backup(tmp_path / "kept"))["snapshot"] == "20270101T0"


def test_a_file_that_was_lost_before_is_told(office: Path, tmp_path: Path) -> None:
    lost = Mark.objects.get(number="B1").image
    media.path_of(lost).unlink()
    assert read_manifest(backup(tmp_path / "kept"))["missing"] == [lost]
