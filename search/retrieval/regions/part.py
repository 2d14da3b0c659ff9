"""What every region finder works with: the ink of a normalised mark, boxes, and parts cut out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from search.retrieval.imaging import Pixels
from search.retrieval.normalise import SIDE, Grey

MIN_AREA = 0.01
"""Boxes below this share of the picture are specks (science 1.4)."""
MAX_AREA = 0.80
"""Boxes above this share of the mark's own box are the mark again: `general` has it already."""
SAME = 0.80
"""Two boxes that overlap more (intersection over union) are one part."""
_PAD = round(4 * SIDE / 224)
"""White around a part, as in science 1.4."""

Box = tuple[int, int, int, int]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """box: x0, y0, x1, y1 in the normalised square. grey: the square to cut it from (contrast may differ)."""

    box: Box
    grey: Grey


def cut(part: Part, side: int) -> Pixels:
    """The part padded to a square on white, as encoder input uint8 (side, side, 3)."""
    x0, y0, x1, y1 = part.box
    piece = part.grey[y0:y1, x0:x1]
    longest = max(piece.shape) + 2 * _PAD
    square = np.full((longest, longest), 255, np.uint8)
    top, left = (longest - piece.shape[0]) // 2, (longest - piece.shape[1]) // 2
    square[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
    how = cv2.INTER_AREA if longest > side else cv2.INTER_LINEAR
    return np.repeat(cv2.resize(square, (side, side), interpolation=how)[:, :, None], 3, axis=2)


def two_means(grey: Grey) -> tuple[float, float]:
    """k-means with k=2 on the grey levels: the darker and the lighter mean. Exact, without random centres."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256)
    dark, light = 0.0, 255.0
    for _ in range(32):
        below = levels <= (dark + light) / 2
        if not counts[below].sum() or not counts[~below].sum():
            break
        means = (
            float(np.average(levels[below], weights=counts[below])),
            float(np.average(levels[~below], weights=counts[~below])),
        )
        if means == (dark, light):
            break
        dark, light = means
    return dark, light


def ink_of(grey: Grey) -> Mask:
    """1 where a pixel belongs to the darker of two means, 0 elsewhere."""
    return np.asarray(grey <= sum(two_means(grey)) / 2, dtype=np.uint8)


def boxes_of(labels: NDArray[np.int32]) -> Iterator[Box]:
    """The bounding box of every label from 1 upwards."""
    for at in ndimage.find_objects(labels):
        if at is not None:
            yield (at[1].start, at[0].start, at[1].stop, at[0].stop)


def largest(boxes: Iterable[Box], ink: Mask, count: int) -> list[Box]:
    """At most `count`, by size, without specks, without the whole mark, and each only once."""
    _, _, wide, high = cv2.boundingRect(ink)
    chosen: list[Box] = []
    for box in sorted(boxes, key=area, reverse=True):
        if not MIN_AREA * ink.size <= area(box) <= MAX_AREA * wide * high:
            continue
        if all(overlap(box, other) < SAME for other in chosen):
            chosen.append(box)
    return chosen[:count]


def area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / (area(a) + area(b) - wide * high)


def union(boxes: Iterable[Box]) -> Box:
    """The box around boxes; at least one is needed."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)
