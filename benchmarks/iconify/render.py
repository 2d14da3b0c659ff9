"""From an icon to a picture: white ground, or dark where the mark itself is white."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import resvg_py
from PIL import Image

from benchmarks.iconify.package import Pack

RECIPE_VERSION = 2  # raise it when pictures, names or the choice of marks change: old builds are not resumed
WHITE = (255, 255, 255)
DARK = (34, 34, 34)  # #222
_VISIBLE_STEP = 48  # difference between neighbouring pixels, 0..255, that an eye takes for an edge
_DARK_GAIN = 0.6  # white stays unless it shows less than this share of the edges that dark shows


def svg_document(pack: Pack, icon: str, size: int) -> str:
    """The icon as a whole SVG document whose longest side is `size` less a margin of 1/32 on each side."""
    entry: dict[str, Any] = pack.icons[icon]
    keys = ("left", "top", "width", "height")
    left, top, width, height = (entry.get(key, usual) for key, usual in zip(keys, pack.box, strict=True))
    # A box of no size (some packs have one) cannot be rendered; that is found out there.
    scale = (size - 2 * (size // 32)) / (max(width, height) or 1)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{max(1, round(width * scale))}" '
        f'height="{max(1, round(height * scale))}">{entry["body"]}</svg>'
    )


def render_mark(svg: str, size: int) -> Image.Image | None:
    """Render to RGB, longest side `size`, the other at least a quarter of it; None when nothing shows."""
    try:
        # Without system fonts: the same picture on every machine.
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
    except ValueError:
        return None
    ink = Image.open(io.BytesIO(png)).convert("RGBA")
    margins, least = 2 * (size // 32), size // 4
    canvas = (max(ink.width + margins, least), max(ink.height + margins, least))
    on_white, on_dark = (_lay(ink, canvas, ground) for ground in (WHITE, DARK))
    # A white tile's own outline is no reason for a dark ground: look inside the mark's box only.
    inside = _inside(on_white, ink)
    dark_tells_more = _edges(on_white.crop(inside)) < _DARK_GAIN * _edges(on_dark.crop(inside))
    picture = on_dark if dark_tells_more or not _edges(on_white) else on_white
    return picture if _edges(picture) >= size // 8 else None


def _inside(picture: Image.Image, ink: Image.Image) -> tuple[int, int, int, int]:
    """The box of what is drawn, in the picture's pixels, without the two outermost rows and columns."""
    left, top, right, bottom = ink.getchannel("A").getbbox() or (0, 0, ink.width, ink.height)
    x, y = (picture.width - ink.width) // 2, (picture.height - ink.height) // 2
    return (x + left + 2, y + top + 2, max(x + right - 2, x + left + 3), max(y + bottom - 2, y + top + 3))


def _lay(ink: Image.Image, canvas: tuple[int, int], ground: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", canvas, (*ground, 255))
    picture.alpha_composite(ink, ((canvas[0] - ink.width) // 2, (canvas[1] - ink.height) // 2))
    return picture.convert("RGB")


def _edges(picture: Image.Image) -> int:
    red, green, blue = np.moveaxis(np.asarray(picture).astype(np.int16), 2, 0)
    found = 0
    for axis in (0, 1):
        steps = (np.abs(np.diff(channel, axis=axis)) > _VISIBLE_STEP for channel in (red, green, blue))
        found += int(np.count_nonzero(np.logical_or.reduce(list(steps))))
    return found
