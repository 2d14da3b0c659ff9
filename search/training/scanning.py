"""What paper, scanners and cameras do to a mark. For grey pictures, dark on white."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]


def scan(grey: Grey, rng: np.random.Generator) -> Grey:
    """Blurred, noisy or coarse, as scans and small pictures are."""
    kind = rng.random()
    if kind < 0.4:
        return np.asarray(cv2.GaussianBlur(grey, (0, 0), float(rng.uniform(0.4, 2.0)) * len(grey) / 160), np.uint8)
    if kind < 0.7:
        small = cv2.resize(grey, None, fx=(f := float(rng.uniform(0.2, 0.5))), fy=f, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    noise = rng.normal(0, rng.uniform(3, 9), grey.shape).astype(np.float32)
    return np.asarray(np.clip(grey + noise, 0, 255), np.uint8)


def photograph(grey: Grey, rng: np.random.Generator) -> Grey:
    """Seen at an angle, unevenly lit, on grey paper or in a print raster, and stored as a coarse JPEG."""
    high, wide = grey.shape
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    moved = corners + rng.uniform(-0.08, 0.08, (4, 2)).astype(np.float32) * [wide, high]
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    seen = cv2.warpPerspective(grey, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=255).astype(np.float32)
    if rng.random() < 0.3:
        y, x = np.mgrid[0:high, 0:wide].astype(np.float32) * (2 * np.pi / float(rng.uniform(2.5, 5)))
        seen = seen + 40 * np.sin(x) * np.sin(y) * (seen < 250)
    # Light falls from one side; the paper stays lighter than the ink.
    slope = np.linspace(0, rng.uniform(0, 20), wide, dtype=np.float32)
    seen = np.clip(seen * rng.uniform(0.85, 1.0) + rng.uniform(0, 25) - slope, 0, 255)
    seen = seen + (255 - np.percentile(seen, 98))
    coded = cv2.imencode(
        ".jpg", np.clip(seen, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 60))]
    )[1]
    found = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    # Paper that is nearly white is white, as the normaliser takes it.
    return np.where(found > 232, 255, found).astype(np.uint8)
