"""Pictures for the report's pages, with the part that matched framed as on the screen."""

import io
from collections.abc import Sequence
from typing import Any

from reportlab.lib import colors
from reportlab.platypus import Image

from search import media

FRAME = colors.HexColor("#d9480f")
_HALO, _LINE = 2.4, 1.2
"""Widths in points: the white halo keeps the frame visible on ink of its own colour."""


class FramedImage(Image):
    """An image with a frame around a part of it. share: x0, y0, x1, y1 of it, each 0 to 1 from the top left."""

    def __init__(self, data: bytes, side: float, share: Sequence[float] | None) -> None:
        super().__init__(io.BytesIO(data), width=side, height=side, kind="proportional")
        self._share = share

    def draw(self) -> None:
        super().draw()
        if self._share is None:
            return
        x0, y0, x1, y1 = self._share
        width, height = self.drawWidth, self.drawHeight
        self.canv.saveState()
        for colour, line in ((colors.white, _HALO), (FRAME, _LINE)):
            self.canv.setStrokeColor(colour)
            self.canv.setLineWidth(line)
            # PDF counts from the bottom; half a line inwards, so that a frame at the edge is not cut off.
            left, bottom = max(x0 * width, _HALO / 2), max((1 - y1) * height, _HALO / 2)
            right, top = min(x1 * width, width - _HALO / 2), min((1 - y0) * height, height - _HALO / 2)
            self.canv.rect(left, bottom, max(right - left, 0), max(top - bottom, 0), stroke=1, fill=0)
        self.canv.restoreState()


def picture(
    name: str, side: float, box: Sequence[float] | None = None, size: tuple[int, int] = (0, 0)
) -> FramedImage | None:
    """A stored image at most `side` points wide and high; None where it is no longer on file.

    box: x0, y0, x1, y1 in pixels of the original, whose width and height are `size`.
    """
    path = media.path_of(name)
    if not path.is_file():
        return None
    return FramedImage(path.read_bytes(), side, _share(box, size))


def _share(box: Any, size: tuple[int, int]) -> Sequence[float] | None:
    width, height = size
    if not box or not width or not height:
        return None
    x0, y0, x1, y1 = box
    return x0 / width, y0 / height, x1 / width, y1 / height
