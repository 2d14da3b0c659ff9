"""Feature maps (n, c, h, w) to one vector (n, c) per image."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]
Vectors = NDArray[np.float32]


def unit(vectors: NDArray[np.floating], *, eps: float = 1e-12) -> Vectors:
    """Each row over its Euclidean length; a zero row stays zero."""
    v = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", v, v, dtype=np.float64))
    return np.asarray(v / np.maximum(lengths, eps)[..., None], dtype=np.float32)


def spoc(maps: Maps) -> Vectors:
    """Sum-pooled convolutional features, here the mean (Babenko & Lempitsky, ICCV 2015)."""
    return np.asarray(maps.mean(axis=(2, 3)), dtype=np.float32)


def mac(maps: Maps) -> Vectors:
    """Maximum activation of each channel (Razavian et al. 2014; Tolias et al., ICLR 2016)."""
    return np.asarray(maps.max(axis=(2, 3)), dtype=np.float32)


def gem(maps: Maps, *, p: float = 3.0) -> Vectors:
    """Generalised mean (mean x^p)^(1/p) (Radenovic et al., TPAMI 2018); p=1 is SPoC, p -> inf is MAC."""
    powered = np.power(np.maximum(maps, 1e-6), p)
    return np.asarray(powered.mean(axis=(2, 3)) ** (1 / p), dtype=np.float32)


def rmac(maps: Maps, *, levels: int = 3) -> Vectors:
    """Sum of unit MAC vectors of square windows at `levels` scales, about 40 % overlapping.

    Tolias, Sicre & Jegou (ICLR 2016), section 3.2: at level l the window side is 2 min(h, w) / (l + 1).
    """
    height, width = maps.shape[2:]
    total = np.zeros(maps.shape[:2], np.float32)
    for level in range(1, levels + 1):
        side = max(1, int(2 * min(height, width) / (level + 1)))
        for top in _starts(height, side, level):
            for left in _starts(width, side, level):
                total += unit(mac(maps[:, :, top : top + side, left : left + side]))
    return total


def _starts(length: int, side: int, count: int) -> list[int]:
    """`count` evenly spread window starts; fewer where they would coincide."""
    if count == 1 and length > side:
        count = 2  # the longer side of an oblong map needs two windows even at the first level
    room = length - side
    return sorted({round(room * i / max(count - 1, 1)) for i in range(count)}) if room else [0]


POOLINGS: Mapping[str, Callable[[Maps], Vectors]] = {"spoc": spoc, "mac": mac, "rmac": rmac, "gem": gem}
