"""All that is kept of one image, in one place that needs neither torch nor an encoder."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass
class Description:
    """What the engine compares.

    vectors: descriptor name -> float32 unit vector (d,); one that the image lacks is absent (no edges in a
    blank image, no colour in a black one). regions: float32 unit vectors (r, d) of its parts, in the space of
    `general`; boxes: int32 (r, 4), x0, y0, x1, y1 in the ORIGINAL image's pixels. size: width, height of the
    original.
    """

    vectors: dict[str, Vector]
    regions: Vector = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    boxes: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    size: tuple[int, int] = (0, 0)
