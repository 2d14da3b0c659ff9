"""`edges`: the Canny edge map of the mark through the encoder (seed 003: the second view)."""

from __future__ import annotations

import cv2
import numpy as np

from search.retrieval.imaging import Pixels
from search.retrieval.normalise import Normalised, resized

_LOW, _HIGH = 60, 160
"""Canny's hysteresis thresholds on the normalised mark, whose ink is black on white by construction."""


def edge_map(mark: Normalised, side: int) -> Pixels | None:
    """Black edges on white, uint8 (side, side, 3); None when the mark has no edge at all.

    Edges are found at full resolution and thickened to survive the reduction to `side`.
    """
    if mark.blank:
        return None
    found = cv2.Canny(cv2.GaussianBlur(mark.grey, (3, 3), 0), _LOW, _HIGH)
    if not found.any():
        return None
    return resized(np.asarray(255 - found, dtype=np.uint8), side)
