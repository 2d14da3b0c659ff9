"""`colour`: which colours a mark has and how much of each, whatever its shape.

The normaliser takes colour away on purpose, so this is a notion of likeness that no other descriptor has. The
histogram is over hue, chroma and lightness in OKLab (Ottosson, "A perceptual color space for image processing",
2020), softly binned; its square root is a unit vector, so that the inner product of two is the Bhattacharyya
coefficient of their histograms: 1 for the same shares of the same colours, 0 for none in common.

Black, white and grey count nothing. So paper needs no care, a mark and its reversed copy (red on white, white
on red) are alike, and a mark without any colour has no vector: Eq 1 then leaves the descriptor out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.retrieval.imaging import Pixels
from search.retrieval.normalise import Normalised

Vector = NDArray[np.float32]
Floats = NDArray[np.float64]

_HUES = 12
_CHROMAS = (0.10, 0.20)
_LIGHTNESSES = (0.35, 0.60, 0.85)
"""Centres of the bins. Chroma in OKLab: pink 0.08, brown 0.09, navy 0.19, pure red 0.26, pure blue 0.31."""
DIM = _HUES * len(_CHROMAS) * len(_LIGHTNESSES)

_GREY, _COLOURED = 0.04, 0.08
"""Chroma up to which a pixel counts nothing (JPEG noise, yellowed paper), and from which it counts in full."""
_LEAST_SHARE = 0.005
"""Coloured pixels needed, as a share of the ink's box; below it is noise, not a colour of the mark."""
_BITS = 5
"""Per channel: the few hundred colours that remain are converted, not the pixels."""

# Ottosson's matrices: linear sRGB -> cone responses, and their cube roots -> L, a, b.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@dataclass(frozen=True)
class ColourDescriptor:
    """The contract of a vector descriptor without an encoder: see descriptors.vector.DescribesMarks."""

    name: str = "colour"
    version: str = "colour:oklab-1"

    def describe(self, marks: Sequence[Normalised]) -> list[Vector | None]:
        """Unit vectors (DIM,), None where the mark has no colour."""
        return [colour_vector(mark.colours) for mark in marks]


def colour_vector(pixels: Pixels) -> Vector | None:
    """uint8 RGB (h, w, 3) -> float32 unit vector (DIM,); None when too little of it is coloured."""
    levels = (pixels.reshape(-1, 3) >> (8 - _BITS)).astype(np.intp)
    codes = (levels[:, 0] << 2 * _BITS) | (levels[:, 1] << _BITS) | levels[:, 2]
    counts = np.bincount(codes, minlength=1 << 3 * _BITS)
    used = np.flatnonzero(counts)
    channels = np.stack([used >> 2 * _BITS, used >> _BITS, used], axis=1) & ((1 << _BITS) - 1)
    # A level stands for the middle of its range, stretched so that black and white stay what they are.
    lab = oklab(channels / ((1 << _BITS) - 1))
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    mass = counts[used] * np.clip((chroma - _GREY) / (_COLOURED - _GREY), 0, 1)
    total = float(mass.sum())
    if total < _LEAST_SHARE * len(codes):
        return None
    coloured = mass > 0
    histogram = _histogram(lab[coloured], chroma[coloured], mass[coloured] / total)
    return np.sqrt(histogram).astype(np.float32)


def oklab(rgb: Floats) -> Floats:
    """(n, 3) sRGB in 0..1 -> (n, 3) L in 0..1, a, b; hypot(a, b) is the chroma."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T, dtype=np.float64)


def _histogram(lab: Floats, chroma: Floats, mass: Floats) -> Floats:
    """(DIM,) that sums to that of `mass`: each colour is shared among the bins it lies between."""
    turn = np.arctan2(lab[:, 2], lab[:, 1]) / (2 * np.pi) * _HUES
    first = np.floor(turn).astype(np.intp)
    hues = ((first % _HUES, 1 - (turn - first)), ((first + 1) % _HUES, turn - first))
    out = np.zeros(DIM)
    for hue, hue_share in hues:
        for strength, strength_share in _between(chroma, _CHROMAS):
            for light, light_share in _between(lab[:, 0], _LIGHTNESSES):
                place = (hue * len(_CHROMAS) + strength) * len(_LIGHTNESSES) + light
                out += np.bincount(place, mass * hue_share * strength_share * light_share, minlength=DIM)
    return out


def _between(values: Floats, centres: Sequence[float]) -> tuple[tuple[NDArray[np.intp], Floats], ...]:
    """The two bins on a line that each value lies between, and its shares in them; the ends take what is beyond."""
    where = np.interp(values, centres, np.arange(len(centres)))
    low = np.minimum(where.astype(np.intp), len(centres) - 2)
    return (low, 1 - (where - low)), (low + 1, where - low)
