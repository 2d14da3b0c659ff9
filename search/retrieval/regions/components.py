"""Connected components of the ink, each a part."""

from __future__ import annotations

import cv2
import numpy as np

from search.retrieval.normalise import Grey
from search.retrieval.regions.part import Part, boxes_of, ink_of, largest


def components(grey: Grey, count: int) -> list[Part]:
    """The `count` largest 8-connected pieces of ink; specks and a piece that is the whole mark do not count."""
    ink = ink_of(grey)
    labels = np.asarray(cv2.connectedComponents(ink, connectivity=8)[1], np.int32)
    return [Part(box, grey) for box in largest(boxes_of(labels), ink, count)]
