"""The static files as they are served: named by their content, compressed, collected once per version of the code.

Every version has a folder of its own, and a file names the live one: a web server that runs keeps the folder it has.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.contrib.staticfiles.apps import StaticFilesConfig
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.management.commands import collectstatic
from django.core.files.storage import Storage as Source
from django.core.management import call_command
from whitenoise.storage import CompressedManifestStaticFilesStorage

from search.retrieval.durable import sync, sync_tree, write_whole
from tmportal.data_dir import STATIC_POINTER, static_folder

_BUILDING = ".building"


class Storage(CompressedManifestStaticFilesStorage):
    """Scripts, too, name what they import by its content: none runs beside one of another version."""

    support_js_module_import_aggregation = True


def collect(root: Path) -> None:
    """Have the files of this version under `root`; nothing is done where they are there already."""
    version, live = _version(), static_folder(root)
    whole = (live / Storage.manifest_name).is_file()
    if whole and live.name == version:
        return
    for path in root.iterdir():  # what is live may be served until this version starts
        if path != root / STATIC_POINTER and not (whole and path == live):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    building = root / _BUILDING
    command = collectstatic.Command()
    command.storage = Storage(location=building)
    call_command(command, interactive=False, verbosity=0)
    sync_tree(building)
    building.rename(root / version)
    sync(root)
    write_whole(root / STATIC_POINTER, version)


def _version() -> str:
    """Of everything that would be collected."""
    found = hashlib.sha256()
    for name, path, source in sorted(_sources(), key=lambda entry: entry[0]):
        with source.open(path) as file:
            found.update(f"{name}\n{file.size}\n".encode() + file.read())
    return found.hexdigest()[:16]


def _sources() -> Iterator[tuple[str, str, Source]]:
    for finder in get_finders():
        for path, source in finder.list(StaticFilesConfig.ignore_patterns):
            yield f"{getattr(source, 'prefix', None) or ''}/{path}", path, source
