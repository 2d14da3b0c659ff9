"""Reading `@iconify/json`: one JSON file per icon pack, in the npm tarball or an unpacked directory."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NPM_NAME = "@iconify/json"
PINNED_VERSION = "2.2.535"


class PackageError(Exception):
    """The icon package cannot be used; the text is one sentence for the user."""


@dataclass(frozen=True)
class Pack:
    """One icon pack. `icons` maps a name to its entry (`body` and, where they differ, its box)."""

    prefix: str
    icons: dict[str, dict[str, Any]]
    box: tuple[float, float, float, float]  # left, top, width, height of icons that carry none
    title: str
    category: str
    author: str
    author_url: str
    licence: str  # SPDX
    licence_url: str
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)  # icon -> other names of the very same drawing
    categories: dict[str, str] = field(default_factory=dict)  # icon -> the pack's own category, where it has some

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Pack:
        """Read a pack's file. Aliases are no icons of their own: each is one again, turned or renamed."""
        info = data.get("info", {})
        licence, author = info.get("license", {}), info.get("author", {})
        return cls(
            prefix=data["prefix"],
            icons=data["icons"],
            # Iconify's own default box is 16 x 16.
            box=(data.get("left", 0), data.get("top", 0), data.get("width", 16), data.get("height", 16)),
            title=info.get("name", data["prefix"]),
            category=info.get("category", ""),
            author=author.get("name", ""),
            author_url=author.get("url", ""),
            licence=licence.get("spdx", ""),
            licence_url=licence.get("url", ""),
            aliases=_names(data.get("aliases", {})),
            categories={icon: name for name, icons in data.get("categories", {}).items() for icon in icons},
        )


def _names(aliases: dict[str, dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Icon -> its other names; an alias that turns or mirrors the drawing is another picture, and left out."""
    found: dict[str, list[str]] = {}
    for name, entry in aliases.items():
        if set(entry) == {"parent"}:
            found.setdefault(entry["parent"], []).append(name)
    return {icon: tuple(names) for icon, names in found.items()}


@dataclass(frozen=True)
class IconPackage:
    """The whole package: where it lies and its version."""

    path: Path
    version: str

    def packs(self, *, without: Container[str] = ()) -> Iterator[Pack]:
        """Yield the packs in the order of their names, reading each file once."""
        try:
            found = [Pack.from_json(json.loads(text)) for name, text in self._files() if name not in without]
        except (OSError, EOFError, KeyError, ValueError, zlib.error, tarfile.TarError) as error:
            raise PackageError(f"The icon package at {self.path} is damaged: {error}.") from error
        yield from sorted(found, key=lambda pack: pack.prefix)

    def _files(self) -> Iterator[tuple[str, bytes]]:
        if self.path.is_dir():
            for file in sorted((self.path / "json").glob("*.json")):
                yield file.stem, file.read_bytes()
            return
        with tarfile.open(self.path) as archive:
            for member in archive:
                if member.name.startswith("package/json/") and member.name.endswith(".json"):
                    content = archive.extractfile(member)
                    if content is not None:
                        yield Path(member.name).stem, content.read()


def open_package(path: Path | None, *, cache: Path) -> IconPackage:
    """Open the package at `path` (tarball or directory); fetch it with npm into `cache` when None.

    Raises PackageError when it is missing, is not the package, or is another version than the one
    that the families were made for.
    """
    path = _fetch(cache) if path is None else path
    if not path.exists():
        raise PackageError(f"There is no icon package at {path}.")
    if path.is_dir() and not (path / "json").is_dir() and (path / "package" / "json").is_dir():
        path = path / "package"
    version = _version(path)
    if version != PINNED_VERSION:
        raise PackageError(
            f"The families were made for {NPM_NAME} {PINNED_VERSION}, but {path} holds version {version}."
        )
    return IconPackage(path, version)


def _version(path: Path) -> str:
    try:
        if path.is_dir():
            text = (path / "package.json").read_bytes()
        else:
            with tarfile.open(path) as archive:
                content = archive.extractfile("package/package.json")
                text = content.read() if content is not None else b""
        return str(json.loads(text)["version"])
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise PackageError(f"{path} is not the npm package {NPM_NAME} (tarball or unpacked).") from error


def _fetch(cache: Path) -> Path:
    return fetch(NPM_NAME, PINNED_VERSION, cache / f"iconify-json-{PINNED_VERSION}.tgz")


def fetch(name: str, version: str, tarball: Path) -> Path:
    """`tarball`, fetched with npm unless it is there. Raises PackageError when npm is missing or fails."""
    if tarball.exists():
        return tarball
    npm = shutil.which("npm")
    if npm is None:
        raise PackageError(f"npm is not installed; it fetches {name} {version}. Icons can be given with --package.")
    # npm writes into a folder of its own first: a tarball under its final name is a whole one.
    partial = tarball.parent / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", f"{name}@{version}", "--pack-destination", str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PackageError(f"npm could not fetch {name} {version}: {last}")
    packed = name.removeprefix("@").replace("/", "-") + f"-{version}.tgz"
    (partial / packed).replace(tarball)
    return tarball
