"""Queries and pool in the layout of the METU trademark set, read unchanged (science.md 6.1). Pure.

    queries/<instance>-<group>.jpg     the name is the label: one group is one set of confusable marks
    pool/**/*.jpg                      everything else
    logo_content_types.txt             optional: path TYPE, lines beginning with "<" are skipped
    METU_logo_type_info.csv            optional: path <tab> type

PNG, WebP, GIF and BMP files are read as well. The optional files may lie beside or inside the folders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LayoutError", "MetuLayout", "load"]

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})
_QUERY_NAME = re.compile(r"(\d+)-(\d+)")
_TYPE_FILES = ("logo_content_types.txt", "METU_logo_type_info.csv")


class LayoutError(ValueError):
    """The directories are not in METU layout; str(e) is a sentence for the user."""


@dataclass(frozen=True)
class MetuLayout:
    """queries: the directory. query_paths and groups belong together, ordered by group and instance.

    types: "queries/NAME" or "pool/NAME" -> TEXT, SHAPE, TEXT-SHAPE ..., where the set says so.
    """

    queries: Path
    pool: Path
    query_paths: tuple[Path, ...]
    groups: tuple[str, ...]
    pool_paths: tuple[Path, ...]
    types: Mapping[str, str] = field(default_factory=dict)

    def query_type(self, index: int) -> str | None:
        """Content type of a query, where known."""
        return self.types.get(f"queries/{self.query_paths[index].name}")


def load(queries: Path, pool: Path) -> MetuLayout:
    """Read the layout; no image is opened. Raises LayoutError with a sentence when something is missing."""
    queries, pool = Path(queries), Path(pool)
    for folder, what in ((queries, "queries"), (pool, "pool")):
        if not folder.is_dir():
            raise LayoutError(f"The {what} directory {folder} does not exist.")
    if queries.resolve() == pool.resolve():
        raise LayoutError(f"Queries and pool are the same directory, {queries}.")

    labelled = []
    for path in images_in(queries):
        match = _QUERY_NAME.fullmatch(path.stem)
        if match is None:
            raise LayoutError(
                f"The query {path.name} is not named <instance>-<group>, like 3-12.jpg, so its group cannot be told."
            )
        labelled.append((int(match[2]), int(match[1]), path))
    if not labelled:
        raise LayoutError(f"There are no images in the queries directory {queries}.")
    labelled.sort(key=lambda entry: (entry[0], entry[1], entry[2].name))
    inside = queries.resolve()
    pool_paths = tuple(p for p in images_in(pool) if inside not in p.resolve().parents)
    if not pool_paths:
        raise LayoutError(f"There are no images in the pool directory {pool}.")
    return MetuLayout(
        queries=queries,
        pool=pool,
        query_paths=tuple(path for _, _, path in labelled),
        groups=tuple(str(group) for group, _, _ in labelled),
        pool_paths=pool_paths,
        types=_types(queries, pool),
    )


def images_in(folder: Path) -> Iterator[Path]:
    """All image files below a folder by name; hidden files (and what macOS leaves) are passed over."""
    for directory, names, files in os.walk(folder):
        names[:] = sorted(n for n in names if not n.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(directory) / name


def _types(queries: Path, pool: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in dict.fromkeys((queries.parent, pool.parent, queries, pool)):
        for name in _TYPE_FILES:
            path = folder / name
            if path.is_file():
                for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                    _read_type(line, found)
    return found


def _read_type(line: str, found: dict[str, str]) -> None:
    if line.startswith("<"):
        return
    # A path may hold spaces; the type never does.
    parts = line.split("\t") if "\t" in line else line.rsplit(maxsplit=1)
    if len(parts) < 2 or not parts[1].strip():
        return
    path = parts[0].strip().strip('"').replace("\\", "/")
    *folders, name = path.split("/")
    kind = "pool" if any("pool" in f or "logo" in f for f in folders) else "queries"
    found[f"{kind}/{name}"] = parts[1].strip().strip('"').upper()
