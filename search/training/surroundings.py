"""What is put around a mark: a shape behind it, a frame, a word, another device. For grey pictures, dark on white."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz&0123456789"
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


@dataclass(frozen=True)
class Material:
    """What a mark is put together with. words: pictures of words, one line each; devices: other marks (n, s, s)."""

    words: Sequence[Grey] = ()
    devices: Sequence[Grey] | NDArray[np.uint8] = ()


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


def add_word(grey: Grey, rng: np.random.Generator, material: Material) -> Grey:
    """A word below, above or beside the mark; a third of the words are long and the mark only a part of the whole."""
    text = _trimmed(material.words[int(rng.integers(len(material.words)))]) if material.words else _plotted(rng)
    side, gap = len(grey), int(rng.integers(2, 20))
    beside = rng.random() < 0.5
    share = rng.uniform(1.6, 3.5) if rng.random() < 1 / 3 else rng.uniform(0.6, 1.6)
    factor = side * share / text.shape[1]
    # A word beside a mark is at most as high as the mark.
    factor = min(factor, side / text.shape[0])
    text = np.asarray(cv2.resize(text, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    parts = [grey, text] if rng.random() < 0.8 else [text, grey]
    return joined(parts, gap, axis=1 if beside else 0)


def add_device(grey: Grey, rng: np.random.Generator, material: Material) -> Grey:
    """Another mark beside, above or below this one, at half to all of its size."""
    if not len(material.devices):
        return grey
    other = _trimmed(np.asarray(material.devices[int(rng.integers(len(material.devices)))]))
    factor = len(grey) * rng.uniform(0.5, 1.0) / max(other.shape)
    other = np.asarray(cv2.resize(other, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    parts = [grey, other] if rng.random() < 0.5 else [other, grey]
    return joined(parts, int(rng.integers(2, 24)), axis=int(rng.integers(0, 2)))


def joined(parts: list[Grey], gap: int, axis: int) -> Grey:
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


def squared(grey: Grey) -> Grey:
    """Padded with white to a square."""
    side = max(grey.shape)
    if grey.shape == (side, side):
        return grey
    square = np.full((side, side), 255, np.uint8)
    top, left = (side - grey.shape[0]) // 2, (side - grey.shape[1]) // 2
    square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    return square


def _plotted(rng: np.random.Generator) -> Grey:
    """A word of random letters, drawn with a plotter's strokes: for data that bring no words."""
    word = "".join(rng.choice(list(_LETTERS), int(rng.integers(3, 10))))
    font, weight = int(rng.choice(_FONTS)), int(rng.integers(1, 5))
    scale = float(rng.uniform(0.8, 2.0))
    (wide, high), below = cv2.getTextSize(word, font, scale, weight)
    text = np.full((high + below + 8, wide + 8), 255, np.uint8)
    cv2.putText(text, word, (4, high + 4), font, scale, int(rng.integers(0, 80)), weight, cv2.LINE_AA)
    return text


def _trimmed(grey: Grey) -> Grey:
    """Without the white around the ink; whole where there is none."""
    ink = grey < 230
    columns, rows = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(columns) else grey


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
