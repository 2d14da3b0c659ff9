"""Groups of ink that stand apart, and what a shape encloses: what ships.

Chosen by measurement on held-out families (benchmarks/regions.py): the paper's watershed on the distance
transform cuts solid ink into pieces that resemble those of any other mark.
"""

from __future__ import annotations

import cv2
import numpy as np

from search.retrieval.normalise import SIDE, Grey
from search.retrieval.regions.part import Box, Mask, Part, boxes_of, ink_of, largest

_GAP = SIDE // 32
"""Pieces of ink closer than twice this belong to one group: the letters of a word, the dots of a pattern."""
_MIN_SHAPE = 0.075
_MIN_CONTENT = 0.005
"""Least share of the picture for a shape to enclose something, and for what it encloses."""


def ink_groups(grey: Grey, count: int) -> list[Part]:
    """At most `count` parts of a normalised mark: enclosed content first, then groups of ink by size."""
    ink = ink_of(grey)
    if not ink.any():
        return []
    boxes = largest([*_pieces(ink, 0), *_pieces(ink, _GAP)], ink, count)
    return [*_enclosed(grey, ink), *(Part(box, grey) for box in boxes)][:count]


def _pieces(ink: Mask, gap: int) -> list[Box]:
    """Boxes of the pieces of ink that lie more than 2 * gap apart."""
    joined = cv2.dilate(ink, np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)) if gap else ink
    labels = np.asarray(cv2.connectedComponents(joined, connectivity=8)[1], np.int32) * ink
    return list(boxes_of(labels))


def _enclosed(grey: Grey, ink: Mask) -> list[Part]:
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
