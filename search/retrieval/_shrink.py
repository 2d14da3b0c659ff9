"""A decoded image at most so many pixels a side, at the cost of a tile: what cannot be averaged as it stands (palettes,
transparency, more than 8 bits) is converted tile by tile, never at full size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TILE = 1024
"""Side of a tile in pixels, rounded to whole steps of the shrinking."""


def fitted(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Width and height in proportion, the longer one max_side."""
    width, height = (max(1, round(side * max_side / max(size))) for side in size)
    return width, height


def deep(image: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def shrunk(image: Image.Image, max_side: int) -> Image.Image:
    """The image itself when it is small enough or can be averaged in place; else a new one in L, RGB or RGBA."""
    if max(image.size) <= max_side:
        return image
    transparent = image.has_transparency_data
    if image.mode in ("L", "RGB", "CMYK") and not transparent:
        image.thumbnail((max_side, max_side), Image.Resampling.BOX)
        return image
    if deep(image):
        low, high = _extremes_of(image)
        return _by_tiles(image, max_side, "L", lambda tile: Image.fromarray(to_8_bit(np.asarray(tile), low, high)))
    if transparent:
        # Premultiplied, or the colour behind clear pixels would bleed into the ink.
        return _by_tiles(image, max_side, "RGBa", lambda tile: tile.convert("RGBA").convert("RGBa")).convert("RGBA")
    return _by_tiles(image, max_side, "RGB", lambda tile: tile.convert("RGB"))


def _by_tiles(
    image: Image.Image, max_side: int, mode: str, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Averaged over whole squares while converting, then to its size: as `Image.thumbnail` does with what it can."""
    width, height = image.size
    step = max(1, max(image.size) // (2 * max_side))
    coarse = Image.new(mode, (-(-width // step), -(-height // step)))
    for left, top, tile in _tiles(image, step * max(1, _TILE // step)):
        coarse.paste(convert(tile).reduce(step), (left // step, top // step))
    return coarse.resize(fitted(image.size, max_side), Image.Resampling.BOX, box=(0, 0, width / step, height / step))


def _tiles(image: Image.Image, side: int) -> Iterator[tuple[int, int, Image.Image]]:
    width, height = image.size
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield left, top, image.crop((left, top, min(left + side, width), min(top + side, height)))


def _extremes_of(image: Image.Image) -> tuple[float, float]:
    found = [extremes(np.asarray(tile)) for _, _, tile in _tiles(image, _TILE)]
    return min(low for low, _ in found), max(high for _, high in found)


def extremes(grey: NDArray[np.generic]) -> tuple[float, float]:
    """The least and greatest value; what is no number counts as 0."""
    if grey.dtype.kind == "f":
        grey = _finite(grey)
    return float(np.float32(grey.min())), float(np.float32(grey.max()))


def to_8_bit(grey: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Grey of any depth to 0..255 by scale, never by cutting off the upper bits; low, high: of the whole image."""
    if grey.dtype.kind == "f":
        full = 1.0 if high <= 1 else max(high, 255.0)
    elif grey.dtype.itemsize == 2 or high > 255:
        full = max(high, 65535.0)
    else:
        full = 255.0
    floor = min(low, 0.0)
    values = _finite(grey)
    values -= floor
    values /= full - floor
    values *= 255
    return np.rint(values, out=values).astype(np.uint8)


def _finite(grey: NDArray[np.generic]) -> NDArray[np.float32]:
    """A copy as float32; what is no number becomes 0."""
    values = grey.astype(np.float32)
    if grey.dtype.kind == "f":
        values[~np.isfinite(values)] = 0
    return values
