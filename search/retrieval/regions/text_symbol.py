"""Text and symbol parted by a geometric rule: letters are pieces of ink of like height in a row."""

from __future__ import annotations

import cv2

from search.retrieval.normalise import SIDE, Grey
from search.retrieval.regions.part import MAX_AREA, MIN_AREA, Box, Mask, Part, area, ink_of, union

_LEAST_LETTERS = 3
_LIKE = 1.6
"""Heights of the letters of one row differ by at most this factor ("p" against "o")."""
_LEVEL = 0.5
"""Middles of the letters of one row lie at most so many heights apart."""
_SPACE = 1.5
"""A gap of more heights than this ends the row."""
_MIN_HEIGHT = SIDE // 40


def text_symbol(grey: Grey, count: int) -> list[Part]:
    """The symbol without its words, then each row of text. A mark that is one row, or has none, has no parts."""
    ink = ink_of(grey)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    pieces: list[Box] = [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h, _ in stats[1:]]
    rows: list[Box] = []
    rest = pieces
    while row := _row(rest):
        rows.append(row)
        rest = [piece for piece in rest if not _inside(piece, row)]
    texts = [Part(row, grey) for row in rows if _fits(row, ink)]
    if not rows or not rest:
        return texts[:count]
    without = grey.copy()
    for x0, y0, x1, y1 in rows:
        without[y0:y1, x0:x1] = 255
    # Wiped clean of its words the symbol is news to `general`, however much of the mark it fills.
    box = union(rest)
    symbol = [Part(box, without)] if area(box) >= MIN_AREA * SIDE * SIDE else []
    return [*symbol, *texts][:count]


def _row(pieces: list[Box]) -> Box | None:
    """The box of the longest row of letters."""
    best: list[Box] = []
    for seed in pieces:
        height, middle = _height(seed), _middle(seed)
        if height < _MIN_HEIGHT:
            continue
        level = [
            piece
            for piece in pieces
            if height / _LIKE <= _height(piece) <= height * _LIKE and abs(_middle(piece) - middle) <= _LEVEL * height
        ]
        for run in _runs(sorted(level), _SPACE * height):
            if len(run) > len(best):
                best = run
    return union(best) if len(best) >= _LEAST_LETTERS else None


def _runs(pieces: list[Box], space: float) -> list[list[Box]]:
    """Pieces from left to right, parted at gaps wider than `space`."""
    runs: list[list[Box]] = []
    reach = 0
    for piece in pieces:
        if not runs or piece[0] - reach > space:
            runs.append([])
            reach = 0
        runs[-1].append(piece)
        reach = max(reach, piece[2])
    return runs


def _inside(piece: Box, row: Box) -> bool:
    """Whether the piece belongs to the row: a letter, or the dot of an i just above."""
    x = (piece[0] + piece[2]) / 2
    reach = 0.4 * _height(row)
    return (
        row[0] <= x <= row[2]
        and row[1] - reach <= _middle(piece) <= row[3] + reach
        and _height(piece) <= 1.2 * (_height(row) + reach)
    )


def _fits(box: Box, ink: Mask) -> bool:
    """Neither a speck nor the whole mark again."""
    _, _, wide, high = cv2.boundingRect(ink)
    return bool(MIN_AREA * SIDE * SIDE <= area(box) <= MAX_AREA * wide * high)


def _height(box: Box) -> int:
    return box[3] - box[1]


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2
