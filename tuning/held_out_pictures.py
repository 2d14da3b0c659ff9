"""Pictures of the held-out queries for the pages: what stands behind a line of the gate."""

import re
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from search import media
from search.errors import NotThere
from search.retrieval.decoding import decode_apart
from search.retrieval.imaging import ImageRefused
from tuning.evaluation.metu import EXTENSIONS

_NAME = re.compile(r"\d+-(\d+)\.\w+")
_SIDE = 200


def held_out_thumbnail(name: str) -> bytes:
    """A held-out query as WebP, at most 200 px. Raises NotThere for anything that is no readable query."""
    if _NAME.fullmatch(name):  # so there is no way out of the directory, and no wildcard
        path = next(_folder().rglob(name), None)
        if path is not None and path.is_file():
            try:
                return media.thumbnail_bytes(decode_apart(path.read_bytes()).pixels, _SIDE)
            except (ImageRefused, OSError):
                pass
    raise NotThere("There is no such held-out query.")


def relatives_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Held-out query -> the other members of its group, by name; queries that are gone are left out."""
    groups: dict[str, list[str]] = {}
    for path in sorted(_folder().rglob("*")):
        match = _NAME.fullmatch(path.name)
        if match and path.suffix.lower() in EXTENSIONS:
            groups.setdefault(str(int(match[1])), []).append(path.name)
    found = {}
    for name in names:
        match = _NAME.fullmatch(name)
        group = groups.get(str(int(match[1])), []) if match else []
        if name in group:
            found[name] = [other for other in group if other != name]
    return found


def _folder() -> Path:
    return Path(settings.TM_HELD_OUT) / "queries"
