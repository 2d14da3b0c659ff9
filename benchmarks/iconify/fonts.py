"""Words in many fonts: open fonts from npm, and words drawn with them for training."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.iconify.package import fetch

_VERSION = "5.3.0"
_NAMES = """
abril-fatface anton audiowide bangers bebas-neue cinzel comfortaa courier-prime dancing-script great-vibes josefin-sans
kaushan-script lobster montserrat orbitron oswald pacifico permanent-marker playfair-display raleway righteous
roboto-slab rubik-mono-one unifrakturcook
"""
NAMES = tuple(_NAMES.split())
"""Families of `@fontsource`: text and display, serif and sans, script, slab, blackletter; OFL-1.1 or Apache-2.0."""

_HEIGHT = 56


def open_fonts(cache: Path) -> dict[str, bytes]:
    """Name and weight -> font file (WOFF, Latin), fetched with npm into `cache` where they are not there yet."""
    found = {}
    for name in NAMES:
        tarball = fetch(f"@fontsource/{name}", _VERSION, cache / f"fontsource-{name}-{_VERSION}.tgz")
        with tarfile.open(tarball) as archive:
            for weight in (400, 700):
                member = f"package/files/{name}-latin-{weight}-normal.woff"
                content = archive.extractfile(member) if member in archive.getnames() else None
                if content is not None:
                    found[f"{name} {weight}"] = content.read()
    return found


def draw_word(text: str, font: bytes, *, dark: int = 0) -> NDArray[np.uint8] | None:
    """One line in a font, cropped to its ink, uint8 (height, width); None where the font shows nothing of it."""
    face = ImageFont.truetype(io.BytesIO(font), _HEIGHT)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(text))
    if right - left < 4 or bottom - top < 4:
        return None
    board = Image.new("L", (right - left + 8, bottom - top + 8), 255)
    ImageDraw.Draw(board).text((4 - left, 4 - top), text, fill=dark, font=face)
    return np.asarray(board)


def spelled(brand: str, rng: np.random.Generator) -> str:
    """A brand's name in lower case, capitals or with a capital."""
    return (brand, brand.upper(), brand.capitalize())[int(rng.integers(3))]


def draw_words(
    brands: Sequence[str], fonts: dict[str, bytes], count: int, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """`count` pictures of names, each in a font and a dark grey drawn by chance."""
    names = list(fonts)
    found: list[NDArray[np.uint8]] = []
    while len(found) < count:
        text = spelled(brands[int(rng.integers(len(brands)))], rng)
        picture = draw_word(text, fonts[names[int(rng.integers(len(names)))]], dark=int(rng.integers(0, 80)))
        if picture is not None:
            found.append(picture)
    return found
