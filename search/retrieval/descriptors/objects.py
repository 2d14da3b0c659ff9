"""`objects`: the parts of a mark, compared as a set (design section 1).

Ink is parted from paper by k-means with k=2, as in Jardim et al., J. Imaging 8(6):163 (science 1.4); the mark
is normalised grey on white, so the two means are found on the grey histogram, without random centres. What
counts as a part was chosen by measurement on held-out families: groups of ink that stand apart, and what a
shape encloses, with its contrast reversed back. The paper's watershed on the distance transform
cuts solid ink into pieces that resemble those of any other mark, and lowered every figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from search.retrieval.descriptors.vector import VectorDescriptor
from search.retrieval.imaging import Pixels
from search.retrieval.normalise import SIDE, Grey, Normalised

VERSION = "parts-2"

_MIN_AREA = 0.01
"""Boxes below this share of the picture are specks (science 1.4)."""
_MAX_AREA = 0.80
"""Boxes above this share of the mark's own box are the mark again: `general` has it already."""
_GAP = SIDE // 32
"""Pieces of ink closer than twice this belong to one group: the letters of a word, the dots of a pattern."""
_SAME = 0.80
"""Two boxes that overlap more (intersection over union) are one part."""
_MIN_SHAPE = 0.075
_MIN_CONTENT = 0.005
"""Least share of the picture for a shape to enclose something, and for what it encloses."""
_PAD = round(4 * SIDE / 224)

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Part:
    """box: x0, y0, x1, y1 in the normalised square. grey: the square to cut it from (contrast may differ)."""

    box: Box
    grey: Grey


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
        cuts = [cut(part, self.side) for parts in found for part in parts]
        empty = np.zeros((0, self.base.whitening.dim), np.float32)
        vectors = self.base.encode(np.stack(cuts)) if cuts else empty
        ends = np.cumsum([len(parts) for parts in found])
        return [
            Parts(
                np.array([part.box for part in parts], np.int32).reshape(-1, 4),
                vectors[end - len(parts) : end],
            )
            for parts, end in zip(found, ends, strict=True)
        ]


def find_parts(grey: Grey, count: int) -> list[Part]:
    """At most `count` parts of a normalised mark: enclosed content first, then groups of ink by size."""
    ink = _ink(grey)
    if not ink.any():
        return []
    _, _, wide, high = cv2.boundingRect(ink)
    parts = _enclosed(grey, ink)
    chosen: list[Box] = []
    for box in sorted([*_pieces(ink, 0), *_pieces(ink, _GAP)], key=_area, reverse=True):
        if not _MIN_AREA * SIDE * SIDE <= _area(box) <= _MAX_AREA * wide * high:
            continue
        if all(_overlap(box, other) < _SAME for other in chosen):
            chosen.append(box)
    return [*parts, *(Part(box, grey) for box in chosen)][:count]


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


def _ink(grey: Grey) -> NDArray[np.uint8]:
    """k-means with k=2 on the grey levels: 1 where the darker label is, 0 elsewhere."""
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
    return np.asarray(grey <= (dark + light) / 2, dtype=np.uint8)


def _pieces(ink: NDArray[np.uint8], gap: int) -> Iterable[Box]:
    """Boxes of the pieces of ink that lie more than 2 * gap apart."""
    joined = cv2.dilate(ink, np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)) if gap else ink
    labels = np.asarray(cv2.connectedComponents(joined, connectivity=8)[1], np.int32) * ink
    for at in ndimage.find_objects(labels):
        if at is not None:
            yield (at[1].start, at[0].start, at[1].stop, at[0].stop)


def _enclosed(grey: Grey, ink: NDArray[np.uint8]) -> list[Part]:
    """What the largest shape encloses, its contrast reversed: the white symbol on a dark box or disc."""
    outlines, hierarchy = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [i for i in range(len(outlines)) if hierarchy[0][i][3] < 0]
    shape = max(outer, key=lambda i: cv2.contourArea(outlines[i]))
    filled = np.zeros_like(ink)
    cv2.drawContours(filled, outlines, shape, 1, -1)
    content = filled & (1 - ink)
    if filled.sum() < _MIN_SHAPE * SIDE * SIDE or content.sum() < _MIN_CONTENT * SIDE * SIDE:
        return []
    x, y, wide, high = cv2.boundingRect(content)
    return [Part((x, y, x + wide, y + high), np.where(filled > 0, 255 - grey, 255).astype(np.uint8))]


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / (_area(a) + _area(b) - wide * high)
