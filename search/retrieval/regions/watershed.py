"""The paper's regions: k-means, threshold, distance transform, watershed (science 1.4).

Source: Jardim et al., J. Imaging 8(6):163, steps 1-3; steps 4-7 are lost and read as in science 1.4. Kept for
comparison (benchmarks/regions.py); it does not ship.
"""

from __future__ import annotations

import heapq

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from search.retrieval.normalise import SIDE, Grey
from search.retrieval.regions.part import Mask, Part, area, boxes_of, two_means

_SEEN = 224
_THRESHOLD = 225
_APART = 20
"""Pixels between two markers, in the picture of 224."""
_MIN_AREA = 0.01

Labels = NDArray[np.int32]
Distances = NDArray[np.float32]


def watershed(grey: Grey, count: int) -> list[Part]:
    """The boxes of the `count` largest segments; the paper keeps up to 8."""
    small = np.asarray(cv2.resize(grey, (_SEEN, _SEEN), interpolation=cv2.INTER_AREA), np.uint8)
    mask = foreground(small)
    if not mask.any():
        return []
    distance = np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
    boxes = [box for box in boxes_of(flooded(distance, markers(distance))) if area(box) >= _MIN_AREA * _SEEN**2]
    scale = SIDE / _SEEN
    scaled = [
        (int(x0 * scale), int(y0 * scale), round(x1 * scale), round(y1 * scale))
        for x0, y0, x1, y1 in sorted(boxes, key=area, reverse=True)[:count]
    ]
    return [Part(box, grey) for box in scaled]


def foreground(grey: Grey) -> Mask:
    """1 where the pixel's k-means colour is below the threshold, reversed when that is most of the border."""
    dark, light = two_means(grey)
    segmented = np.where(grey <= (dark + light) / 2, dark, light)
    mask = np.asarray(segmented < _THRESHOLD, np.uint8)
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    return 1 - mask if border.mean() > 0.5 else mask


def markers(distance: Distances) -> Labels:
    """8-connected labels of the points that are the farthest inside within 20 pixels around."""
    highest = ndimage.maximum_filter(distance, size=2 * _APART + 1)
    tops = (distance == highest) & (distance > 0)
    return np.asarray(ndimage.label(tops, structure=np.ones((3, 3)))[0], np.int32)


def flooded(distance: Distances, seeds: Labels) -> Labels:
    """Watershed of minus the distance, within the mask: basins grow from the seeds, deepest pixels first.

    Meyer's flooding with a priority queue, 8-connected; of equal depths the one reached first comes first.
    """
    labels = np.pad(seeds, 1)
    depth = np.pad(distance, 1)
    height, width = labels.shape
    steps = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    flat, depths = labels.ravel().tolist(), depth.ravel().tolist()
    queue = [(-depths[i], n, i) for n, i in enumerate(np.flatnonzero(labels).tolist())]
    heapq.heapify(queue)
    order = len(queue)
    while queue:
        _, _, at = heapq.heappop(queue)
        for step in steps:
            beside = at + step
            if not flat[beside] and depths[beside] > 0:
                flat[beside] = flat[at]
                order += 1
                heapq.heappush(queue, (-depths[beside], order, beside))
    return np.array(flat, np.int32).reshape(height, width)[1:-1, 1:-1]
