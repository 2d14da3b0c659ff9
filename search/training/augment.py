"""What copyists do to a mark, as augmentations of normalised grey pictures.

Outlined, filled, thinner or bolder strokes, other greys, a part cut off or moved, turned, mirrored, bent, redrawn
by hand; then what surroundings.py puts around it and what scanning.py does to the paper. The result is cropped to
its ink and centred again, as the normaliser does with every picture that is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from search.training.scanning import photograph, scan
from search.training.surroundings import Material, add_device, add_word, frame, reverse_in_shape, squared

Grey = NDArray[np.uint8]
Change = Callable[[Grey, np.random.Generator], Grey]

_INK = 200
"""Grey levels below this are ink when shapes are looked at."""


def outline(grey: Grey, rng: np.random.Generator) -> Grey:
    """Only the border of the ink, as a line of 1 to 3 % of the side."""
    width = int(rng.integers(2, max(3, len(grey) // 32) + 1))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(255 - cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, kernel), np.uint8)


def contours(grey: Grey, rng: np.random.Generator) -> Grey:
    """Every border between two greys as a line, inside the mark too: what the `edges` view shows."""
    low = int(rng.integers(40, 120))
    lines = cv2.Canny(cv2.GaussianBlur(grey, (0, 0), float(rng.uniform(0.5, 1.2))), low, 2 * low)
    width = int(rng.integers(1, max(2, len(grey) // 64) + 1))
    lines = cv2.dilate(lines, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    return np.asarray(255 - lines, np.uint8) if lines.any() else grey


def fill(grey: Grey, rng: np.random.Generator) -> Grey:
    """Every closed outline filled: the silhouette."""
    contours, _ = cv2.findContours(_ink(grey), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = grey.copy()
    cv2.drawContours(filled, contours, -1, int(rng.integers(0, 96)), -1)
    # A box or disc filled is any other mark's box or disc: nothing to learn from.
    _, _, wide, high = cv2.boundingRect(_ink(grey))
    return filled if (filled < _INK).sum() < 0.7 * wide * high else grey


def strokes(grey: Grey, rng: np.random.Generator) -> Grey:
    """Bolder or thinner ink; what thinning would erase stays as it is."""
    width = int(rng.integers(2, max(3, len(grey) // 40) + 1))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    if rng.random() < 0.5:
        return np.asarray(cv2.erode(grey, kernel), np.uint8)
    thin = np.asarray(cv2.dilate(grey, kernel), np.uint8)
    return thin if (thin < _INK).sum() > 0.35 * (grey < _INK).sum() else grey


def recolour(grey: Grey, rng: np.random.Generator) -> Grey:
    """Other greys for other inks: a random smooth curve that keeps paper white."""
    knots = np.concatenate([rng.uniform(0, 200, 5), [255]])
    if rng.random() < 0.6:
        knots[:5] = np.sort(knots[:5])
    curve = np.interp(np.arange(256), [0, 60, 120, 180, 230, 255], knots)
    return np.asarray(cv2.LUT(grey, curve.astype(np.uint8)), np.uint8)


def cut_off(grey: Grey, rng: np.random.Generator) -> Grey:
    """A window of half to all of the area, as in seed 004; one in five of a fifth or more: a part of the mark."""
    side = len(grey)
    area, ratio = (
        rng.uniform(0.2 if rng.random() < 0.2 else 0.5, 1.0),
        np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3))),
    )
    wide = min(side, round(side * np.sqrt(area * ratio)))
    high = min(side, round(side * np.sqrt(area / ratio)))
    left, top = int(rng.integers(0, side - wide + 1)), int(rng.integers(0, side - high + 1))
    return grey[top : top + high, left : left + wide]


def one_part(grey: Grey, rng: np.random.Generator) -> Grey:
    """The largest group of ink alone: the symbol without its word."""
    boxes = _pieces(grey)
    if len(boxes) < 2:
        return grey
    x, y, wide, high = max(boxes, key=lambda b: b[2] * b[3])
    return grey[y : y + high, x : x + wide] if wide * high > 0.15 * grey.size else grey


def move_parts(grey: Grey, rng: np.random.Generator) -> Grey:
    """Separate groups of ink shifted a little against each other."""
    boxes = _pieces(grey)
    if not 2 <= len(boxes) <= 12:
        return grey
    moved = np.full_like(grey, 255)
    reach = len(grey) // 16
    for x, y, wide, high in boxes:
        dx, dy = rng.integers(-reach, reach + 1, 2)
        x1, y1 = int(np.clip(x + dx, 0, len(grey) - wide)), int(np.clip(y + dy, 0, len(grey) - high))
        place = moved[y1 : y1 + high, x1 : x1 + wide]
        np.minimum(place, grey[y : y + high, x : x + wide], out=place)
    return moved


def bend(grey: Grey, rng: np.random.Generator) -> Grey:
    """Redrawn by hand: a smooth random displacement of up to 3 % of the side."""
    side = len(grey)
    coarse = rng.normal(0, side * 0.012, (2, 6, 6)).astype(np.float32)
    dx, dy = (cv2.resize(field_, grey.shape[::-1], interpolation=cv2.INTER_CUBIC) for field_ in coarse)
    x, y = np.meshgrid(np.arange(grey.shape[1], dtype=np.float32), np.arange(side, dtype=np.float32))
    return np.asarray(cv2.remap(grey, x + dx, y + dy, cv2.INTER_LINEAR, borderValue=255), np.uint8)


def turn(grey: Grey, rng: np.random.Generator) -> Grey:
    """Turned by -90 to 90 degrees (seed 004)."""
    return _affine(grey, float(rng.uniform(-90, 90)), 1.0, 1.0, 0.0)


def mirror(grey: Grey, rng: np.random.Generator) -> Grey:
    """Left to right."""
    return np.ascontiguousarray(grey[:, ::-1])


def skew(grey: Grey, rng: np.random.Generator) -> Grey:
    """Slightly turned, stretched and slanted."""
    wide, high = np.exp(rng.uniform(-0.18, 0.18, 2))
    return _affine(grey, float(rng.uniform(-12, 12)), float(wide), float(high), float(rng.uniform(-0.12, 0.12)))


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "one_part": one_part,
        "move_parts": move_parts,
        "outline": outline,
        "contours": contours,
        "fill": fill,
        "strokes": strokes,
        "recolour": recolour,
        "mirror": mirror,
        "turn": turn,
        "bend": bend,
        "skew": skew,
        "reverse_in_shape": reverse_in_shape,
        "frame": frame,
        "cut_off": cut_off,
        "scan": scan,
        "photograph": photograph,
    }
)
"""In the order in which they are applied: the drawing first, then a shape around it, then the paper."""

JOINS: Mapping[str, Callable[[Grey, np.random.Generator, Material], Grey]] = MappingProxyType(
    {"add_word": add_word, "add_device": add_device}
)
"""What puts the mark together with something else; applied before the paper."""
_PAPER = ("cut_off", "scan", "photograph")

COPYIST: Mapping[str, float] = MappingProxyType(
    {
        "one_part": 0.05, "move_parts": 0.07, "outline": 0.12, "contours": 0.06, "fill": 0.05, "strokes": 0.25,
        "recolour": 0.3, "mirror": 0.06, "turn": 0.08, "bend": 0.2, "skew": 0.5, "reverse_in_shape": 0.12,
        "frame": 0.08, "add_word": 0.16, "add_device": 0.05, "cut_off": 0.15, "scan": 0.2, "photograph": 0.06,
    }
)  # fmt: skip
"""How often each is applied to a picture."""


@dataclass(frozen=True)
class Copyist:
    """Draws a changed picture. odds: change -> probability; side: pixels of the result."""

    side: int
    odds: Mapping[str, float] = field(default_factory=lambda: COPYIST)
    material: Material = field(default_factory=Material)

    def __post_init__(self) -> None:
        unknown = set(self.odds) - set(CHANGES) - set(JOINS)
        if unknown:
            known = ", ".join([*CHANGES, *JOINS])
            raise ValueError(f"There is no augmentation {min(unknown)!r}; known are {known}.")

    def __call__(self, grey: Grey, rng: np.random.Generator) -> Grey:
        """uint8 (s, s), dark on white -> uint8 (side, side). Deterministic given the generator's state."""
        changed = np.asarray(grey)
        for name in (*(name for name in CHANGES if name not in _PAPER), *JOINS, *_PAPER):
            if rng.random() >= self.odds.get(name, 0.0):
                continue
            changed = squared(changed)
            changed = CHANGES[name](changed, rng) if name in CHANGES else JOINS[name](changed, rng, self.material)
        return centred(changed, self.side, margin=float(rng.uniform(0.03, 0.09)))


