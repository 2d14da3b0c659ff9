"""Small files for pictures of marks, and telling pictures that are one and the same."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

_COLOURS = 64  # enough for an anti-aliased mark; more only feeds gradients
_THUMB = 32
_SAME = 4.0  # root mean square difference of two 32 x 32 thumbnails, 0..255, below which nobody sees one
_GREYS = 16  # enough for a mark in black and white


def webp_bytes(picture: Image.Image) -> bytes:
    """Lossless WebP of an RGB picture after reducing it to few colours, without dithering."""
    pixels = np.asarray(picture)
    plain = int(np.ptp(pixels.astype(np.int16), axis=2).max()) < 8  # black, white and grey only
    few = picture.quantize(_GREYS if plain else _COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    # Method 6 takes fifty times as long and saves 5 % (measured).
    few.convert("RGB").save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return buffer.getvalue()


def thumbnail(picture: Image.Image) -> np.ndarray:
    """A float32 vector of 32 * 32 * 3 by which pictures are compared; padded to a square first."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), picture.getpixel((0, 0)))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(square.resize((_THUMB, _THUMB), Image.Resampling.BOX), dtype=np.float32).ravel()


class SeenPictures:
    """Remembers thumbnails; tells whether a picture was there before."""

    def __init__(self) -> None:
        self._thumbs = np.empty((256, _THUMB * _THUMB * 3), dtype=np.float32)
        self._count = 0

    def is_new(self, picture: Image.Image) -> bool:
        """True, and remembered, unless a picture that looks exactly the same is known."""
        thumb = thumbnail(picture)
        known = self._thumbs[: self._count]
        if self._count and float(np.sqrt(np.mean((known - thumb) ** 2, axis=1)).min()) < _SAME:
            return False
        if self._count == len(self._thumbs):
            self._thumbs = np.concatenate([self._thumbs, np.empty_like(self._thumbs)])
        self._thumbs[self._count] = thumb
        self._count += 1
        return True


def drawn_share(picture: Image.Image) -> float:
    """Longest side of what is drawn over the picture's, 0..1; 0 for a bare rectangle."""
    pixels = np.asarray(picture).astype(np.int16)
    drawn = np.abs(pixels - pixels[0, 0]).max(axis=2) > 24
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if len(rows) < 5 or len(columns) < 5:
        return 0.0
    # Two pixels in from each side, where anti-aliasing ends.
    inner = pixels[rows[0] + 2 : rows[-1] - 1, columns[0] + 2 : columns[-1] - 1]
    if int(np.ptp(inner, axis=(0, 1)).max()) < 24:
        return 0.0
    return float(max(np.ptp(rows), np.ptp(columns)) + 1) / max(picture.size)
