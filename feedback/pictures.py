"""Pictures for the report's pages, with the part that matched framed as on the screen."""

from collections.abc import Sequence
from typing import Any

from PIL import Image, UnidentifiedImageError

from search import media

FRAME = "#d9480f"
_HALF_LINE = 1.2
"""Points. The white halo of the frame is twice as wide."""


def picture(
    name: str, side: float, box: Sequence[float] | None = None, size: tuple[int, int] = (0, 0), *, alt: str = ""
) -> dict[str, Any] | None:
    """A stored image at most `side` points wide and high, as report.typ draws it; None where there is none to draw.

    box: x0, y0, x1, y1 in pixels of the original, whose width and height are `size`. frame: left, top, width and
    height in points, None without a box.
    """
    try:
        with Image.open(media.path_of(name)) as image:
            image.load()  # a damaged file costs its picture, not the report
            across, down = image.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError):
        return None
    width, height = (side * edge / max(across, down) for edge in (across, down))
    return {"path": f"/{name}", "width": width, "height": height, "alt": alt, "frame": _frame(box, size, width, height)}


def _frame(box: Any, size: tuple[int, int], width: float, height: float) -> list[float] | None:
    if not box or not all(size):
        return None
    x0, y0, x1, y1 = (edge / size[axis % 2] * (width, height)[axis % 2] for axis, edge in enumerate(box))
    # Half a line inwards, so that a frame at the edge is not cut off.
    left, top = max(x0, _HALF_LINE), max(y0, _HALF_LINE)
    right, bottom = min(x1, width - _HALF_LINE), min(y1, height - _HALF_LINE)
    return [left, top, max(right - left, 0), max(bottom - top, 0)]