def centred(grey: Grey, side: int, *, margin: float = 0.06) -> Grey:
    """Cropped to its ink and laid on a white square with a margin, as `normalise` does."""
    ink = grey < 255 - 24
    columns, rows = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if len(columns):
        grey = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    factor = side / (max(grey.shape) * (1 + 2 * margin))
    size = (max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    square = np.full((side, side), 255, np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _ink(grey: Grey) -> NDArray[np.uint8]:
    return np.asarray(grey < _INK, np.uint8)


def _pieces(grey: Grey) -> list[tuple[int, int, int, int]]:
    """Boxes (x, y, width, height) of groups of ink that stand apart."""
    joined = cv2.dilate(_ink(grey), np.ones((7, 7), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in stats[1:]]


def _affine(grey: Grey, degrees: float, wide: float, high: float, slant: float) -> Grey:
    """Turned, stretched and slanted about the centre, on a board that holds all of it."""
    side = len(grey)
    board = int(side * 1.5)
    angle = np.deg2rad(degrees)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turned @ np.array([[wide, slant], [0, high]])
    shift = board / 2 - matrix @ np.array([side / 2, side / 2])
    whole = np.concatenate([matrix, shift[:, None]], axis=1)
    return np.asarray(cv2.warpAffine(grey, whole, (board, board), flags=cv2.INTER_LINEAR, borderValue=255), np.uint8)
