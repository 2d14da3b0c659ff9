"""Polarity and crop normaliser: a mark reversed, in wide margins or recoloured gives the same picture.

Reversed contrast is the commonest way to copy a mark (design section 2). Steps: grey; dark paper inverted;
paper to white and the darkest ink to black; uniform margin cut off; padded to a square on white. The geometry
is kept, so that a box found in the normalised picture can be drawn on the original. The colours that this
takes away are kept aside, for the one descriptor that compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from search.retrieval.imaging import Picture, Pixels

VERSION = "norm-1"
SIDE = 256
"""Side of the normalised square, in pixels: parts are cut from it, every encoder's input is made from it."""

_TOLERANCE = 24
"""Grey levels by which paper may differ from itself: JPEG noise, paper texture."""
_PAD = 0.06
"""White margin around the mark, as a share of its longer side, so that padding artefacts touch no ink."""
_MIN_CONTRAST = 32
"""Below this range of grey there is nothing to stretch: noise would be blown up to ink."""

_COLOURS_SIDE = 96
"""Pixels along the longer side of the colour sample: shares of colour are good to a percent or two."""

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Normalised:
    """A normalised mark, and where it was.

    grey: uint8 (SIDE, SIDE), dark ink on white. A point (x, y) of it is (x * scale + left, y * scale + top)
    in the original image of `width` x `height` pixels. inverted: the paper was dark. blank: no ink found.
    colours: uint8 RGB (h, w, 3), the original inside the ink's box and a narrow margin, since coloured paper is a
    colour of the mark; every n-th pixel, so that neither side exceeds 96.
    """

    grey: Grey
    scale: float
    left: float
    top: float
    width: int
    height: int
    inverted: bool
    blank: bool
    colours: Pixels

    def to_original(self, boxes: NDArray[np.integer]) -> NDArray[np.int32]:
        """Boxes (n, 4) in the normalised square -> pixels of the original, cut at its border."""
        b = np.asarray(boxes, dtype=np.float64).reshape(-1, 4) * self.scale
        b += (self.left, self.top, self.left, self.top)
        low = np.floor(b[:, :2])
        high = np.ceil(b[:, 2:])
        limit = np.array([self.width, self.height], dtype=np.float64)
        low = np.clip(low, 0, limit - 1)
        high = np.clip(high, low + 1, limit)
        return np.concatenate([low, high], axis=1).astype(np.int32)


def normalise(image: Pixels | Picture) -> Normalised:
    """uint8 RGB (h, w, 3), or a reduced Picture, to the normalised square."""
    picture = image if isinstance(image, Picture) else Picture(image, image.shape[1], image.shape[0])
    grey: Grey = np.asarray(cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    paper = _paper(grey)
    inverted = paper < 128
    if inverted:
        grey = 255 - grey
        paper = 255 - paper
    ink = np.abs(grey.astype(np.int16) - paper) > _TOLERANCE
    x0, y0, x1, y1 = _extent(ink)
    blank = not ink.any()
    crop = _stretch(grey[y0:y1, x0:x1], paper)
    # `ratio` is original pixels per pixel of the (possibly reduced) picture.
    ratio = picture.width / picture.pixels.shape[1]
    square, side, left, top = _square(crop)
    return Normalised(
        grey=square,
        scale=side / SIDE * ratio,
        left=(x0 - left) * ratio,
        top=(y0 - top) * ratio,
        width=picture.width,
        height=picture.height,
        inverted=bool(inverted),
        blank=blank,
        colours=_sample(picture.pixels, (x0, y0, x1, y1)),
    )


def _paper(grey: Grey) -> int:
    """Grey level of the background: the median along the border, one pixel deep."""
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    return int(np.median(border))


def _extent(ink: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Bounding box of the ink, x0, y0, x1, y1; the whole picture when there is none."""
    height, width = ink.shape
    columns = np.flatnonzero(ink.any(axis=0))
    rows = np.flatnonzero(ink.any(axis=1))
    if not len(columns):
        return 0, 0, width, height
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _sample(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """Pixels of the box and its margin. Picked, not averaged: neighbouring colours would mix to ones the mark does
    not have. A copy: a view would keep the whole picture in memory."""
    x0, y0, x1, y1 = box
    pad = 1 + round(_PAD * max(x1 - x0, y1 - y0))
    crop = pixels[max(y0 - pad, 0) : y1 + pad, max(x0 - pad, 0) : x1 + pad]
    step = -(-max(crop.shape[:2]) // _COLOURS_SIDE)
    return np.ascontiguousarray(crop[step // 2 :: step, step // 2 :: step])


def _stretch(grey: Grey, paper: int) -> Grey:
    """Paper to white and the darkest ink (first percentile) to black, so that colour does not matter."""
    dark = float(np.percentile(grey, 1))
    if paper - dark < _MIN_CONTRAST:
        dark = 0.0
    levels = np.clip((np.arange(256) - dark) / max(paper - dark, 1) * 255, 0, 255)
    return np.asarray(cv2.LUT(grey, np.rint(levels).astype(np.uint8)), dtype=np.uint8)


def _square(crop: Grey) -> tuple[Grey, float, float, float]:
    """Crop centred on a white square of SIDE; the square's side and the crop's offset, in crop pixels."""
    height, width = crop.shape
    side = max(height, width) * (1 + 2 * _PAD)
    left, top = (side - width) / 2, (side - height) / 2
    factor = SIDE / side
    # Shrinking must average and growing must interpolate, or thin lines break and edges turn to stairs.
    wide, high = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = cv2.resize(crop, (wide, high), interpolation=how)
    square = np.full((SIDE, SIDE), 255, np.uint8)
    at_x, at_y = (SIDE - wide) // 2, (SIDE - high) // 2
    square[at_y : at_y + high, at_x : at_x + wide] = small
    return square, side, left, top


def resized(grey: Grey, side: int) -> Pixels:
    """Normalised grey to an encoder's input: uint8 (side, side, 3)."""
    if grey.shape[0] != side:
        how = cv2.INTER_AREA if grey.shape[0] > side else cv2.INTER_LINEAR
        grey = np.asarray(cv2.resize(grey, (side, side), interpolation=how), dtype=np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
