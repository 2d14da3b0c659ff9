"""A few fixed crops, whatever is in them: the cheapest idea of a part, and the one to beat."""

from __future__ import annotations

import cv2

from search.retrieval.normalise import Grey
from search.retrieval.regions.part import Box, Part, ink_of

_OBLONG = 1.6
"""From this proportion on a mark is two things beside or above each other."""


def crops(grey: Grey, count: int) -> list[Part]:
    """Halves of an oblong mark, else its centre (half as wide and high) and its four quarters."""
    ink = ink_of(grey)
    if not ink.any():
        return []
    x, y, wide, high = cv2.boundingRect(ink)
    right, bottom = x + wide, y + high
    if min(wide, high) < 2:
        return []
    middle_x, middle_y = x + wide // 2, y + high // 2
    boxes: list[Box]
    if wide > _OBLONG * high:
        boxes = [(x, y, middle_x, bottom), (middle_x, y, right, bottom)]
    elif high > _OBLONG * wide:
        boxes = [(x, y, right, middle_y), (x, middle_y, right, bottom)]
    else:
        boxes = [
            (x + wide // 4, y + high // 4, x + wide - wide // 4, y + high - high // 4),
            (x, y, middle_x, middle_y),
            (middle_x, y, right, middle_y),
            (x, middle_y, middle_x, bottom),
            (middle_x, middle_y, right, bottom),
        ]
    return [Part(box, grey) for box in boxes[:count]]
