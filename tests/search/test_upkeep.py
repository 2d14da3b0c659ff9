"""What a search worker finds out by itself, and what it has done about it."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search import media
from search import upkeep as upkeep_module
from search.engine import Engine
from search.models import Mark
from search.retrieval.snapshot import SnapshotStore
from search.selectors import live_parameters
from search.snapshots import snapshot_lacks, snapshot_publish, snapshot_renew
from search.upkeep import Upkeep
from tests.search.retrieval.test_snapshot import as_before, flip

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    tasks: list[str] = []
    monkeypatch.setattr(upkeep_module, "send", lambda task: tasks.append(task.name) or True)
    return tasks


@pytest.fixture
def kept(register: Any, tmp_path: Path) -> Iterator[Path]:
    """The live snapshot's folder; whatever a test does to the snapshots is undone."""
    root = register.snapshots.root
    snapshot_publish()
    shutil.copytree(root, tmp_path / "snapshots")
    yield root / register.snapshots.current()
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "snapshots", root)


@contextlib.contextmanager
def altered(path: Path) -> Iterator[None]:
    whole = path.read_bytes()
    flip(path)
    yield
    path.write_bytes(whole)


def test_the_kept_search_is_answered_as_it_was_and_a_wrong_answer_is_said(register: Any, kept: Path) -> None:
    upkeep = Upkeep(register)
    upkeep.ask()
    snapshot = register.searcher().snapshot
    assert upkeep.trouble == "" and snapshot.probe is not None and snapshot.probe.answer[0][0] == "T/000"
    status = upkeep.status()
    assert status["snapshot"] == kept.name and status["asked"] < 60 and not status["damage"] and not status["note"]
    describer = register.describer
    general = describer.whole.whitening.matrix
    general[:] = -general[::-1]  # as an encoder would be whose numbers have changed
    try:
        upkeep.ask()
        assert f"search kept with snapshot {kept.name} is answered otherwise: " in upkeep.trouble
    finally:
        general[:] = -general[::-1]
    upkeep.ask()
    assert upkeep.trouble == ""


def test_a_fault_of_the_kept_search_is_said_and_not_raised(
    register: Any, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = Upkeep(register)
    monkeypatch.setattr(register, "serving", lambda: 1 / 0)
    upkeep.ask()
    assert "fails inside the service" in upkeep.status()["trouble"]


def test_damage_under_a_loaded_snapshot_is_found_said_and_a_new_one_asked_for(
    register: Any, kept: Path, sent: list[str]
) -> None:
    register.searcher()
    upkeep = Upkeep(register)
    upkeep.verify()
    upkeep.look()
    assert not upkeep.damage and not sent
    flip(kept / "index.faiss")
    upkeep.look()
    assert not sent  # sizes tell nothing
    upkeep.verify()
    assert "index.faiss has changed" in upkeep.status()["damage"]
    assert register.searcher().snapshot.id == kept.name  # what is loaded serves on
    upkeep.look()
    upkeep.look()
    assert sent == ["search.tasks.renew_snapshot"]  # once, not at every look
    assert snapshot_renew() == register.snapshots.current() != kept.name
    assert upkeep.damage == "" and register.searcher().snapshot.id != kept.name
    assert snapshot_renew() is None


def test_files_that_are_brought_back_serve_again(register: Any, kept: Path) -> None:
    snapshot_publish()
    live = register.snapshots.root / register.snapshots.current()
    fresh, upkeep = Engine(), None
    with altered(live / "index.faiss"):
        upkeep = Upkeep(fresh)
        assert fresh.searcher().snapshot.id == kept.name and live.name in upkeep.status()["note"]
    upkeep.verify()
    assert fresh.searcher().snapshot.id == live.name and upkeep.status()["note"] == ""


@pytest.mark.parametrize("damage", ["pointer", "manifest", "cut", "format", "calibration", "parameters"])
def test_what_the_live_snapshot_lacks_is_seen_without_reading_it(
    register: Any, kept: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert snapshot_lacks(thorough=False) == ""
    if damage == "pointer":
        (kept.parent / "CURRENT").unlink()
    elif damage == "manifest":
        (kept / "manifest.json").unlink()
    elif damage == "cut":
        (kept / "index.faiss").write_bytes(b"")
    elif damage == "format":
        as_before(kept)
    elif damage == "calibration":
        other = register.searcher().snapshot.calibration
        changed = type(other)({"general": 7.0}, {"general": -3.0})
        monkeypatch.setattr("search.encoders.calibration", lambda: changed)
    else:
        monkeypatch.setattr("search.snapshots.live_parameters", lambda: None)
    assert snapshot_lacks(thorough=False)
    if damage != "parameters":
        snapshot_renew()
        assert snapshot_lacks() == ""
    live = live_parameters()
    assert live is not None and live.calibration_version == register.searcher().snapshot.calibration.version


def test_a_damaged_segment_and_a_damaged_original_do_not_stop_a_rebuild(
    register: Any, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    segments = sorted((register.snapshots.root.parent / "vectors" / register.describer.version).glob("*.feather"))
    before = {path: path.read_bytes() for path in segments}
    mark = Mark.objects.get(number="T/005")
    original = media.path_of(mark.image)
    whole = original.read_bytes()
    flip(segments[0])
    flip(original)
    try:
        made = snapshot_publish()
        manifest = register.snapshots.manifest(made)
        assert (manifest["marks"], manifest["left_out"]) == (39, 1)
        assert "T/005" in caplog.text and "set aside" in caplog.text
        original.write_bytes(whole)
        assert register.snapshots.manifest(snapshot_publish())["left_out"] == 0
    finally:
        original.write_bytes(whole)
        for path, data in before.items():
            path.write_bytes(data)


def test_an_original_that_is_damaged_is_stored_again_by_its_ingest(register: Any, marks_folder: Path) -> None:
    mark = Mark.objects.get(number="T/006")
    data = media.read(mark.image, sha256=mark.image_sha256)
    flip(media.path_of(mark.image))
    with pytest.raises(FileNotFoundError, match="has changed since it was written"):
        media.read(mark.image, sha256=mark.image_sha256)
    media.mark_image_write(data, np.asarray(Image.open(marks_folder / "6.png").convert("RGB")))
    assert media.read(mark.image, sha256=mark.image_sha256) == data


def test_without_marks_nothing_is_lacking(db: Any, settings: Any, tmp_path: Path) -> None:
    settings.TM_DATA_DIR = tmp_path
    assert SnapshotStore(tmp_path / "snapshots").current() is None and snapshot_lacks() == ""
