"""`objects`: the parts of a mark, found by k-means and watershed, compared as a set (design section 1).

Segmentation after Jardim et al., J. Imaging 8(6):163, and science 1.4: k-means with k=2 parts ink from paper,
a distance transform finds the cores of the ink, watershed parts what merely touches. The mark is normalised
grey on white already, so the two means are found on the grey histogram, without random centres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from search.retrieval.descriptors.vector import VectorDescriptor
from search.retrieval.imaging import Pixels
from search.retrieval.normalise import SIDE, Grey, Normalised

VERSION = "parts-1"

_MIN_AREA = 0.01
"""Boxes below this share of the picture are specks (science 1.4)."""
_MAX_AREA = 0.80
"""Boxes above this share of the mark's own box are the mark again: `general` has it already."""
_CORE_DISTANCE = round(20 * SIDE / 224)
"""Cores closer than this belong to one part: 20 px at 224 px (science 1.4)."""
_PAD = round(4 * SIDE / 224)


@dataclass(frozen=True)
class Parts:
    """boxes: int32 (r, 4) in the normalised square; vectors: float32 (r, d), unit."""

    boxes: NDArray[np.int32]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class PartsDescriptor:
    """Parts of a mark in the space of `base`: at most `count` of them, seen at `side` pixels."""

    base: VectorDescriptor
    count: int
    side: int

    @property
    def version(self) -> str:
        return f"objects:{VERSION}:{self.count}:{self.side}"

    def describe(self, marks: Sequence[Normalised]) -> list[Parts]:
        found = [find_parts(mark.grey, self.count) for mark in marks]
        cuts = [
            cut(mark.grey, box, self.side) for mark, boxes in zip(marks, found, strict=True) for box in boxes
        ]
        vectors = (
            self.base.encode(np.stack(cuts)) if cuts else np.zeros((0, self.base.whitening.dim), np.float32)
        )
        ends = np.cumsum([len(boxes) for boxes in found])
        return [Parts(boxes, vectors[end - len(boxes) : end]) for boxes, end in zip(found, ends, strict=True)]


def find_parts(grey: Grey, count: int) -> NDArray[np.int32]:
    """Boxes (r, 4) of the largest parts, x0, y0, x1, y1 in the normalised square, largest first."""
    ink = _ink(grey)
    if not ink.any():
        return np.zeros((0, 4), np.int32)
    _, _, wide, high = cv2.boundingRect(ink)
    boxes: list[tuple[int, int, int, int]] = []
    for label in (_components(ink), _watershed(ink)):
        for box in _boxes(label):
            area = (box[2] - box[0]) * (box[3] - box[1])
            if area < _MIN_AREA * SIDE * SIDE or area > _MAX_AREA * wide * high:
                continue
            if all(_overlap(box, other) < 0.8 for other in boxes):
                boxes.append(box)
    boxes.sort(key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))
    return np.asarray(boxes[:count], dtype=np.int32).reshape(-1, 4)


def cut(grey: Grey, box: NDArray[np.integer], side: int) -> Pixels:
    """The part padded to a square on white, as encoder input uint8 (side, side, 3)."""
    x0, y0, x1, y1 = (int(v) for v in box)
    part = grey[y0:y1, x0:x1]
    longest = max(part.shape) + 2 * _PAD
    square = np.full((longest, longest), 255, np.uint8)
    top, left = (longest - part.shape[0]) // 2, (longest - part.shape[1]) // 2
    square[top : top + part.shape[0], left : left + part.shape[1]] = part
    how = cv2.INTER_AREA if longest > side else cv2.INTER_LINEAR
    return np.repeat(cv2.resize(square, (side, side), interpolation=how)[:, :, None], 3, axis=2)


def _ink(grey: Grey) -> NDArray[np.uint8]:
    """k-means with k=2 on the grey levels: 1 where the darker label is, 0 elsewhere."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256)
    dark, light = 0.0, 255.0
    for _ in range(32):
        split = (dark + light) / 2
        below = levels <= split
        if not counts[below].sum() or not counts[~below].sum():
            break
        means = (
            float(np.average(levels[below], weights=counts[below])),
            float(np.average(levels[~below], weights=counts[~below])),
        )
        if means == (dark, light):
            break
        dark, light = means
    return np.asarray(grey <= (dark + light) / 2, dtype=np.uint8)


def _components(ink: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Pieces of ink that do not touch."""
    return np.asarray(cv2.connectedComponents(ink, connectivity=8)[1], dtype=np.int32)


def _watershed(ink: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Pieces of ink with a core each, parted where touching pieces are thinnest."""
    distance = cv2.distanceTransform(ink, cv2.DIST_L2, 3)
    window = np.ones((2 * _CORE_DISTANCE + 1,) * 2, np.uint8)
    peaks = ((distance >= cv2.dilate(distance, window)) & (ink > 0)).astype(np.uint8)
    _, markers = cv2.connectedComponents(peaks, connectivity=8)
    markers = np.where(ink > 0, markers, markers.max() + 1).astype(np.int32)
    markers[(ink > 0) & (peaks == 0)] = 0
    relief = np.asarray(255 - distance * (255 / distance.max()), dtype=np.uint8)
    paper = int(markers.max())
    labels = np.asarray(cv2.watershed(cv2.cvtColor(relief, cv2.COLOR_GRAY2BGR), markers), dtype=np.int32)
    labels[(labels == paper) | (labels < 0)] = 0
    return labels


def _boxes(labels: NDArray[np.int32]) -> list[tuple[int, int, int, int]]:
    """Bounding box of every label but 0."""
    found = ndimage.find_objects(labels)
    return [(at[1].start, at[0].start, at[1].stop, at[0].stop) for at in found if at is not None]


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over union."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
