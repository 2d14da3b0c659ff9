"""Static files: once per version, whole or not at all, and every name that a page asks for is there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders

from tmportal import static_files
from tmportal.data_dir import STATIC_POINTER, static_folder
from tmportal.static_files import collect

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sources(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Static files of the test's own, and no others."""
    folder = tmp_path / "sources"
    folder.mkdir()
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    finders.get_finder.cache_clear()
    (folder / "a.js").write_text('import { b } from "./b.js";\n')
    (folder / "b.js").write_text("export const b = 1;\n" * 100)
    yield folder
    finders.get_finder.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "static").mkdir()
    return tmp_path / "static"


def names(root: Path) -> dict[str, str]:
    return dict(json.loads((static_folder(root) / "staticfiles.json").read_text())["paths"])


def test_files_and_what_they_import_are_named_by_their_content_and_compressed(root: Path, sources: Path) -> None:
    collect(root)
    first = names(root)
    folder = static_folder(root)
    assert f'from "./{first["b.js"]}"' in (folder / first["a.js"]).read_text()
    assert (folder / f"{first['b.js']}.gz").is_file()
    assert sorted(path.name for path in root.iterdir()) == sorted([folder.name, STATIC_POINTER])

    (sources / "b.js").write_text("export const b = 2;\n")
    collect(root)
    second = names(root)
    assert second["b.js"] != first["b.js"] and second["a.js"] != first["a.js"]


def test_nothing_is_done_twice_and_what_is_served_stays_until_the_next_version_serves(
    root: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(root)
    first = static_folder(root)
    monkeypatch.setattr(static_files, "call_command", lambda *_, **__: pytest.fail("collected again"))
    collect(root)
    monkeypatch.undo()
    found = [first]
    for text in ("2", "3"):
        (sources / "b.js").write_text(text)
        collect(root)
        found.append(static_folder(root))
        assert {path for path in root.iterdir() if path.is_dir()} == set(found[-2:])
    assert len(set(found)) == 3


@pytest.mark.parametrize("rest", ["cut off", "damaged", "older release"])
def test_what_is_not_whole_is_never_served(root: Path, sources: Path, rest: str) -> None:
    if rest == "cut off":
        (root / ".building").mkdir()
        (root / ".building" / "a.js").touch()
    elif rest == "damaged":
        collect(root)
        (static_folder(root) / "staticfiles.json").unlink()
    else:
        (root / "js").mkdir()
        (root / "js" / "a.js").touch()
        (root / ".whole").touch()
    collect(root)
    assert set(names(root)) == {"a.js", "b.js"}
    assert sorted(path.name for path in root.iterdir()) == sorted([static_folder(root).name, STATIC_POINTER])


def test_every_file_that_a_page_names_is_collected(root: Path) -> None:
    collect(root)
    asked = {
        name
        for page in ROOT.glob("*/templates/**/*.html")
        for name in re.findall(r"{% static '([^']+)' %}", page.read_text())
    }
    assert len(asked) > 10 and asked <= set(names(root))
