"""What copyists do to a mark, as augmentations of normalised grey pictures.

Outlined, filled, thinner or bolder strokes, other greys, reversed inside a box or disc, a box or ring around, a
word added, a part cut off or moved, turned, mirrored, bent, redrawn by hand, badly scanned. The result is cropped
to its ink and centred again, as the normaliser does with every picture that is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Change = Callable[[Grey, np.random.Generator], Grey]

_INK = 200
"""Grey levels below this are ink when shapes are looked at."""
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz&0123456789"
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def outline(grey: Grey, rng: np.random.Generator) -> Grey:
    """Only the border of the ink, as a line of 1 to 3 % of the side."""
    width = int(rng.integers(2, max(3, len(grey) // 32) + 1))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(255 - cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, kernel), np.uint8)


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


def reverse_in_shape(grey: Grey, rng: np.random.Generator) -> Grey:
    """White on a dark box, rounded box or disc."""
    side = len(grey)
    room = int(side * rng.uniform(0.04, 0.22))
    board = np.full((side + 2 * room, side + 2 * room), 255, np.uint8)
    inner = np.full_like(board, 255)
    inner[room : room + side, room : room + side] = grey
    mask = _shape(len(board), rng)
    dark = int(rng.integers(0, 70))
    return np.where(mask > 0, np.maximum(255 - inner, dark), board).astype(np.uint8)


def frame(grey: Grey, rng: np.random.Generator) -> Grey:
    """A box or ring drawn around the mark."""
    side = len(grey)
    room = int(side * rng.uniform(0.06, 0.25))
    board = np.full((side + 2 * room, side + 2 * room), 255, np.uint8)
    board[room : room + side, room : room + side] = grey
    width = int(rng.integers(2, max(4, side // 16)))
    mask = _shape(len(board), rng)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    ring = mask - np.asarray(cv2.erode(mask, kernel, borderValue=0), np.uint8)
    board[ring > 0] = int(rng.integers(0, 90))
    return board


def add_word(grey: Grey, rng: np.random.Generator) -> Grey:
    """A word below, above or beside the mark."""
    word = "".join(rng.choice(list(_LETTERS), int(rng.integers(3, 10))))
    font, weight = int(rng.choice(_FONTS)), int(rng.integers(1, 5))
    scale = float(rng.uniform(0.8, 2.0))
    (wide, high), below = cv2.getTextSize(word, font, scale, weight)
    text = np.full((high + below + 8, wide + 8), 255, np.uint8)
    cv2.putText(text, word, (4, high + 4), font, scale, int(rng.integers(0, 80)), weight, cv2.LINE_AA)
    side, gap = len(grey), int(rng.integers(2, 20))
    beside = rng.random() < 0.4
    factor = side * rng.uniform(0.6, 1.6) / text.shape[1]
    text = np.asarray(cv2.resize(text, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    parts = [grey, text] if beside or rng.random() < 0.8 else [text, grey]
    return _joined(parts, gap, axis=1 if beside else 0)


def cut_off(grey: Grey, rng: np.random.Generator) -> Grey:
    """A window of half to all of the area, as in seed 004."""
    side = len(grey)
    area, ratio = rng.uniform(0.5, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
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


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "one_part": one_part,
        "move_parts": move_parts,
        "outline": outline,
        "fill": fill,
        "strokes": strokes,
        "recolour": recolour,
        "mirror": mirror,
        "turn": turn,
        "bend": bend,
        "skew": skew,
        "reverse_in_shape": reverse_in_shape,
        "frame": frame,
        "add_word": add_word,
        "cut_off": cut_off,
        "scan": scan,
    }
)
"""In the order in which they are applied: the drawing first, then what is put around it, then the paper."""

COPYIST: Mapping[str, float] = MappingProxyType(
    {
        "one_part": 0.05, "move_parts": 0.07, "outline": 0.15, "fill": 0.05, "strokes": 0.25, "recolour": 0.3,
        "mirror": 0.06, "turn": 0.08, "bend": 0.2, "skew": 0.5, "reverse_in_shape": 0.12, "frame": 0.08,
        "add_word": 0.1, "cut_off": 0.15, "scan": 0.25,
    }
)  # fmt: skip
"""How often each is applied to a picture."""


@dataclass(frozen=True)
class Copyist:
    """Draws a changed picture. odds: change -> probability; side: pixels of the result."""

    side: int
    odds: Mapping[str, float] = field(default_factory=lambda: COPYIST)

    def __post_init__(self) -> None:
        unknown = set(self.odds) - set(CHANGES)
        if unknown:
            raise ValueError(f"There is no augmentation {min(unknown)!r}; known are {', '.join(CHANGES)}.")

    def __call__(self, grey: Grey, rng: np.random.Generator) -> Grey:
        """uint8 (s, s), dark on white -> uint8 (side, side). Deterministic given the generator's state."""
        changed = np.asarray(grey)
        for name, change in CHANGES.items():
            if rng.random() < self.odds.get(name, 0.0):
                changed = change(_squared(changed), rng)
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


def _shape(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A filled box, rounded box or disc in a square, as 0 and 1."""
    mask = np.zeros((side, side), np.uint8)
    edge, kind = 2, rng.random()
    if kind < 0.4:
        cv2.circle(mask, (side // 2, side // 2), side // 2 - edge, 1, -1)
        return mask
    radius = 0 if kind < 0.6 else int(side * rng.uniform(0.08, 0.3))
    low, high = edge + radius, side - 1 - edge - radius
    cv2.rectangle(mask, (low, edge), (high, side - 1 - edge), 1, -1)
    cv2.rectangle(mask, (edge, low), (side - 1 - edge, high), 1, -1)
    for x in (low, high):
        for y in (low, high):
            cv2.circle(mask, (x, y), radius, 1, -1)
    return mask


def _squared(grey: Grey) -> Grey:
    """Padded with white to a square."""
    side = max(grey.shape)
    if grey.shape == (side, side):
        return grey
    square = np.full((side, side), 255, np.uint8)
    top, left = (side - grey.shape[0]) // 2, (side - grey.shape[1]) // 2
    square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    return square


def _joined(parts: list[Grey], gap: int, axis: int) -> Grey:
    """Pictures below (axis 0) or beside (axis 1) each other, centred, `gap` apart."""
    across = max(part.shape[1 - axis] for part in parts)
    rows = []
    for part in parts:
        room = across - part.shape[1 - axis]
        pad = [(0, 0), (0, 0)]
        pad[1 - axis] = (room // 2, room - room // 2)
        rows.append(np.pad(part, pad, constant_values=255))
    between = np.full((gap, across) if axis == 0 else (across, gap), 255, np.uint8)
    return np.concatenate([rows[0], between, rows[1]], axis=axis)


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
